"""Payment history: how late a loan was, and whether it paid, at the ends of the months up to the tape's day.

It is read from loan_positions of those month ends. A month end that is not in the lake is no data: `X` in the string,
and no count that it would belong to; it is never taken for a month without lateness.
"""

from datetime import date

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics.money import NO_AMOUNT, ZERO, money
from lending_pipelines.tables.schema import count, day, text
from lending_pipelines.tables.schema import money as amount
from lending_pipelines.tapes.parts import POSITIONS, Held, Part, month_ends, with_columns

YEAR, MONTHS = 12, 24

_CODES = "0123456EL"
"""What a month end's state is written as, by its number: by 30 days of lateness, then closed, then charged off.

Source: the codes of the Metro 2 payment history profile, most recent month first: 0 up to 29 days past due, 1 30-59, 2
60-89, 3 90-119, 4 120-149, 5 150-179, 6 180 and more, E a zero balance, L charged off, B no history yet.
"""
_CLOSED, _CHARGED_OFF, _LATEST = _CODES.index("E"), _CODES.index("L"), 6
_NOT_YET, _NO_DATA = "B", "X"


def _history(loans: ir.Table, held: Held) -> ir.Table:
    ends = month_ends(held.day, MONTHS + 1)
    rows = held.read(POSITIONS)
    rows = rows.filter(rows.business_date.isin(ends)).semi_join(held.positions, "loan_id")
    rows = rows.select(
        "loan_id",
        "business_date",
        late=rows.days_past_due > 0,
        paid=money(rows.principal_paid + rows.interest_paid + rows.fees_paid),
        state=ibis.cases(
            (rows.status == "charged_off", _CHARGED_OFF),
            (rows.status == "closed", _CLOSED),
            else_=ibis.least((rows.days_past_due / 30).floor(), _LATEST).cast("int64"),
        ),
    )
    states = {f"state {n}": rows.state.max(where=rows.business_date == end) for n, end in enumerate(ends[:MONTHS])}
    paid = {f"paid {n}": rows.paid.max(where=rows.business_date == end) for n, end in enumerate(ends[: YEAR + 1])}
    months = rows.group_by("loan_id").agg(**states, **paid, late_on=rows.business_date.max(where=rows.late))
    loans = with_columns(loans, months, *states, *paid, "late_on")
    late_now = (loans.days_past_due > 0).ifelse(ibis.literal(held.day), ibis.null("date"))
    return loans.mutate(
        delinquency_history=_string(loans, ends),
        history_months=sum((loans[name].notnull().cast("int64") for name in states), ibis.literal(0, "int64")),
        **{
            f"times_{days}_{span}m": _times(loans, ends[:span], days)
            for days in (30, 60, 90)
            for span in (YEAR, MONTHS)
        },
        **_paid(loans, ends),
        last_late_on=ibis.coalesce(late_now, loans.late_on),
    ).drop(*states, *paid, "late_on")


def _string(loans: ir.Table, ends: list[date]) -> ir.StringColumn:
    codes = ibis.literal(_CODES)
    marks = [
        ibis.coalesce(codes.substr(loans[f"state {n}"], 1), (loans.disbursed_on > end).ifelse(_NOT_YET, _NO_DATA))
        for n, end in enumerate(ends[:MONTHS])
    ]
    return marks[0].concat(*marks[1:])


def _times(loans: ir.Table, ends: list[date], days: int) -> ir.IntegerColumn:
    """How many month ends the loan was `days` to `days` + 29 days late, 90 meaning 90 and more; null where unknown."""
    least, most = days // 30, _LATEST if days == 90 else days // 30
    total: ir.IntegerValue = ibis.literal(0, "int64")
    for n, end in enumerate(ends):
        hit = loans[f"state {n}"].between(least, most).cast("int64")
        total = total + ibis.coalesce(hit, (loans.disbursed_on > end).ifelse(0, ibis.null("int64")))
    return total.cast("int64")


def _paid(loans: ir.Table, ends: list[date]) -> dict[str, ir.Value]:
    paid = [
        ibis.coalesce(loans[f"paid {n}"], (loans.disbursed_on > end).ifelse(ZERO, NO_AMOUNT))
        for n, end in enumerate(ends[: YEAR + 1])
    ]
    months = sum(((paid[n] > paid[n + 1]).cast("int64") for n in range(YEAR)), ibis.literal(0, "int64"))
    return {"paid_12m": money(paid[0] - paid[YEAR]), "months_paid_12m": months.cast("int64")}


PART = Part(
    "history",
    (),
    (
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
            for span in (YEAR, MONTHS)
        ),
        amount(
            "paid_12m", "principal, interest and fees collected in the 12 months to the last month end", nullable=True
        ),
        count("months_paid_12m", "of the last 12 whole months, those in which anything was collected", nullable=True),
        day(
            "last_late_on",
            "the day, or else the latest of its 25 month ends, on which the loan was late",
            nullable=True,
        ),
    ),
    _history,
)
