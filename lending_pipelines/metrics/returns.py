"""Returns: dated cash flows, their rates of return, and multiples.

xirr.py computes rates.
"""

from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lending_pipelines.metrics import scopes
from lending_pipelines.metrics.money import money
from lending_pipelines.metrics.ratios import ratio
from lending_pipelines.metrics.xirr import Answer, xirrs

OUT = ("disbursement", "refund")
"""The transaction types with money that goes out."""

IN = ("repayment", "recovery")
"""The transaction types with money that comes in."""

NO_FLOWS = "no cash flows"

MAX_FLOWS_PER_BATCH = 200_000
"""The maximum number of flows of a scope's days in memory at a time; 80 bytes each."""

_IRRS = ibis.dtype("array<struct<business_date: date, irr: float64, irr_with_residual: float64, irr_reason: string>>")
# An array of one element, because Spark does not accept a struct from a function.
_LOAN_IRRS = ibis.dtype("array<struct<irr: float64, irr_with_residual: float64, irr_reason: string>>")


def cash_flows(signed: ir.Table) -> ir.Table:
    """A loan's cash flows: loan_id, on, amount; disbursements and refunds out (−), repayments and recoveries in (+)."""
    rows = signed.filter(signed.type.isin((*OUT, *IN)))
    directed = rows.type.isin(OUT).ifelse(-rows.amount, rows.amount)
    return rows.select("loan_id", "on", amount=directed * rows.sign)


def flows_by_scope(flows: ir.Table, loans: ir.Table, memberships: dict[str, ir.Table], first: date, last: date):
    """The changes of each scope's cash flows over the days first..last.

    A scope's cash flows on a day are all past cash flows of the loans in it on that day. A loan that joins adds its
    earlier cash flows; a loan that leaves removes them. No scope has a loan before its disbursed_on.

    Args:
        flows: The result of `cash_flows`.
        loans: loan_id, currency, disbursed_on, and the columns of the scopes that do not change.
        memberships: For each scope with changing members: loan_id, scope_id, starts_on, ends_on (or null).
        first: The first day.
        last: The last day.

    Returns:
        scope, scope_id, currency, since (the day from which the change counts, at least `first`), on (the date of the
        cash flow), amount.
    """
    start = ibis.literal(first)
    rows = flows.inner_join(loans, "loan_id")
    rows = rows.mutate(since=ibis.greatest(rows.on, rows.disbursed_on, start))
    fixed = {scope: column for scope, column in scopes.DIMENSIONS.items() if scope not in memberships}
    cube = rows.group_by("currency", "since", "on", *fixed.values()).agg(amount=money(rows.amount.sum()))
    parts = [
        scopes.sum_scope(cube, scope, column, ["since", "on"], ["amount"])
        for scope, column in (("all", None), *fixed.items())
    ]
    for scope, members in memberships.items():
        within = rows.inner_join(members, "loan_id")
        within = within.filter(within.starts_on <= last, within.ends_on.isnull() | (within.on < within.ends_on))
        joins = within.mutate(since=ibis.greatest(within.since, within.starts_on))
        leaves = within.filter(within.ends_on <= last)
        leaves = leaves.mutate(since=ibis.greatest(leaves.since, leaves.ends_on), amount=-leaves.amount)
        moves = ibis.union(*(t.select("currency", "scope_id", "since", "on", "amount") for t in (joins, leaves)))
        parts.append(scopes.sum_scope(moves, scope, "scope_id", ["since", "on"], ["amount"]))
    return ibis.union(*(part.select("scope", "scope_id", "currency", "since", "on", "amount") for part in parts))


def irr_by_day(flow_changes: ir.Table, residuals: ir.Table) -> ir.Table:
    """The IRR of every scope on every day, without and with the residual as a last inflow.

    Args:
        flow_changes: The result of `flows_by_scope`.
        residuals: business_date, scope, scope_id, currency, residual.

    Returns:
        business_date, scope, scope_id, currency, irr, irr_with_residual, irr_reason.
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
    """For each row (a scope): its flow changes and its days with residuals → the IRRs of its days."""
    answers = [
        _irrs(*(value.values.to_numpy(zero_copy_only=False) for value in row))
        for row in zip(since, on, amount, days, residuals, strict=True)
    ]
    return pa.array(answers, type=_IRRS.to_pyarrow())


def _irrs(since: np.ndarray, on: np.ndarray, amount: np.ndarray, days: np.ndarray, residuals: np.ndarray) -> list[dict]:
    """The IRRs of a scope's days. The flows of a day are those of the day before plus the changes of the day."""
    dates, position = np.unique(on, return_inverse=True)
    # Whole cents, so that flows that leave a scope cancel the flows that joined it exactly.
    cents = np.rint(amount * 100).astype(np.int64)
    order = np.argsort(days)
    days, residuals = days[order], residuals[order]
    day_of_change = np.searchsorted(days, since)
    flows = np.zeros(len(dates), dtype=np.int64)
    answers = []
    for first in range(0, len(days), at_once := 1 + MAX_FLOWS_PER_BATCH // len(dates)):
        today = days[first : first + at_once]
        changes = np.zeros((len(today), len(dates)), dtype=np.int64)
        changes[0] = flows
        now = (day_of_change >= first) & (day_of_change < first + len(today))
        np.add.at(changes, (day_of_change[now] - first, position[now]), cents[now])
        flows_by_day = np.cumsum(changes, axis=0)
        flows = flows_by_day[-1]
        solved = (
            _solve_days(dates, flows_by_day / 100, today, last)
            for last in (np.zeros(len(today)), residuals[first : first + at_once])
        )
        answers += [{"business_date": day.item(), **_answer(*pair)} for day, *pair in zip(today, *solved, strict=True)]
    return answers


def _solve_days(dates: np.ndarray, flows: np.ndarray, days: np.ndarray, last: np.ndarray) -> list[Answer]:
    """The XIRR of each day's row of flows on the dates, with a last flow on the day itself."""
    live = flows != 0
    sizes = np.count_nonzero(live, axis=1) + 1
    ends = np.cumsum(sizes)
    is_last = np.zeros(ends[-1], dtype=bool)
    is_last[ends - 1] = True
    on, amounts = np.empty(ends[-1], dtype="datetime64[D]"), np.empty(ends[-1])
    on[is_last], on[~is_last] = days, np.broadcast_to(dates, live.shape)[live]
    amounts[is_last], amounts[~is_last] = last, flows[live]
    return xirrs(ends - sizes, on, amounts, in_a_row=True)


def total_returns(rows: ir.Table, balance: str, disbursed: str) -> ir.Table:
    """Add the return of each row: cash received and owed, compared with the amount lent.

    Args:
        rows: Rows with total_collected, interest_receivable, and the columns named below.
        balance: The column of the principal outstanding.
        disbursed: The column of the disbursed amount.

    Returns:
        The rows with residual (principal outstanding + interest receivable), profit (collected + residual − disbursed;
        both money) and total_return (profit ÷ disbursed).
    """
    rows = rows.mutate(residual=money(rows[balance] + rows.interest_receivable))
    rows = rows.mutate(profit=money(rows.total_collected + rows.residual - rows[disbursed]))
    return rows.mutate(total_return=ratio(rows.profit, rows[disbursed]))


def loan_returns(positions: ir.Table, flows: ir.Table) -> ir.Table:
    """The returns of every loan by each day of `positions`.

    Args:
        positions: loan_positions of the days.
        flows: The result of `cash_flows`.

    Returns:
        business_date, loan_id, irr, irr_with_residual, irr_reason, moic, and the columns that `total_returns` adds.
    """
    rows = total_returns(positions, "principal_outstanding", "principal_disbursed")
    by_date = flows.group_by("loan_id", "on").agg(amount=flows.amount.sum())
    until = rows.select("business_date", "loan_id", "residual").inner_join(by_date, "loan_id")
    until = until.filter(until.on <= until.business_date)
    sets = until.group_by("business_date", "loan_id", "residual").agg(
        on=until.on.collect(), amount=until.amount.cast("float64").collect()
    )
    solved = sets.select(
        "business_date",
        "loan_id",
        solved=_solve_loans(
            sets.on.concat(ibis.array([sets.business_date])),
            sets.amount.concat(ibis.array([0.0])),
            sets.amount.concat(ibis.array([sets.residual.cast("float64")])),
        ),
    )
    solved = solved.mutate(solved=solved.solved.unnest())
    rates = _LOAN_IRRS.value_type.names
    solved = solved.select("business_date", "loan_id", *(solved.solved[name].name(name) for name in rates))
    rows = rows.left_join(solved, ["business_date", "loan_id"], rname="{name}_solved")
    return rows.select(
        "business_date",
        "loan_id",
        "residual",
        "profit",
        "irr",
        "irr_with_residual",
        irr_reason=rows.loan_id_solved.isnull().ifelse(NO_FLOWS, rows.irr_reason),
        moic=ratio(rows.total_collected, rows.principal_disbursed),
        total_return="total_return",
    )


@ibis.udf.scalar.pyarrow(signature=(("array<date>", "array<float64>", "array<float64>"), _LOAN_IRRS))
def _solve_loans(on, without, with_residual):
    """For each row (a loan on a day): the dates and amounts of its flows, without and with the residual → its IRRs."""
    sizes, dates, *sets = (
        values.to_numpy(zero_copy_only=False)
        for values in (pc.list_value_length(on), *map(pc.list_flatten, (on, without, with_residual)))
    )
    solved = (xirrs(np.cumsum(sizes) - sizes, dates.astype("datetime64[D]"), flows) for flows in sets)
    return pa.array([[_answer(*pair)] for pair in zip(*solved, strict=True)], type=_LOAN_IRRS.to_pyarrow())


def _answer(without: Answer, with_residual: Answer) -> dict:
    """The columns irr, irr_with_residual and irr_reason, from the rates without and with the residual."""
    return {"irr": without[0], "irr_with_residual": with_residual[0], "irr_reason": without[1] or with_residual[1]}
