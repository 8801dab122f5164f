"""Health: collection, default, growth and yield of the loans of a manager, a branch or another scope, and their score.

`with_history` adds MEASURES to positions. Amounts of the past are computed from transactions and schedules, so that
they do not depend on which earlier days are closed. `scored` computes rates and score from the sums of MEASURES.
managers.py and portfolios.py choose the loans.
"""

from collections.abc import Callable
from datetime import date, timedelta
from functools import reduce
from operator import add

import ibis
import ibis.expr.types as ir

from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics import charge_offs, events, schedules
from lending_pipelines.metrics.growth import growth
from lending_pipelines.metrics.money import money, wide
from lending_pipelines.metrics.ratios import DAYS_IN_YEAR, ratio
from lending_pipelines.metrics.timeline import MAX_DATE, as_date
from lending_pipelines.tables.derived import HEALTH_CATEGORIES, HEALTH_RATES, HEALTH_SCORES

SOURCES = ("loans", "transactions", "installments")
"""The tables that the past is computed from."""

MEASURES = (
    "counted_loans",
    "defaulted_loans",
    "due_in_window",
    "collected_in_window",
    "opening_outstanding",
    "income_in_year",
    "balance_days",
)
"""The columns that are summed over loans: loans that are active or charged off, loans in default, the amounts of the
past, and balance_days, the sum of the principal outstanding at the end of each day of the year."""

_ZERO = ibis.literal(0, "decimal(38, 2)")
_AMOUNTS = ("due", "collected", "opening", "opening_disbursed", "income", "slope", "base")
"""The amounts of `_level`. slope and base give balance_days."""


def with_history(
    positions: ir.Table, read: Callable[[str], ir.Table], first: date, last: date, conventions: Conventions
) -> ir.Table:
    """The positions of the days first..last with MEASURES; `read` returns each of SOURCES by name.

    Also with opening_disbursed, the principal_disbursed on the day before the window.
    """
    window = conventions.health_window_days
    transactions = read("transactions")
    signed = charge_offs.counted(events.signed(transactions, last), charge_offs.effects(transactions, last))
    changes = _changes(signed, read("loans"), first - timedelta(days=max(window, DAYS_IN_YEAR)))
    repaid = _repaid(read("loans"), changes, first - timedelta(days=window))
    due = _due(read("installments"), repaid, first, last, window)
    level = _level(changes, due, first, last, window).rename(level_loan_id="loan_id")
    rows = positions.left_join(
        level,
        [
            positions.loan_id == level.level_loan_id,
            level.on <= positions.business_date,
            positions.business_date < level.until,
        ],
    )
    active = rows.status == "active"
    balance_days = rows.slope * rows.business_date.delta(ibis.literal(first), unit="day") + rows.base
    return rows.select(
        *positions.columns,
        counted_loans=rows.status.isin(("active", "charged_off")).cast("int64"),
        defaulted_loans=(
            (rows.status == "charged_off") | (active & (rows.days_past_due >= conventions.default_days))
        ).cast("int64"),
        due_in_window=money(ibis.coalesce(rows.due, _ZERO)),
        collected_in_window=money(ibis.coalesce(rows.collected, _ZERO)),
        opening_outstanding=money(ibis.coalesce(rows.opening, _ZERO)),
        opening_disbursed=money(ibis.coalesce(rows.opening_disbursed, _ZERO)),
        income_in_year=money(ibis.coalesce(rows.income, _ZERO)),
        balance_days=ibis.coalesce(wide(balance_days), _ZERO),
    )


def scored(sums: ir.Table, outstanding: str, conventions: Conventions) -> ir.Table:
    """The rows with the rates, scores, category and missing rates of docs/definitions.md.

    Args:
        sums: Rows with the sums of MEASURES over some loans.
        outstanding: The column with their principal outstanding.
        conventions: The conventions of the run.
    """
    earning = (sums.balance_days > 0).ifelse(sums.balance_days, ibis.null("decimal(38, 2)"))
    rows = sums.mutate(
        collection_rate=ratio(wide(sums.collected_in_window) * 100, sums.due_in_window),
        default_rate=ratio(sums.defaulted_loans * 100, sums.counted_loans),
        growth_rate=growth(wide(sums[outstanding]) * 100, wide(sums.opening_outstanding) * 100) * 100,
        portfolio_yield=ratio(wide(sums.income_in_year) * 100 * DAYS_IN_YEAR, earning),
    )
    rows = rows.mutate(
        collection_score=_score(rows.collection_rate),
        default_score=_score(100 - 10 * rows.default_rate),
        growth_score=_score(rows.growth_rate + 50, unknown=50),
        yield_score=_score(5 * rows.portfolio_yield),
    )
    weighted = (rows[part] * weight for part, weight in zip(HEALTH_SCORES, conventions.health_weights, strict=True))
    # Round through a decimal, so that a rounding error does not move a score from a threshold to below it.
    rows = rows.mutate(health_score=(reduce(add, weighted) / 100).cast("decimal(18, 8)").cast("float64"))
    below = zip(conventions.health_thresholds, HEALTH_CATEGORIES, strict=False)
    null_rates = (rows[name].isnull().ifelse(f", {name}", "") for name in HEALTH_RATES if name != "growth_rate")
    return rows.mutate(
        health_category=ibis.cases(
            *((rows.health_score < threshold, category) for threshold, category in below), else_=HEALTH_CATEGORIES[-1]
        ),
        missing=reduce(add, null_rates).substr(2).nullif(""),
    )


def _score(points: ir.FloatingValue, unknown: float = 0) -> ir.FloatingValue:
    """The points, cut off at 0 and 100; `unknown` if the points are null."""
    return ibis.least(ibis.greatest(points.fill_null(unknown), 0.0), 100.0)


def _changes(signed: ir.Table, loans: ir.Table, since: date) -> ir.Table:
    """The changes of each day: loan_id, on, principal, disbursed, collected, income.

    The changes up to `since` count on that day. As in positions, changes before the loan's disbursed_on count on it.
    """
    names = (*events.PRINCIPAL, "interest_paid", "fees_paid")
    rows = signed.inner_join(loans.select("loan_id", "disbursed_on"), "loan_id")
    rows = rows.group_by("loan_id", on=ibis.greatest(rows.on, rows.disbursed_on, ibis.literal(since))).agg(
        **events.totals(rows, names)
    )
    return rows.select(
        "loan_id",
        "on",
        principal=wide(events.principal_outstanding(rows)),
        disbursed=wide(rows.principal_disbursed),
        collected=wide(rows.principal_paid) + rows.interest_paid,
        income=wide(rows.interest_paid) + rows.fees_paid,
    )


def _due(installments: ir.Table, repaid: ir.Table, first: date, last: date, window: int) -> ir.Table:
    """The installments that fall due in the window of a day: loan_id, due, on, until.

    An installment counts in the windows of the days [on, until), while its schedule is in force. While no principal is
    outstanding, because nothing was disbursed yet or all is repaid, the installments after the day on which that began
    are not due: rows with the opposite amount take them out.
    """
    opening = first - timedelta(days=window)
    due = installments.select("loan_id", "version", "due_on", due=wide(installments.principal) + installments.interest)
    due = due.filter(due.due_on > opening, due.due_on <= last, due.due != 0)
    versions = schedules.versions(installments, first, last)
    due = due.inner_join(
        versions.select("loan_id", "version", "in_force_from", "in_force_until"), ["loan_id", "version"]
    )
    rows = due.select(
        "loan_id",
        "due_on",
        "due",
        on=ibis.greatest(due.due_on, due.in_force_from),
        until=ibis.least(_later(due.due_on, window), due.in_force_until),
    )
    ended = rows.inner_join(repaid, "loan_id").filter(lambda row: row.repaid_on < row.due_on)
    not_due = ended.select(
        "loan_id",
        "due_on",
        due=-ended.due,
        on=ibis.greatest(ended.on, ended.repaid_on),
        until=ibis.least(ended.until, ended.repaid_until),
    )
    rows = ibis.union(rows, not_due.cast(rows.schema()))
    return rows.filter(rows.on < rows.until, rows.until > first, rows.on <= last).drop("due_on")


def _repaid(loans: ir.Table, changes: ir.Table, opening: date) -> ir.Table:
    """The spans without principal outstanding: loan_id, repaid_on (at least `opening`), repaid_until (exclusive).

    A loan owes no principal before its first change.
    """
    since = ibis.literal(opening)
    rows = ibis.union(
        changes.select("loan_id", "principal", on=ibis.greatest(changes.on, since)),
        loans.select("loan_id", principal=_ZERO, on=since),
    )
    rows = rows.group_by("loan_id", "on").agg(principal=rows.principal.sum())
    running = ibis.window(group_by="loan_id", order_by="on", rows=(None, 0))
    rows = rows.select("loan_id", "on", repaid=rows.principal.sum().over(running) <= 0)
    order = ibis.window(group_by="loan_id", order_by="on")
    turns = rows.mutate(turns=rows.repaid != ibis.coalesce(rows.repaid.lag().over(order), False))
    turns = turns.filter(turns.turns)
    spans = turns.select(
        "loan_id",
        "repaid",
        repaid_on="on",
        repaid_until=ibis.coalesce(turns.on.lead().over(order), ibis.literal(MAX_DATE)),
    )
    return spans.filter(spans.repaid).drop("repaid")


def _level(changes: ir.Table, due: ir.Table, first: date, last: date, window: int) -> ir.Table:
    """The amounts of the past by span of days: loan_id, on, until, _AMOUNTS.

    A change counts from its day on, and leaves the window or the year when that many days have passed. The sum of the
    principal outstanding over the year that ends n days after `first` is slope × n + base: a change `c` on the day `e`
    adds c × (n − e + 1) until a year has passed, and c × DAYS_IN_YEAR from then on.
    """
    place = changes.on.delta(ibis.literal(first), unit="day")
    collected = (changes.on > first - timedelta(days=window)).ifelse(changes.collected, _ZERO)
    income = (changes.on > first - timedelta(days=DAYS_IN_YEAR)).ifelse(changes.income, _ZERO)
    steps = [
        _step(
            changes,
            changes.on,
            collected=collected,
            income=income,
            slope=changes.principal,
            base=changes.principal * (1 - place),
        ),
        _step(
            changes,
            _later(changes.on, window),
            collected=-collected,
            opening=changes.principal,
            opening_disbursed=changes.disbursed,
        ),
        _step(
            changes,
            _later(changes.on, DAYS_IN_YEAR),
            income=-income,
            slope=-changes.principal,
            base=changes.principal * (place + DAYS_IN_YEAR - 1),
        ),
        _step(due, due.on, due=due.due),
        _step(due, due.until, due=-due.due),
    ]
    rows = ibis.union(*steps)
    rows = rows.filter(rows.on <= last)
    rows = rows.group_by("loan_id", on=ibis.greatest(rows.on, ibis.literal(first))).agg(
        **{name: wide(rows[name].sum()) for name in _AMOUNTS}
    )
    if first == last:
        return rows.mutate(until=ibis.literal(last + timedelta(days=1)))
    order = ibis.window(group_by="loan_id", order_by="on")
    running = ibis.window(group_by="loan_id", order_by="on", rows=(None, 0))
    return rows.select(
        "loan_id",
        "on",
        until=ibis.coalesce(rows.on.lead().over(order), ibis.literal(last + timedelta(days=1))),
        **{name: wide(rows[name].sum().over(running)) for name in _AMOUNTS},
    )


def _step(rows: ir.Table, on: ir.DateColumn, **amounts: ir.DecimalColumn) -> ir.Table:
    """The change of each of _AMOUNTS on the day `on`; 0 for those that are not given."""
    return rows.select("loan_id", on=on, **{name: wide(amounts.get(name, _ZERO)) for name in _AMOUNTS})


def _later(on: ir.DateColumn, days: int) -> ir.DateColumn:
    return as_date(on + ibis.interval(days=days))
