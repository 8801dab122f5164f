"""portfolio_snapshots: balances, delinquency and returns of every scope on every day."""

from collections.abc import Callable
from datetime import date

import ibis
import ibis.expr.types as ir

from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics import delinquency, events, health, returns, scopes
from lending_pipelines.metrics.as_json import as_json
from lending_pipelines.metrics.money import ZERO, money, wide
from lending_pipelines.metrics.ratios import ratio
from lending_pipelines.tables.schema import RATE

RATE_UNIT = 10**8
"""A rate of 1 in units of its last decimal."""

MOST_RATE = 1000
"""Average rates of 100,000 % or more are not meaningful and become null."""

SOURCES = (
    "loans",
    "transactions",
    "installments",
    "programs",
    "products",
    "branches",
    "portfolio_membership",
    "loan_ownership",
)
"""The tables that a snapshot needs in addition to loan_positions."""

PAR_DAYS = (30, 60, 90)
_KEYS = ("business_date", "scope", "scope_id", "currency")


def portfolio_snapshots(
    positions: ir.Table, read: Callable[[str], ir.Table], first: date, last: date, conventions: Conventions
) -> ir.Table:
    """The table portfolio_snapshots for the days first..last of `positions`; `read` returns each of SOURCES by name."""
    totals = _totals(health.with_history(positions, read, first, last, conventions), conventions)
    residuals = totals.select(*_KEYS, residual=money(wide(totals.total_balance) + totals.interest_receivable))
    irrs = returns.irr_by_day(_flow_changes(read, first, last), residuals)
    rows = totals.left_join(irrs, _KEYS, rname="{name}_irr").left_join(_names(read), ["scope", "scope_id"])
    return rows.mutate(
        moic=ratio(rows.total_collected, rows.total_disbursed),
        irr_reason=rows.scope_irr.isnull().ifelse(returns.NO_FLOWS, rows.irr_reason),
    )


def rate_weight(positions: ir.Table) -> ir.DecimalColumn:
    """annual_rate × principal outstanding of each position, to be summed for `weighted_rate`.

    The product is exact, in hundred-millionths: Spark rounds products of many decimals.
    """
    rate = (positions.annual_rate.cast("float64") * RATE_UNIT).round().cast("int64")
    return rate * positions.principal_outstanding.cast("decimal(38, 2)")


def weighted_rate(weight: ir.DecimalValue, balance: ir.DecimalValue) -> ir.DecimalValue:
    """The average rate from sums of `rate_weight` and of principal outstanding.

    It is null if the balance is zero, or so close to zero because of credit balances that the quotient is not a rate.
    """
    rate = weight.cast("float64") / RATE_UNIT / balance.cast("float64").nullif(0)
    return (rate.abs() < MOST_RATE).ifelse(rate, ibis.null("float64")).cast(RATE)


def _totals(positions: ir.Table, conventions: Conventions) -> ir.Table:
    """The sums over loans, and their ratios."""
    active = positions.status == "active"
    outstanding = positions.principal_outstanding
    sums: dict[str, ir.Value] = {
        "total_balance": outstanding,
        "delinquent_amount": delinquency.delinquent(positions.days_past_due).ifelse(outstanding, ZERO),
        "loan_count": active.cast("int64"),
        "rate_weight": rate_weight(positions),
        "total_disbursed": positions.principal_disbursed,
        "charged_off": positions.principal_charged_off,
    }
    for days in PAR_DAYS:
        late = delinquency.in_par(positions.days_past_due, days, conventions)
        sums[f"late_{days}"] = late.ifelse(outstanding, ZERO)
    for number, bucket in enumerate(conventions.buckets):
        inside = active & (positions.bucket == bucket)
        sums[f"count_{number}"] = inside.cast("int64")
        sums[f"balance_{number}"] = inside.ifelse(outstanding, ZERO)
    as_they_are = ("interest_receivable", "past_due_amount", "total_collected", "recovered", *health.MEASURES)
    rows = positions.mutate(**sums)
    rows = scopes.roll_up(rows, ["business_date"], [*sums, *as_they_are])
    return health.scored(rows, "total_balance", conventions).mutate(
        weighted_avg_rate=weighted_rate(rows.rate_weight, rows.total_balance),
        bucket_breakdown=_breakdown(rows, conventions),
        **{f"par_{days}": ratio(rows[f"late_{days}"], rows.total_balance) for days in PAR_DAYS},
    )


def _breakdown(rows: ir.Table, conventions: Conventions) -> ir.StringColumn:
    """JSON: {count, balance} per bucket, including empty ones."""
    buckets = {
        bucket: ibis.struct({"count": rows[f"count_{number}"], "balance": rows[f"balance_{number}"]})
        for number, bucket in enumerate(conventions.buckets)
    }
    return as_json(ibis.struct(buckets))


def _flow_changes(read: Callable[[str], ir.Table], first: date, last: date) -> ir.Table:
    """The changes of each scope's cash flows over the days first..last, as `returns.flows_by_scope` returns them."""
    flows = returns.cash_flows(events.signed(read("transactions"), last))
    loans = read("loans")
    loans = loans.filter(loans.disbursed_on <= last).left_join(
        read("products").select("product_id", "program_id"), "product_id"
    )
    loans = loans.select(
        *("loan_id", "currency", "disbursed_on", "program_id", "product_id", "branch_id"),
        vintage=scopes.vintage(loans.disbursed_on),
    )
    members = {
        "portfolio": _members(read("portfolio_membership"), "portfolio_id"),
        "investor": _members(read("loan_ownership"), "investor_id"),
    }
    return returns.flows_by_scope(flows, loans, members, first, last)


def _members(intervals: ir.Table, scope_id: str) -> ir.Table:
    """The loans of a scope over time, as `returns.flows_by_scope` takes them."""
    return intervals.select("loan_id", scope_id=scope_id, starts_on="assigned_on", ends_on="removed_on")


def _names(read: Callable[[str], ir.Table]) -> ir.Table:
    """scope, scope_id, name of the scopes that have one."""
    parts = [
        read(table).select(scope_id=key, name="name").mutate(scope=ibis.literal(scope))
        for scope, table, key in (
            ("program", "programs", "program_id"),
            ("product", "products", "product_id"),
            ("branch", "branches", "branch_id"),
        )
    ]
    parts += [
        read(table).select(scope_id=key, name=name).distinct().mutate(scope=ibis.literal(scope))
        for scope, table, key, name in (
            ("portfolio", "portfolio_membership", "portfolio_id", "portfolio_name"),
            ("investor", "loan_ownership", "investor_id", "investor_name"),
        )
    ]
    return ibis.union(*parts)
