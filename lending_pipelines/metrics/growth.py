"""Growth: which days a period is compared with, and by how much an amount grew since then.

Every growth of a report comes from here. Which days a report's period has is in reports/periods.py.
"""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

_DAY = timedelta(days=1)


def previous_period(first: date, last: date, months: int | None = None) -> tuple[date, date]:
    """The first and last day of the period that growth compares first..last with.

    Args:
        first: First day of the period.
        last: Last day of the period.
        months: Length of the calendar period that begins on `first`: 1 for a month, 3 for a quarter, 12 for a year. It
            is still running when `last` is before its end. None for a custom range.

    Returns:
        For a whole calendar period, the one before it. For a running one, the same number of days from the start of the
        one before it, or all of that one where it is shorter. For a custom range of whole calendar months, the same
        number of months before it; for any other, the same number of days before it.
    """
    days_after_first, opening = last - first, first - _DAY
    if months is None and first.day == 1 and (last + _DAY).day == 1:
        months = (last.year - first.year) * 12 + last.month - first.month + 1
    if months is None:
        return opening - days_after_first, opening
    begins = _months_later(first, -months)
    whole = last + _DAY == _months_later(first, months)
    return begins, opening if whole else min(begins + days_after_first, opening)


def growth(now: ir.NumericValue, before: ir.NumericValue) -> ir.FloatingValue:
    """(now − before) ÷ before; null against zero, and against less than zero, where its sign would mislead."""
    return (now - before).cast("float64") / (before > 0).ifelse(before.cast("float64"), ibis.null("float64"))


def compared(values: ir.Table, pairs: ir.Table, *names: str) -> ir.Table:
    """The values of each period, beside those of its previous period.

    Args:
        values: A row per period (`number`) and `currency`, with the columns `names`.
        pairs: A row per period to return: `number`, and `before`, the number of its previous period.
        names: The amounts and counts to compare.

    Returns:
        The rows of `values` for the periods of `pairs`, and for each name `<name>_before` and `<name>_growth`. Both are
        null where the value of the previous period is not known.
    """
    earlier = values.select("currency", before="number", **{f"{name}_before": name for name in names})
    rows = values.inner_join(pairs, "number").left_join(earlier, ["before", "currency"], rname="{name}_earlier")
    rows = rows.drop("before", "before_earlier", "currency_earlier")
    return rows.mutate(**{f"{name}_growth": growth(rows[name], rows[f"{name}_before"]) for name in names})


def _months_later(day: date, months: int) -> date:
    return (pd.Timestamp(day) + pd.DateOffset(months=months)).date()
