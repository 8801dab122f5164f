"""Ratios of money as floats: shares and annualised rates, null where they have no meaning. Growth is in growth.py."""

import ibis
import ibis.expr.types as ir

YEAR = 365
"""The days of a year in annualised rates."""


def ratio(part: ir.NumericValue, of: ir.NumericValue) -> ir.FloatingValue:
    """part ÷ of; null when `of` is 0."""
    # Adding zero makes -0.0 to 0.0: no part of a negative amount is 0, not -0.
    return part.cast("float64") / of.cast("float64").nullif(0) + 0.0


def annualised(amount: ir.DecimalValue, balance: ir.DecimalValue, days: ir.IntegerValue) -> ir.FloatingValue:
    """What the amount of so many days is of the balance in a year."""
    return ratio(amount, balance) * YEAR / days.cast("float64")


def with_share(rows: ir.Table, amount: str) -> ir.Table:
    """The rows with `share`: the amount's part of its currency's total; null when that is 0 or a part is not known."""
    currency = ibis.window(group_by="currency")
    known = (~rows[amount].isnull().any()).over(currency)
    total = rows[amount].sum().over(currency)
    return rows.mutate(share=known.ifelse(ratio(rows[amount], total), ibis.null("float64")))
