"""Static pools: the loans disbursed in one month, quarter or year, by months on book.

A loan never changes its pool. Months on book are the calendar months since the month of disbursement, which is 0. A
pool reaches an age when its youngest loan reaches it. delinquency.py defines delinquency, events.py the events.
"""

from datetime import date
from typing import Literal

import ibis
import ibis.expr.types as ir

from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics import charge_offs, delinquency, events, scopes
from lending_pipelines.metrics.money import NO_AMOUNT, ZERO, as_count, money
from lending_pipelines.metrics.portfolios import PAR_DAYS
from lending_pipelines.metrics.ratios import ratio
from lending_pipelines.metrics.timeline import calendar_months

Cohort = Literal["month", "quarter", "year"]

LOSSES = ("charged_off", "recovered")
LATE = tuple(f"late_{days}" for days in PAR_DAYS)
_POOL = ("currency", "pool")


def pooled(positions: ir.Table, cohort: Cohort) -> ir.Table:
    """Add `pool`, the month, quarter or year of disbursement, to rows of loan_positions: 2025-07, 2025Q3 or 2025."""
    year, month = positions.disbursed_on.year().cast("string"), positions.disbursed_on.month().cast("string")
    pool = {
        "month": year + "-" + month.lpad(2, "0"),
        "quarter": scopes.vintage(positions.disbursed_on),
        "year": year,
    }[cohort]
    return positions.mutate(pool=pool)


def months_on_book(disbursed_on: ir.DateColumn, day: ir.DateValue) -> ir.IntegerColumn:
    """Calendar months from the month of disbursement to the day's month; 0 for a day before it."""
    return ibis.greatest(calendar_months(disbursed_on, day), 0)


def pools(loans: ir.Table, day: date, conventions: Conventions) -> ir.Table:
    """The state of each pool on the day.

    Args:
        loans: Rows of `pooled` on the day.
        day: The business date.
        conventions: They define PAR.

    Returns:
        currency, pool, first_disbursed_on, last_disbursed_on, months_on_book (reached), loan_count, active_loans,
        charged_off_loans, original_principal (total disbursed), principal_outstanding, pool_factor (outstanding ÷
        original), charged_off, recovered, net_loss, net_loss_rate (÷ original), and late_30, late_60 and late_90
        (principal).
    """
    rows = loans.group_by(*_POOL).agg(
        first_disbursed_on=loans.disbursed_on.min(),
        last_disbursed_on=loans.disbursed_on.max(),
        loan_count=as_count(loans.count()),
        active_loans=as_count((loans.status == "active").cast("int64").sum()),
        charged_off_loans=as_count((loans.status == "charged_off").cast("int64").sum()),
        original_principal=money(loans.principal_disbursed.sum()),
        principal_outstanding=money(loans.principal_outstanding.sum()),
        charged_off=money(loans.principal_charged_off.sum()),
        recovered=money(loans.recovered.sum()),
        **_late(loans, conventions),
    )
    rows = rows.mutate(
        months_on_book=months_on_book(rows.last_disbursed_on, ibis.literal(day)),
        net_loss=money(rows.charged_off - rows.recovered),
    )
    return rows.mutate(
        net_loss_rate=ratio(rows.net_loss, rows.original_principal),
        pool_factor=ratio(rows.principal_outstanding, rows.original_principal),
    )


def losses(transactions: ir.Table, day: date) -> ir.Table:
    """The charge-offs and recoveries of each loan on each day up to `day`: loan_id, on, charged_off, recovered.

    Days without either have no row.
    """
    rows = charge_offs.counted(events.signed(transactions, day), charge_offs.effects(transactions, day))
    rows = rows.filter(rows.type.isin((*events.CHARGE_OFFS, *events.RECOVERIES)))
    recovery = rows.type.isin(events.RECOVERIES)
    return rows.group_by("loan_id", "on").agg(
        charged_off=money(recovery.ifelse(ZERO, rows.principal * rows.sign).sum()),
        recovered=money(recovery.ifelse(rows.amount * rows.sign, ZERO).sum()),
    )


def curves(
    loans: ir.Table,
    lost: ir.Table,
    positions: ir.Table,
    day: ir.DateValue,
    months: int,
    conventions: Conventions,
) -> ir.Table:
    """The state of each pool at every age that it has reached, up to `months` months on book.

    Losses are summed to the end of the month of that age, at most to the day. Columns from positions are null unless
    the positions have every loan of the pool at that age.

    Args:
        loans: Rows of `pooled` on the day.
        lost: Rows of `losses` to the day.
        positions: loan_positions with one day per month.
        day: The business date.
        months: The last age.
        conventions: They define PAR.

    Returns:
        currency, pool, months_on_book, original_principal; charged_off, recovered and net_loss (cumulative),
        net_loss_rate; principal_outstanding, pool_factor; and late_30, late_60 and late_90 with `<name>_of_original`
        and `<name>_of_outstanding`.
    """
    members = loans.select("loan_id", *_POOL, "disbursed_on")
    ages = _ages(loans, day, months)
    seen = _seen(positions, members, conventions)
    keys = [*_POOL, "months_on_book"]
    rows = ages.left_join(_losses(lost, members), keys).drop(*(f"{key}_right" for key in keys))
    rows = rows.left_join(seen, keys).drop(*(f"{key}_right" for key in keys))
    so_far = ibis.window(group_by=list(_POOL), order_by="months_on_book", rows=(None, 0))
    whole_pool = rows.observed_loans == rows.loan_count
    rows = rows.mutate(
        **{name: money(ibis.coalesce(rows[name], ZERO).sum().over(so_far)) for name in LOSSES},
        **{name: whole_pool.ifelse(rows[name], NO_AMOUNT) for name in ("principal_outstanding", *LATE)},
    )
    rows = rows.mutate(net_loss=money(rows.charged_off - rows.recovered))
    return rows.mutate(
        net_loss_rate=ratio(rows.net_loss, rows.original_principal),
        pool_factor=ratio(rows.principal_outstanding, rows.original_principal),
        **{f"{name}_of_original": ratio(rows[name], rows.original_principal) for name in LATE},
        **{f"{name}_of_outstanding": ratio(rows[name], rows.principal_outstanding) for name in LATE},
    )


def _ages(loans: ir.Table, day: ir.DateValue, months: int) -> ir.Table:
    """A row per pool and reached age: currency, pool, months_on_book, loan_count, original_principal."""
    rows = loans.group_by(*_POOL).agg(
        loan_count=as_count(loans.count()),
        original_principal=money(loans.principal_disbursed.sum()),
        youngest=loans.disbursed_on.max(),
    )
    reached = ibis.least(months_on_book(rows.youngest, day), months)
    # The unnested column needs its own step, because Spark rejects a generator inside an expression.
    rows = rows.mutate(months_on_book=ibis.range(0, reached + 1).unnest()).drop("youngest")
    return rows.mutate(months_on_book=rows.months_on_book.cast("int64"))


def _losses(lost: ir.Table, members: ir.Table) -> ir.Table:
    """Charge-offs and recoveries at each age: currency, pool, months_on_book, charged_off, recovered."""
    rows = lost.inner_join(members, "loan_id")
    rows = rows.mutate(months_on_book=months_on_book(rows.disbursed_on, rows.on))
    return rows.group_by(*_POOL, "months_on_book").agg(**{name: money(rows[name].sum()) for name in LOSSES})


def _seen(positions: ir.Table, members: ir.Table, conventions: Conventions) -> ir.Table:
    """Outstanding and late principal of the observed loans at each age.

    Returns:
        currency, pool, months_on_book, observed_loans, principal_outstanding, late_30, late_60, late_90.
    """
    rows = positions.select("business_date", "loan_id", "principal_outstanding", "days_past_due")
    rows = rows.inner_join(members, "loan_id")
    rows = rows.mutate(months_on_book=months_on_book(rows.disbursed_on, rows.business_date))
    return rows.group_by(*_POOL, "months_on_book").agg(
        observed_loans=as_count(rows.count()),
        principal_outstanding=money(rows.principal_outstanding.sum()),
        **_late(rows, conventions),
    )


def _late(rows: ir.Table, conventions: Conventions) -> dict[str, ir.DecimalScalar]:
    outstanding = rows.principal_outstanding
    return {
        name: money(delinquency.in_par(rows.days_past_due, days, conventions).ifelse(outstanding, ZERO).sum())
        for name, days in zip(LATE, PAR_DAYS, strict=True)
    }
