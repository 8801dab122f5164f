"""Ratios of money as floats: shares and annualised rates; null if undefined. growth.py has growth rates."""

import ibis
import ibis.expr.types as ir

DAYS_IN_YEAR = 365
"""The number of days of a year in annualised rates."""


def ratio(part: ir.NumericValue, of: ir.NumericValue) -> ir.FloatingValue:
    """part ÷ of; null when `of` is 0."""
    # Adding zero converts -0.0 to 0.0.
    return part.cast("float64") / of.cast("float64").nullif(0) + 0.0


def annualised(amount: ir.DecimalValue, balance: ir.DecimalValue, days: ir.IntegerValue) -> ir.FloatingValue:
    """The annual rate of an amount that accrued on the balance over a number of days."""
    return ratio(amount, balance) * DAYS_IN_YEAR / days.cast("float64")


def with_share(rows: ir.Table, amount: str) -> ir.Table:
    """Add `share`: the amount as part of its currency's total. Null if the total is 0 or an amount is unknown."""
    currency = ibis.window(group_by="currency")
    known = (~rows[amount].isnull().any()).over(currency)
    total = rows[amount].sum().over(currency)
    return rows.mutate(share=known.ifelse(ratio(rows[amount], total), ibis.null("float64")))
