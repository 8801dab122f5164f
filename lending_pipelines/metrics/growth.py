"""Growth: the period to compare with, and the growth of an amount since then.

All growth rates of reports are computed here. reports/periods.py defines a report's period.
"""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

_DAY = timedelta(days=1)


def previous_period(first: date, last: date, months: int | None = None) -> tuple[date, date]:
    """The first and last day of the period to compare first..last with.

    Args:
        first: First day of the period.
        last: Last day of the period.
        months: Length of the calendar period that begins on `first`: 1 for a month, 3 for a quarter, 12 for a year. If
            `last` is before its end, the period is incomplete. None for a custom range.

    Returns:
        For a complete calendar period, the previous one. For an incomplete one, the same number of days from the start
        of the previous one, at most all of it. For a custom range of complete calendar months, the same number of
        months before it. For any other range, the same number of days before it.
    """
    days_after_first, opening = last - first, first - _DAY
    if months is None and first.day == 1 and (last + _DAY).day == 1:
        months = (last.year - first.year) * 12 + last.month - first.month + 1
    if months is None:
        return opening - days_after_first, opening
    begins = _months_later(first, -months)
    complete = last + _DAY == _months_later(first, months)
    return begins, opening if complete else min(begins + days_after_first, opening)


def growth(now: ir.NumericValue, before: ir.NumericValue) -> ir.FloatingValue:
    """(now − before) ÷ before; null if `before` is zero or negative."""
    return (now - before).cast("float64") / (before > 0).ifelse(before.cast("float64"), ibis.null("float64"))


def compared(values: ir.Table, pairs: ir.Table, *names: str) -> ir.Table:
    """Compare the values of each period with those of its previous period.

    Args:
        values: A row per period (`number`) and `currency`, with the columns `names`.
        pairs: A row per period to return: `number`, and `before`, the number of its previous period.
        names: The amounts and counts to compare.

    Returns:
        The rows of `values` for the periods of `pairs`, and for each name `<name>_before` and `<name>_growth`. Both are
        null if the value of the previous period is unknown.
    """
    earlier = values.select("currency", before="number", **{f"{name}_before": name for name in names})
    rows = values.inner_join(pairs, "number").left_join(earlier, ["before", "currency"], rname="{name}_earlier")
    rows = rows.drop("before", "before_earlier", "currency_earlier")
    return rows.mutate(**{f"{name}_growth": growth(rows[name], rows[f"{name}_before"]) for name in names})


def _months_later(day: date, months: int) -> date:
    return (pd.Timestamp(day) + pd.DateOffset(months=months)).date()
