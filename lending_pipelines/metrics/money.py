"""Money and counts in the engines: of one exact type each, whatever an engine makes of sums and products."""

import ibis
import ibis.expr.types as ir

from lending_pipelines.tables.schema import MONEY

ZERO = ibis.literal(0, MONEY)
NO_AMOUNT = ibis.null(MONEY)


def money(amount: ir.DecimalValue) -> ir.DecimalValue:
    """The amount in the tables' money type. Engines widen sums and differences; out of range is an error.

    Through a wider type, because Ibis drops a cast to the type that it believes the amount to have already.
    """
    return amount.cast("decimal(38, 2)").cast(MONEY)


def whole(number: ir.IntegerValue) -> ir.IntegerValue:
    """The count in the tables' integer type; through a decimal, for the same reason as `money`."""
    return number.cast("decimal(38, 0)").cast("int64")


def cents(amount: ir.DecimalValue) -> ir.IntegerValue:
    """The amount in whole cents."""
    return (amount * 100).cast("int64")


def from_cents(cents: ir.IntegerValue) -> ir.DecimalValue:
    """Whole cents as money; exact below 2**53 cents."""
    return (cents / 100).cast(MONEY)
