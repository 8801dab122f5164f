"""Payment history: the delinquency and the payments of a loan at the month ends up to a day.

The history is read from loan_positions. A month end that is not closed has no data: `X` in the string, null amounts,
and null counts if they depend on it. It never counts as a month without delinquency.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics.delinquency import delinquent
from lending_pipelines.metrics.money import NO_AMOUNT, ZERO, money
from lending_pipelines.tables import Column
from lending_pipelines.tables.schema import count, day, text
from lending_pipelines.tables.schema import money as amount

MONTHS_IN_YEAR, MONTHS_OF_HISTORY = 12, 24

_CODES = "0123456ELB"
"""The codes of month ends: by steps of 30 days past due, then closed, charged off, and nothing disbursed.

They are the codes of the Metro 2 payment history profile, most recent month first: 0 up to 29 days past due, 1 30-59, 2
60-89, 3 90-119, 4 120-149, 5 150-179, 6 180 and more, E zero balance, L charged off, B no history yet.
"""
_NOT_YET, _NO_DATA = "B", "X"
"""The codes of a month end before the disbursement, and of one that is not closed."""

_CLOSED, _CHARGED_OFF, _PENDING, _LAST_STEP = _CODES.index("E"), _CODES.index("L"), _CODES.index(_NOT_YET), 6
"""The places of codes in _CODES: closed, charged off, pending, and 180 days past due and more."""

COLUMNS: tuple[Column, ...] = (
    text(
        "delinquency_history",
        "a character a month end, the latest first, 24 of them: 0 up to 29 days past due, 1 30-59, 2 60-89, 3"
        " 90-119, 4 120-149, 5 150-179, 6 180 and more, E closed, L charged off, B not disbursed yet, X no data",
    ),
    count("history_months", "how many of the 24 month ends are known"),
    *(
        count(
            f"times_{days}_{span}m",
            f"month ends {'90 days or more' if days == 90 else f'{days} to {days + 29} days'} past due"
            f" of the last {span}",
            nullable=True,
        )
        for days in (30, 60, 90)
        for span in (MONTHS_IN_YEAR, MONTHS_OF_HISTORY)
    ),
    amount("paid_12m", "principal, interest and fees collected in the 12 months to the last month end", nullable=True),
    count("months_paid_12m", "of the last 12 whole months, those in which anything was collected", nullable=True),
    day(
        "last_late_on",
        "the day, or else the latest of its 25 month ends, on which the loan was late",
        nullable=True,
    ),
)
"""The columns that `with_history` adds."""


def month_ends(day: date, count: int) -> list[date]:
    """The last `count` month ends up to the day, latest first."""
    after = day + timedelta(days=1)
    ends = [after.replace(day=1) - timedelta(days=1)]
    while len(ends) < count:
        ends.append(ends[-1].replace(day=1) - timedelta(days=1))
    return ends


def with_history(loans: ir.Table, positions: ir.Table, day: date) -> ir.Table:
    """Add COLUMNS to the loans.

    Args:
        loans: Rows of loan_positions on the day, one per loan. They can have further columns.
        positions: loan_positions with the closed month ends.
        day: The business date. The history starts at the last month end up to it.
    """
    ends = month_ends(day, MONTHS_OF_HISTORY + 1)
    rows = _at_ends(loans, positions, ends)
    statuses = {
        f"state {n}": rows.state.max(where=rows.business_date == end) for n, end in enumerate(ends[:MONTHS_OF_HISTORY])
    }
    paid = {
        f"paid {n}": rows.paid.max(where=rows.business_date == end) for n, end in enumerate(ends[: MONTHS_IN_YEAR + 1])
    }
    months = rows.group_by("loan_id").agg(**statuses, **paid, late_on=rows.business_date.max(where=rows.late))
    loans = _beside(loans, months)
    late_now = delinquent(loans.days_past_due).ifelse(ibis.literal(day), ibis.null("date"))
    return loans.mutate(
        delinquency_history=_string(loans, ends),
        history_months=sum(
            ((loans[name] != _PENDING).fill_null(False).cast("int64") for name in statuses), ibis.literal(0, "int64")
        ),
        **{
            f"times_{days}_{span}m": _times(loans, ends[:span], days)
            for days in (30, 60, 90)
            for span in (MONTHS_IN_YEAR, MONTHS_OF_HISTORY)
        },
        **_paid(loans, ends),
        last_late_on=ibis.coalesce(late_now, loans.late_on),
    ).drop(*statuses, *paid, "late_on")


def by_month(loans: ir.Table, positions: ir.Table, ends: Sequence[date]) -> ir.Table:
    """The payments of each loan in each month, and its state at the month's end.

    Args:
        loans: Rows of loan_positions on a day, one per loan.
        positions: loan_positions with the closed month ends.
        ends: The ends of consecutive months, latest first, followed by the end of the month before.

    Returns:
        loan_id, currency, and for each month end but the last: `paid <end>`, the principal, interest and fees collected
        in the month, and `status <end>`, the bucket of an active loan or else its status. Both are null before the
        loan was disbursed and if the month end is not closed. `paid <end>` is also null if the previous month end is
        not closed.
    """
    rows = _at_ends(loans, positions, ends)
    levels = {f"level {n}": rows.paid.max(where=rows.business_date == end) for n, end in enumerate(ends)}
    statuses = {f"status {end}": rows.status.max(where=rows.business_date == end) for end in ends[:-1]}
    joined = _beside(loans, rows.group_by("loan_id").agg(**levels, **statuses))
    paid = {
        f"paid {end}": money(joined[f"level {n}"] - _level(joined, f"level {n + 1}", ends[n + 1]))
        for n, end in enumerate(ends[:-1])
    }
    return joined.select("loan_id", "currency", *statuses, **paid)


def _at_ends(loans: ir.Table, positions: ir.Table, ends: Sequence[date]) -> ir.Table:
    """Each loan at each closed month end: loan_id, business_date, late, paid (to date), status, state (its code)."""
    rows = positions.filter(positions.business_date.isin(list(ends))).semi_join(loans, "loan_id")
    return rows.select(
        "loan_id",
        "business_date",
        late=delinquent(rows.days_past_due),
        paid=money(rows.principal_paid + rows.interest_paid + rows.fees_paid),
        status=(rows.status == "active").ifelse(rows.bucket, rows.status),
        state=ibis.cases(
            (rows.status == "charged_off", _CHARGED_OFF),
            (rows.status == "closed", _CLOSED),
            (rows.status == "pending", _PENDING),
            else_=ibis.least((rows.days_past_due / 30).floor(), _LAST_STEP).cast("int64"),
        ),
    )


def _beside(loans: ir.Table, months: ir.Table) -> ir.Table:
    """Add the columns of `months` to the loans; they are null for loans without a row."""
    return loans.left_join(months, "loan_id", rname="{name}_of_months").drop("loan_id_of_months")


def _string(loans: ir.Table, ends: list[date]) -> ir.StringColumn:
    """The codes of the last MONTHS_OF_HISTORY month ends in one text, latest first."""
    codes = ibis.literal(_CODES)
    marks = [
        ibis.coalesce(codes.substr(loans[f"state {n}"], 1), (loans.disbursed_on > end).ifelse(_NOT_YET, _NO_DATA))
        for n, end in enumerate(ends[:MONTHS_OF_HISTORY])
    ]
    return marks[0].concat(*marks[1:])


def _times(loans: ir.Table, ends: list[date], days: int) -> ir.IntegerColumn:
    """The number of month ends `days` to `days` + 29 days past due (90: 90 and more). Null if one has no data."""
    least, most = days // 30, _LAST_STEP if days == 90 else days // 30
    total: ir.IntegerValue = ibis.literal(0, "int64")
    for n, end in enumerate(ends):
        hit = loans[f"state {n}"].between(least, most).cast("int64")
        total = total + ibis.coalesce(hit, (loans.disbursed_on > end).ifelse(0, ibis.null("int64")))
    return total.cast("int64")


def _paid(loans: ir.Table, ends: list[date]) -> dict[str, ir.Value]:
    """The columns paid_12m and months_paid_12m."""
    paid = [_level(loans, f"paid {n}", end) for n, end in enumerate(ends[: MONTHS_IN_YEAR + 1])]
    months = sum(((paid[n] > paid[n + 1]).cast("int64") for n in range(MONTHS_IN_YEAR)), ibis.literal(0, "int64"))
    return {"paid_12m": money(paid[0] - paid[MONTHS_IN_YEAR]), "months_paid_12m": months.cast("int64")}


def _level(loans: ir.Table, name: str, end: date) -> ir.DecimalValue:
    """The amount paid by a month end: 0 before the loan was disbursed, null if the month end is not closed."""
    return ibis.coalesce(loans[name], (loans.disbursed_on > end).ifelse(ZERO, NO_AMOUNT))
