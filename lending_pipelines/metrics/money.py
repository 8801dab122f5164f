"""Money and counts in the engines: exact to the last cent, and of one type each.

Engines widen sums and differences, check products of narrow decimals for overflow, and divide as floats. What an amount
means is said where it is computed; ratios, which are floats, are in ratios.py.
"""

from decimal import Decimal

import ibis
import ibis.expr.types as ir

from lending_pipelines.tables.schema import MONEY

ZERO = ibis.literal(0, MONEY)
NO_AMOUNT = ibis.null(MONEY)

_CENT = ibis.literal(Decimal("0.01"), MONEY)


def money(amount: ir.DecimalValue) -> ir.DecimalValue:
    """The amount in the tables' money type; an amount out of its range is an error.

    Through a wider type, because Ibis drops a cast to the type that it believes the amount to have already.
    """
    return wide(amount).cast(MONEY)


def wide(amount: ir.DecimalValue) -> ir.DecimalValue:
    """The amount in a type in which the sums of many amounts do not overflow before the last is subtracted."""
    return amount.cast("decimal(38, 2)")


def as_count(number: ir.IntegerValue) -> ir.IntegerValue:
    """A count or sum of counts as int64; cast through a decimal for the same reason as in `money`."""
    return number.cast("decimal(38, 0)").cast("int64")


def cents(amount: ir.DecimalValue) -> ir.IntegerValue:
    """The amount in whole cents; every amount of the tables fits."""
    return (amount.cast("decimal(20, 2)") * 100).cast("int64")


def from_cents(cents: ir.IntegerValue) -> ir.DecimalValue:
    """Whole cents as money."""
    return money(cents.cast("decimal(20, 2)") * _CENT)


def quotient(number: ir.IntegerValue, divisor: ir.IntegerValue) -> ir.IntegerValue:
    """How many times the divisor goes into the number, exact for every int64; neither is negative.

    Engines divide as floats, which are exact below 2**53 only: the first quotient is near, and what it leaves is so
    small that dividing it is exact.
    """
    dividend = number - number % divisor
    near = (dividend / divisor).round().cast("int64")
    return near + ((dividend - near * divisor) / divisor).round().cast("int64")
