"""What was earned on the money lent: dated cash flows and their internal rate of return.

IRR is Excel's XIRR: the rate at which Σ amount ÷ (1 + rate)^(days from the first flow ÷ 365) = 0. It is found here and
not by pyxirr, which takes a hundred times as long for flows without a rate, as every young portfolio has them, and near
-100 % answers with rates that are none. Where pyxirr is right the two agree.
"""

from collections.abc import Sequence
from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from lending_pipelines.metrics import scopes
from lending_pipelines.metrics.money import money

OUT = ("disbursement", "refund")
IN = ("repayment", "recovery")

ONE_SIGN = "no sign change: the flows are all in or all out"
NO_ROOT = "no rate above -100 % makes the flows worth zero"

DAYS_A_YEAR = 365
LOWEST, HIGHEST = -1 + 1e-6, 1e250
"""The rates looked at; a loan repaid the next day with a fee may well earn a million times its amount a year."""

_LEAST, _MOST = -np.log1p(HIGHEST), -np.log1p(LOWEST)
_STEPS = 24
_GRID = np.append(_LEAST, np.linspace(-_MOST, _MOST, 101))
_CLOSE = 1e-12

_IRRS = ibis.dtype("array<struct<business_date: date, irr: float64, irr_with_residual: float64, irr_reason: string>>")


def xirr(dates: Sequence[date] | np.ndarray, amounts: Sequence[float] | np.ndarray) -> tuple[float | None, str | None]:
    """XIRR of dated flows (out negative, in positive) as a fraction a year, and why there is none when it is null.

    A rate below LOWEST, which is -100 % in all but name, is none.
    """
    on, flows = np.asarray(dates, dtype="datetime64[D]"), np.asarray(amounts, dtype=float)
    if not flows.size or flows.min() >= 0 or flows.max() <= 0:
        return None, ONE_SIGN
    order = np.argsort(on, kind="stable")
    on, flows = on[order], flows[order]
    years = (on - on[0]).astype(float) / DAYS_A_YEAR
    x = _newton(years, flows)
    if x is None:
        x = _bisection(years, flows)
    return (None, NO_ROOT) if x is None else (float(np.expm1(-x)), None)


def _newton(years: np.ndarray, flows: np.ndarray) -> float | None:
    """x = -log(1 + rate) by a few steps, which is all that ordinary flows need; None where they do not lead to one.

    Newton's method on log(worth of what came in ÷ worth of what went out) as a function of x: almost a straight line.
    """
    came_in, went_out = np.maximum(flows, 0), np.maximum(-flows, 0)
    x = 0.0
    for _ in range(_STEPS):
        growth = _growth(x * years)
        worth_in, worth_out = came_in @ growth, went_out @ growth
        if worth_in == 0 or worth_out == 0:
            return None
        slope = (came_in * years) @ growth / worth_in - (went_out * years) @ growth / worth_out
        if slope == 0:
            return None
        step = np.log(worth_in / worth_out) / slope
        before, x = x, min(max(x - step, _LEAST), _MOST)
        if abs(step) < _CLOSE:
            return x
        if x == before:
            return None
    return None


def _bisection(years: np.ndarray, flows: np.ndarray) -> float | None:
    """x where what the flows are worth changes sign, the one nearest to a rate of 0; None if it nowhere does."""
    positive = _growth(np.outer(_GRID, years)) @ flows > 0
    crossings = np.flatnonzero(positive[1:] != positive[:-1])
    if not crossings.size:
        return None
    at = crossings[np.abs(_GRID[crossings]).argmin()]
    low, high = _GRID[at], _GRID[at + 1]
    while high - low > _CLOSE:
        middle = (low + high) / 2
        if (_growth(middle * years) @ flows > 0) == positive[at]:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _growth(exponents: np.ndarray) -> np.ndarray:
    """exp, but for a common factor that keeps it finite."""
    return np.exp(exponents - exponents.max(axis=-1, keepdims=True))


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
    answers = [
        _irrs(*(value.values.to_numpy(zero_copy_only=False) for value in row))
        for row in zip(since, on, amount, days, residuals, strict=True)
    ]
    return pa.array(answers, type=_IRRS.to_pyarrow())


def _irrs(since: np.ndarray, on: np.ndarray, amount: np.ndarray, days: np.ndarray, residuals: np.ndarray) -> list[dict]:
    dates, position = np.unique(on, return_inverse=True)
    # Whole cents, so that flows that leave a scope cancel those that came in.
    cents = np.rint(amount * 100).astype(np.int64)
    order = np.argsort(since, kind="stable")
    position, cents = position[order], cents[order]
    by_day = np.argsort(days, kind="stable")
    until = np.searchsorted(since[order], days[by_day], side="right")
    held = np.zeros(len(dates), dtype=np.int64)
    done = 0
    answers = []
    for day, residual, upto in zip(days[by_day], residuals[by_day], until, strict=True):
        np.add.at(held, position[done:upto], cents[done:upto])
        done = upto
        live = held != 0
        flow_dates, flows = dates[live], held[live] / 100
        irr, reason = xirr(flow_dates, flows)
        with_residual, no_residual_rate = xirr(np.append(flow_dates, day), np.append(flows, residual))
        answers.append(
            {
                "business_date": day.item(),
                "irr": irr,
                "irr_with_residual": with_residual,
                "irr_reason": reason or no_residual_rate,
            }
        )
    return answers
