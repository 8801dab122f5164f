"""Types of money and counts in the engines, exact to the cent.

Engines widen the type of sums and differences, check products of narrow decimals for overflow, and divide as floats.
ratios.py has ratios, which are floats.
"""

from decimal import Decimal

import ibis
import ibis.expr.types as ir

from lending_pipelines.tables.schema import MONEY

ZERO = ibis.literal(0, MONEY)
NO_AMOUNT = ibis.null(MONEY)

_CENT = ibis.literal(Decimal("0.01"), MONEY)


def money(amount: ir.DecimalValue) -> ir.DecimalValue:
    """The amount in the tables' money type. An amount out of range is an error.

    The cast uses a wider type first, because Ibis drops a cast to the type that it has inferred.
    """
    return wide(amount).cast(MONEY)


def wide(amount: ir.DecimalValue) -> ir.DecimalValue:
    """The amount in a wider type, so that a sum of many amounts does not overflow before another sum is subtracted."""
    return amount.cast("decimal(38, 2)")


def as_count(number: ir.IntegerValue) -> ir.IntegerValue:
    """A sum of whole numbers, such as counts or cents, as int64. It is cast through a decimal as in `money`."""
    return number.cast("decimal(38, 0)").cast("int64")


def cents(amount: ir.DecimalValue) -> ir.IntegerValue:
    """The amount in whole cents. int64 can hold every amount of the tables."""
    return (amount.cast("decimal(20, 2)") * 100).cast("int64")


def from_cents(cents: ir.IntegerValue) -> ir.DecimalValue:
    """Whole cents as money."""
    return money(cents.cast("decimal(20, 2)") * _CENT)


def quotient(number: ir.IntegerValue, divisor: ir.IntegerValue) -> ir.IntegerValue:
    """The whole part of number ÷ divisor, exact for every int64. The number is at least 0, the divisor at least 1.

    Engines divide as floats, which are exact only below 2**53. The first quotient is close. The amount that it leaves
    is divided again; this second quotient is small enough to be exact.
    """
    dividend = number - number % divisor
    near = (dividend / divisor).round().cast("int64")
    return near + ((dividend - near * divisor) / divisor).round().cast("int64")


def without_fraction(number: ir.NumericValue) -> ir.DecimalValue:
    """The number as a decimal without a fraction, for exact products and sums of up to 38 digits."""
    return number.cast("decimal(38, 1)").cast("decimal(38, 0)")


def half_even(number: ir.DecimalValue, divisor: ir.DecimalValue) -> ir.IntegerValue:
    """number ÷ divisor as int64, rounded half to even. Both are decimals without a fraction; the divisor is above 0."""
    size = number.abs()
    rest = size % divisor
    dividend = size - rest
    # Engines divide as floats. The first quotient is close; the second is small enough to be exact (as in `quotient`).
    near = without_fraction((dividend / divisor).cast("float64").round())
    quotient = near + without_fraction(((dividend - near * divisor) / divisor).cast("float64").round())
    up = (rest * 2 > divisor) | ((rest * 2 == divisor) & (quotient % 2 == 1))
    return ((quotient + without_fraction(up.cast("int64"))) * without_fraction(number.sign())).cast("int64")
