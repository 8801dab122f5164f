"""Delinquency tables used by several reports: buckets, transitions, cures and history."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir

from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics import delinquency, roll_rates
from lending_pipelines.metrics.money import as_count, money
from lending_pipelines.metrics.ratios import with_share
from lending_pipelines.reports import columns, scopes
from lending_pipelines.reports.book import ReportColumn, ReportTable
from lending_pipelines.reports.protocol import ReportSource
from lending_pipelines.tables.derived import TRANSITION_ENTRY, TRANSITION_EXITS

_NOTHING = Decimal("0.00")

_BUCKETS = columns.lake_columns(
    "aging_buckets", "currency", "bucket", "loan_count", "principal_outstanding", "past_due_amount", "balance_share"
)
_SUMS = tuple(column.name for column in _BUCKETS if column.kind in ("money", "count"))
_PORTFOLIO_BUCKETS = (
    _BUCKETS[0],
    *columns.lake_columns("loan_positions", "portfolio_id"),
    ReportColumn("name", "Portfolio", "text"),
    *_BUCKETS[1:],
)
_TRANSITIONS = columns.lake_columns(
    "aging_transitions",
    "currency",
    "from_date",
    "from_bucket",
    "to_bucket",
    "loan_count",
    "opening_principal",
    "count_rate",
    "balance_rate",
)
_CURES = (
    ReportColumn("currency", "Currency", "text"),
    ReportColumn("from_bucket", "From bucket", "text"),
    ReportColumn("opening_loans", "Opening loans", "count"),
    ReportColumn("opening_principal", "Opening principal", "money"),
    ReportColumn("cured_loans", "Cured loans", "count"),
    ReportColumn("cured_principal", "Cured principal", "money"),
    ReportColumn("cure_count_rate", "Cure rate by count", "rate"),
    ReportColumn("cure_balance_rate", "Cure rate by balance", "rate"),
)


def by_lateness(source: ReportSource, day: date, scope: tuple[str, str]) -> ReportTable:
    """The buckets of a scope on a day, in order of days past due, with totals per currency."""
    aging = source.table("aging_buckets")
    rows = scopes.rows_of(aging.filter(aging.business_date == day), scope)
    totals = columns.totals_by_currency(rows, _BUCKETS, (*_SUMS, "balance_share"))
    return _aging(rows, totals, source.conventions, f"no loan is active on {day}")


def by_bucket(loans: ir.Table, conventions: Conventions, no_data: str) -> ReportTable:
    """The active loans among `loans` (rows of loan_positions on one day) by bucket, with totals per currency."""
    active = loans.filter(loans.status == "active")
    rows = active.group_by("currency", "bucket").agg(
        loan_count=as_count(active.count()),
        principal_outstanding=money(active.principal_outstanding.sum()),
        past_due_amount=money(active.past_due_amount.sum()),
    )
    rows = with_share(rows, "principal_outstanding").rename(balance_share="share")
    totals = columns.totals_by_currency(rows, _BUCKETS, (*_SUMS, "balance_share"))
    return replace(_aging(rows, totals, conventions, no_data), title="Active loans by bucket")


def _aging(rows: ir.Table, totals: tuple[dict[str, Any], ...], conventions: Conventions, no_data: str) -> ReportTable:
    """Rows of _BUCKETS in order of lateness, with the empty buckets."""
    rows = _with_empty(rows, ("currency",), conventions)
    printed = rows.order_by("currency", delinquency.bucket_rank(rows.bucket, conventions)).select(*_names(_BUCKETS))
    return ReportTable("Aging", _BUCKETS, columns.frame(printed), totals, no_data=no_data)


def off_balance(source: ReportSource, day: date, scope: tuple[str, str], aging: ReportTable) -> list[str]:
    """A note for each currency in which the total principal of `by_lateness` differs from the scope's balance."""
    snapshots = source.table("portfolio_snapshots")
    rows = scopes.rows_of(snapshots.filter(snapshots.business_date == day), scope).order_by("currency")
    balances = {row["currency"]: row["total_balance"] for row in rows.to_pyarrow().to_pylist()}
    aged = {row["currency"]: row["principal_outstanding"] for row in aging.totals}
    return [
        f"{currency}: aging adds up to {aged.get(currency, _NOTHING):,}, the portfolio balance is {balance:,}. The"
        f" difference of {balance - aged.get(currency, _NOTHING):,} is the principal of loans that are not active;"
        " if negative, credit balances of overpaid loans."
        for currency, balance in balances.items()
        if balance != aged.get(currency, _NOTHING)
    ]


def by_portfolio(source: ReportSource, day: date, scope: tuple[str, str]) -> ReportTable:
    """The buckets of each portfolio within a scope on a day. Loans without a portfolio come last.

    The totals are those of `by_lateness`. A share is the bucket's part of the portfolio's active principal in the
    currency.
    """
    positions = source.table("loan_positions")
    loans = scopes.loans_of(positions.filter(positions.business_date == day), scope)
    rows = delinquency.buckets_of(loans, "portfolio_id")
    rows = rows.left_join(scopes.names_of(source, day, "portfolio"), [("portfolio_id", "scope_id")])
    rows = rows.mutate(name=rows.portfolio_id.isnull().ifelse("in no portfolio", rows.name))
    totals = columns.totals_by_currency(rows, _PORTFOLIO_BUCKETS)
    rows = _with_empty(rows, ("currency", "portfolio_id", "name"), source.conventions)
    order = (
        "currency",
        ibis.asc("portfolio_id", nulls_first=False),
        delinquency.bucket_rank(rows.bucket, source.conventions),
    )
    return ReportTable(
        "Aging by portfolio",
        _PORTFOLIO_BUCKETS,
        columns.frame(rows.order_by(*order).select(*_names(_PORTFOLIO_BUCKETS))),
        totals,
        no_data=f"no loan is active on {day}",
    )


def transitions_of(source: ReportSource, day: date, scope: tuple[str, str]) -> ir.Table:
    """The rows of aging_transitions of a scope on a day."""
    transitions = source.table("aging_transitions")
    return scopes.rows_of(transitions.filter(transitions.business_date == day), scope)


def transitions(rows: ir.Table, conventions: Conventions, no_data: str) -> ReportTable:
    """Every movement between buckets, including exits and entries."""
    order = (
        delinquency.bucket_rank(rows.from_bucket, conventions),
        delinquency.bucket_rank(rows.to_bucket, conventions),
    )
    printed = rows.order_by("currency", *order).select(*_names(_TRANSITIONS))
    return ReportTable("Transitions", _TRANSITIONS, columns.frame(printed), no_data=no_data)


def transition_matrix(rows: ir.Table, rate: str, title: str, conventions: Conventions, no_data: str) -> ReportTable:
    """`rate` from each opening bucket (rows) to each closing bucket or exit (columns). A row adds up to 1.

    A cell is 0 if the opening bucket had loans and none of them moved there. It is blank if the rate is undefined,
    because nothing was outstanding.
    """
    rows = rows.filter(rows.from_bucket != TRANSITION_ENTRY)
    across = (*conventions.buckets, *TRANSITION_EXITS)
    cells = {
        to: ibis.ifelse(rows[rate].count() > 0, ibis.coalesce(rows[rate].sum(where=rows.to_bucket == to), 0.0), None)
        for to in across
    }
    matrix = rows.group_by("currency", "from_bucket").agg(
        opening_loans=rows.loan_count.sum(), opening_principal=rows.opening_principal.sum(), **cells
    )
    printed = (
        *_CURES[:4],
        *(
            ReportColumn(to, f"To {columns.label(to)}" if to in TRANSITION_EXITS else f"To {to}", "rate")
            for to in across
        ),
    )
    ordered = matrix.order_by("currency", delinquency.bucket_rank(matrix.from_bucket, conventions)).select(
        *_names(printed)
    )
    return ReportTable(title, printed, columns.frame(ordered), no_data=no_data)


def cures(rows: ir.Table, conventions: Conventions, no_data: str) -> ReportTable:
    """The cure rate of each past due bucket. The totals have the rate of all past due buckets together."""
    late = rows.filter(rows.from_bucket.isin(conventions.buckets[1:]))
    each = roll_rates.cure_rates(late, "currency", "from_bucket")
    printed = each.order_by("currency", delinquency.bucket_rank(each.from_bucket, conventions)).select(*_names(_CURES))
    totals = roll_rates.cure_rates(late, "currency").order_by("currency").to_pyarrow().to_pylist()
    return ReportTable(
        "Cure rates",
        _CURES,
        columns.frame(printed),
        tuple({**row, "from_bucket": "all late"} for row in totals),
        no_data=no_data,
    )


def bucket_history(source: ReportSource, covered: Sequence[date], scope: tuple[str, str], currency: str) -> ReportTable:
    """The principal outstanding per bucket on each covered day. A bucket without rows on a day has 0."""
    aging = source.table("aging_buckets")
    rows = scopes.rows_of(aging.filter(aging.business_date.isin(covered), aging.currency == currency), scope)
    buckets = source.conventions.buckets
    balances = {
        bucket: ibis.coalesce(
            rows.principal_outstanding.sum(where=rows.bucket == bucket), ibis.literal(0, "decimal(38, 2)")
        )
        for bucket in buckets
    }
    history = rows.group_by("business_date").agg(**balances, total=rows.principal_outstanding.sum())
    printed = (
        ReportColumn("business_date", "Business date", "date"),
        *(ReportColumn(bucket, bucket, "money") for bucket in buckets),
        ReportColumn("total", "Total", "money"),
    )
    return ReportTable(
        f"Bucket history {currency}", printed, columns.frame(history.order_by("business_date").select(*_names(printed)))
    )


def _with_empty(rows: ir.Table, keys: Sequence[str], conventions: Conventions) -> ir.Table:
    """Add a row of zeros for each bucket of the conventions that has no loans, per keys."""
    buckets = ibis.memtable({"every_bucket": list(conventions.buckets)})
    grid = rows.select(*keys).distinct().cross_join(buckets)
    same = [grid[key].identical_to(rows[key]) for key in keys]
    full = grid.left_join(rows, [*same, grid.every_bucket == rows.bucket], rname="{name}_of_rows")
    zeros = {
        name: ibis.coalesce(full[name], ibis.literal(0).cast(full[name].type())) for name in (*_SUMS, "balance_share")
    }
    return full.mutate(bucket=full.every_bucket, **zeros)


def _names(printed: Sequence[ReportColumn]) -> list[str]:
    return [column.name for column in printed]
