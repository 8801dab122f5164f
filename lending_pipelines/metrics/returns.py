"""What was earned on the money lent: dated cash flows and their internal rate of return.

IRR is Excel's XIRR: the rate at which Σ amount ÷ (1 + rate)^(days from the first flow ÷ 365) = 0.
"""

from collections.abc import Iterable
from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyxirr

from lending_pipelines.metrics import scopes
from lending_pipelines.metrics.money import money

OUT = ("disbursement", "refund")
IN = ("repayment", "recovery")

ONE_SIGN = "no sign change: the flows are all in or all out"
NO_ROOT = "no rate above -100 % makes the flows worth zero"

_IRRS = ibis.dtype("array<struct<business_date: date, irr: float64, irr_with_residual: float64, irr_reason: string>>")


def xirr(dates: Iterable[date], amounts: Iterable[float]) -> tuple[float | None, str | None]:
    """XIRR of dated flows (out negative, in positive) as a fraction a year, and why there is none when it is null."""
    flows = np.asarray(list(amounts), dtype=float)
    if not (flows > 0).any() or not (flows < 0).any():
        return None, ONE_SIGN
    rate = pyxirr.xirr(list(dates), flows, silent=True)
    if rate is None or not np.isfinite(rate) or rate <= -1:
        return None, NO_ROOT
    return rate, None


def cash_flows(signed: ir.Table) -> ir.Table:
    """A loan's cash flows: loan_id, on, amount; disbursements and refunds out (−), repayments and recoveries in (+)."""
    rows = signed.filter(signed.type.isin((*OUT, *IN)))
    directed = rows.type.isin(OUT).ifelse(-rows.amount, rows.amount)
    return rows.select("loan_id", "on", amount=directed * rows.sign)


def flows_by_scope(flows: ir.Table, loans: ir.Table, memberships: dict[str, ir.Table], first: date, last: date):
    """How each scope's set of cash flows changes over the days first..last.

    `loans` has loan_id, currency and the columns of the fixed scopes; `memberships` has per scope whose members change
    (loan_id, scope_id, starts_on, ends_on or null). A scope's flows on a day are those of the loans in it on that day,
    since their beginning: joining brings a loan's earlier flows in, leaving takes them out. Returns scope, scope_id,
    currency, since (≥ first, the day from which the change counts), on (of the flow), amount.
    """
    start = ibis.literal(first)
    rows = flows.inner_join(loans, "loan_id")
    rows = rows.mutate(since=ibis.greatest(rows.on, start))
    fixed = {scope: column for scope, column in scopes.DIMENSIONS.items() if scope not in memberships}
    cube = rows.group_by("currency", "since", "on", *fixed.values()).agg(amount=money(rows.amount.sum()))
    parts = [
        scopes.one(cube, scope, column, ["since", "on"], ["amount"])
        for scope, column in (("all", None), *fixed.items())
    ]
    for scope, members in memberships.items():
        within = rows.inner_join(members, "loan_id")
        within = within.filter(within.starts_on <= last, within.ends_on.isnull() | (within.on < within.ends_on))
        joins = within.mutate(since=ibis.greatest(within.on, within.starts_on, start))
        leaves = within.filter(within.ends_on <= last)
        leaves = leaves.mutate(since=ibis.greatest(leaves.ends_on, start), amount=-leaves.amount)
        moves = ibis.union(*(t.select("currency", "scope_id", "since", "on", "amount") for t in (joins, leaves)))
        parts.append(scopes.one(moves, scope, "scope_id", ["since", "on"], ["amount"]))
    return ibis.union(*(part.select("scope", "scope_id", "currency", "since", "on", "amount") for part in parts))


def irr_by_day(flow_changes: ir.Table, residuals: ir.Table) -> ir.Table:
    """IRR of every scope on every day, without and with what is still owed as a last inflow.

    `flow_changes` as `flows_by_scope` returns it; `residuals` has business_date, scope, scope_id, currency, residual.
    Returns business_date, scope, scope_id, currency, irr, irr_with_residual, irr_reason.
    """
    keys = ("scope", "scope_id", "currency")
    changes = flow_changes.group_by(*keys).agg(
        since=flow_changes.since.collect(),
        on=flow_changes.on.collect(),
        amount=flow_changes.amount.cast("float64").collect(),
    )
    days = residuals.group_by(*keys).agg(
        days=residuals.business_date.collect(), residuals=residuals.residual.cast("float64").collect()
    )
    rows = days.inner_join(changes, keys)
    solved = rows.select(*keys, solved=_solve(rows.since, rows.on, rows.amount, rows.days, rows.residuals))
    solved = solved.mutate(solved=solved.solved.unnest())
    return solved.select(*keys, *(solved.solved[name].name(name) for name in _IRRS.value_type.names))


@ibis.udf.scalar.pyarrow(
    signature=(
        (
            "array<date>",
            "array<date>",
            "array<float64>",
            "array<date>",
            "array<float64>",
        ),
        _IRRS,
    )
)
def _solve(since, on, amount, days, residuals):
    """Per row (a scope): its flow changes and its days with residuals → the IRRs of its days."""
    columns = (since, on, amount, days, residuals)
    answers = [
        _irrs(*(np.asarray(list(value)) for value in row))
        for row in zip(*(column.to_pylist() for column in columns), strict=True)
    ]
    return pa.array(answers, type=_IRRS.to_pyarrow())


def _irrs(since: np.ndarray, on: np.ndarray, amount: np.ndarray, days: np.ndarray, residuals: np.ndarray) -> list[dict]:
    dates, position = np.unique(on, return_inverse=True)
    # Whole cents, so that flows that leave a scope cancel those that came in.
    cents = np.rint(amount * 100).astype(np.int64)
    order = np.argsort(since, kind="stable")
    since, position, cents = since[order], position[order], cents[order]
    held = np.zeros(len(dates), dtype=np.int64)
    done = 0
    answers = []
    for at in np.argsort(days, kind="stable"):
        upto = np.searchsorted(since, days[at], side="right")
        np.add.at(held, position[done:upto], cents[done:upto])
        done = upto
        live = held != 0
        flow_dates, flows = list(dates[live]), held[live] / 100
        irr, reason = xirr(flow_dates, flows)
        with_residual, no_residual_rate = xirr([*flow_dates, days[at]], [*flows, residuals[at]])
        answers.append(
            {
                "business_date": days[at],
                "irr": irr,
                "irr_with_residual": with_residual,
                "irr_reason": reason or no_residual_rate,
            }
        )
    return answers
