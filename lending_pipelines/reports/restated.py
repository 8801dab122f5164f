"""The tables of the report on restatements: what was reported, what is known now, and what was sent.

The differences are found by the close (restatements/detect.py). Snapshots and the trial balance as known now are
computed here for one day, by the expressions of the close.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics import ledger, portfolios, positions
from lending_pipelines.metrics.money import ZERO, money
from lending_pipelines.reports.protocol import ReportSource
from lending_pipelines.tables.records import EVERY_LOAN
from lending_pipelines.tables.schema import MONEY

SNAPSHOT_METRICS = (
    "total_balance",
    "delinquent_amount",
    "past_due_amount",
    "loan_count",
    "par_30",
    "par_60",
    "par_90",
    "irr",
    "irr_with_residual",
    "moic",
    "charged_off",
    "recovered",
    "collection_rate",
    "default_rate",
    "health_score",
)
"""The metrics of portfolio_snapshots that are compared."""

_VALUE = ("business_date", "loan_id", "column")
_SCOPE = ("scope", "scope_id", "currency")
_BALANCES = ("debit_total", "credit_total", "balance")


def changed_values(source: ReportSource, first: date | None, last: date) -> ir.Table:
    """Every value of the closed days that was restated: as first reported, and as known at the latest detection.

    Returns:
        business_date, loan_id, column, currency, reported, restated, difference (money; null for values that are not
        amounts), caused_by, posted_at, detected_at, portfolio_id of the day as closed, and closed_again: whether the
        day was closed again since.
    """
    rows = source.table("restatements")
    rows = rows.filter(rows.business_date <= last)
    if first is not None:
        rows = rows.filter(rows.business_date >= first)
    oldest = ibis.window(group_by=_VALUE, order_by=rows.detected_at)
    newest = ibis.window(group_by=_VALUE, order_by=rows.detected_at.desc())
    rows = rows.mutate(
        place=ibis.row_number().over(newest),
        first_reported=rows.reported.first(include_null=True).over(oldest),
    )
    rows = rows.filter(rows.place == 0, ~rows.first_reported.identical_to(rows.restated))
    number = [rows[name].try_cast("decimal(38, 8)") for name in ("first_reported", "restated")]
    absent = ibis.literal(0).cast("decimal(38, 8)")
    exact = ibis.coalesce(number[1], absent) - ibis.coalesce(number[0], absent)
    rows = rows.mutate(difference=rows["difference"].notnull().ifelse(money(exact), ibis.null(MONEY)))
    closes = source.table("closed_days")
    closes = closes.filter(closes.table_name == "loan_positions").select("business_date", "closed_at")
    rows = rows.left_join(closes, "business_date", rname="{name}_of_close")
    held = source.table("loan_positions").select("business_date", "loan_id", "portfolio_id")
    rows = rows.left_join(held, ["business_date", "loan_id"], rname="{name}_of_position")
    return rows.select(
        *_VALUE,
        "currency",
        "restated",
        "difference",
        "caused_by",
        "posted_at",
        "detected_at",
        "portfolio_id",
        reported="first_reported",
        closed_again=(rows.closed_at > rows.detected_at).fill_null(False),
    )


def by_day(changed: ir.Table, locks: ir.Table) -> ir.Table:
    """The loans and the differences of each changed day and currency, and its state: due, closed again or locked."""
    last_locked = locks.period_end.max().as_scalar()
    rows = changed.filter(changed.loan_id != EVERY_LOAN)
    days = rows.group_by("business_date", "currency").agg(
        loans=rows.loan_id.nunique(),
        values=rows.count(),
        principal_difference=ibis.coalesce(rows["difference"].sum(where=rows.column == "principal_outstanding"), ZERO),
        past_due_difference=ibis.coalesce(rows["difference"].sum(where=rows.column == "past_due_amount"), ZERO),
        closed_again=rows.closed_again.all(),
    )
    state = ibis.cases(
        (days.closed_again, "closed again"),
        ((days.business_date <= last_locked).fill_null(False), "locked"),
        else_="due",
    )
    days = days.mutate(
        principal_difference=money(days.principal_difference), past_due_difference=money(days.past_due_difference)
    )
    return days.mutate(state=state).order_by("business_date", "currency")


def by_loan(changed: ir.Table) -> ir.Table:
    """The days and causes of each changed loan, and the difference in principal on its last changed day."""
    rows = changed.filter(changed.loan_id != EVERY_LOAN)
    ends = rows.group_by("loan_id", "currency").agg(
        first_day=rows.business_date.min(), last_day=rows.business_date.max(), days=rows.business_date.nunique()
    )
    both = rows.join(ends, ["loan_id", "currency"], rname="{name}_of_loan")
    on_last = both.filter(both.business_date == both.last_day)
    return (
        on_last.group_by("loan_id", "currency", "first_day", "last_day", "days")
        .agg(
            portfolio_id=on_last.portfolio_id.max(),
            principal_difference=money(
                ibis.coalesce(on_last["difference"].sum(where=on_last.column == "principal_outstanding"), ZERO)
            ),
            caused_by=on_last.caused_by.max(),
            posted_at=on_last.posted_at.max(),
        )
        .order_by("currency", "loan_id")
    )


def totals(changed: ir.Table) -> list[dict[str, Any]]:
    """Per currency the changed days and loans, and the difference in principal on the last changed day."""
    rows = changed.filter(changed.loan_id != EVERY_LOAN)
    counts = rows.group_by("currency").agg(days=rows.business_date.nunique(), loans=rows.loan_id.nunique())
    last = rows.group_by("currency").agg(last_day=rows.business_date.max())
    both = rows.join(last, "currency", rname="{name}_of_currency")
    principal = both.filter(both.business_date == both.last_day, both.column == "principal_outstanding")
    sums = principal.group_by("currency").agg(principal=principal["difference"].sum())
    found = counts.left_join(sums, "currency", rname="{name}_of_sum")
    found = found.select("currency", "days", "loans", principal_difference=money(found.principal.coalesce(ZERO)))
    return found.order_by("currency").to_pyarrow().to_pylist()


def adjustments(changed: ir.Table, locks: ir.Table) -> ir.Table:
    """The differences of amounts on the last day of each locked period, by loan: adjustments of the next period."""
    rows = changed.filter(changed["difference"].notnull(), changed.loan_id != EVERY_LOAN, ~changed.closed_again)
    rows = rows.join(locks.select("period_end"), rows.business_date == locks.period_end)
    rows = rows.mutate(shown_from=(rows.period_end + ibis.interval(days=1)).cast("timestamp").cast("date"))
    return rows.select(
        "period_end", "shown_from", "currency", "loan_id", "column", "reported", "restated", "difference", "caused_by"
    ).order_by("period_end", "currency", "loan_id", "column")


def both_snapshots(source: ReportSource, day: date) -> tuple[ir.Table, ir.Table]:
    """The rows of portfolio_snapshots on a day: as first reported, and as known now."""
    known = positions.loan_positions(source.table, day, day, source.conventions)
    # Compute the rows first: a query can contain this expression only once, because its parts have fixed names.
    known = ibis.memtable(known.to_pyarrow())
    now = portfolios.portfolio_snapshots(known, source.table, day, day, source.conventions)
    then = source.as_reported([day]).table("portfolio_snapshots")
    return then.filter(then.business_date == day), ibis.memtable(now.to_pyarrow())


def changed_metrics(then: ir.Table, now: ir.Table) -> ir.Table:
    """The metrics of portfolio_snapshots that differ between the two results of `both_snapshots`."""
    return _side_by_side(then, now, _SCOPE, SNAPSHOT_METRICS)


def balances_on(source: ReportSource, day: date) -> ir.Table:
    """The balances of the trial balance on a day that differ between first reported and known now."""
    now = ledger.trial_balance(source.table("journal_lines"), source.table("gl_accounts"), day, day)
    then = source.as_reported([day]).table("trial_balance")
    keys = ("account_code", "currency")
    return _side_by_side(then.filter(then.business_date == day), now, keys, _BALANCES)


def _side_by_side(then: ir.Table, now: ir.Table, keys: Sequence[str], names: Sequence[str]) -> ir.Table:
    """A row per key and measure that differs: reported, known and difference, as doubles."""
    both = then.select(**{f"then_{name}": then[name] for name in (*keys, *names)}).outer_join(
        now.select(**{f"now_{name}": now[name] for name in (*keys, *names)}),
        [(f"then_{name}", f"now_{name}") for name in keys],
    )
    key = {name: ibis.coalesce(both[f"then_{name}"], both[f"now_{name}"]) for name in keys}
    parts = [
        both.select(
            **key,
            metric=ibis.literal(name),
            reported=both[f"then_{name}"].cast("float64"),
            known=both[f"now_{name}"].cast("float64"),
        )
        for name in names
    ]
    rows = ibis.union(*parts)
    rows = rows.filter(~rows.reported.identical_to(rows.known))
    return rows.mutate(difference=rows.known - rows.reported).order_by(*keys, "metric")


def sent(source: ReportSource, changed: ir.Table) -> ir.Table:
    """The tapes and reports of changed days that were sent before the difference was found, by recipient."""
    published = source.table("published")
    days = changed.filter(changed.loan_id != EVERY_LOAN)
    days = days.group_by("business_date", "portfolio_id").agg(
        found=days.detected_at.max(), loans=days.loan_id.nunique()
    )
    rows = published.join(days, "business_date", rname="{name}_of_day")
    touched = (rows.kind == "report") | rows.portfolio_id.identical_to(rows.portfolio_id_of_day)
    rows = rows.filter(touched, rows.sent_at < rows.found, rows.name != "restatement")
    return (
        rows.group_by("kind", "name", "business_date", "recipient", "sent_at", "output_id")
        .agg(changed_loans=rows.loans.sum())
        .order_by("kind", "name", "business_date", "recipient", "sent_at")
    )
