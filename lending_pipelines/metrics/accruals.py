"""Interest from accruals: by day from the rate and the principal outstanding, or as the servicing system recorded it.

These are the conventions `daily` and `servicer` of interest_accrual. Scheduled interest is in schedules.py.

Daily interest is summed exactly and rounded to the cent once. Sums are in *units*: a unit is a cent × a rate of 1e-8 ×
a step of the loan's day count. A step is a day, a day of 30/360, or a 133,590th of a year by actual/actual.
"""

from collections.abc import Callable
from datetime import date

import ibis
import ibis.expr.types as ir

from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.metrics import events, pauses
from lending_pipelines.metrics.money import ZERO, cents, from_cents, half_even, money, wide, without_fraction
from lending_pipelines.metrics.timeline import MIN_DATE, as_date
from lending_pipelines.tables.accruals import as_transactions

_ACTUAL_YEAR = 365 * 366
"""The steps of a year by actual/actual: a day has 366 of them, or 365 in a leap year."""

_STEPS_A_YEAR = {"30/360": 360, "actual/360": 360, "actual/365": 365, "actual/actual": _ACTUAL_YEAR}
"""The steps of a year by day count."""

_UNITS_OF_RATE = 10**8
"""A rate of 1, in units of 1e-8."""

_NO_UNITS = without_fraction(ibis.literal(0))

_SHOWN = 5
"""The maximum number of loans that a message lists."""


class AccrualInputError(LendingError):
    """The servicing tables lack what the convention interest_accrual needs."""


def require_inputs(read: Callable[[str], ir.Table], last: date, conventions: Conventions) -> None:
    """Check that the servicing tables have what the convention interest_accrual needs.

    Args:
        read: Returns the tables loans and accruals by name.
        last: The last day of the positions.
        conventions: They choose the accrual.

    Raises:
        AccrualInputError: A loan has no known day count (`daily`), or there are no accruals (`servicer`).
    """
    if conventions.interest_accrual == "daily":
        loans = read("loans")
        _require_day_counts(loans.filter(loans.disbursed_on <= last))
    elif conventions.interest_accrual == "servicer":
        loans = read("loans")
        # On the day of the first disbursement, nothing has accrued yet.
        if _any(loans.filter(loans.disbursed_on < last)) and not _any(read("accruals")):
            raise AccrualInputError(
                "the convention interest_accrual is servicer, but the servicing table accruals is absent or empty:"
                " provide the table, or set interest_accrual to daily or scheduled"
            )


def _require_day_counts(loans: ir.Table) -> None:
    without = loans.filter(loans.day_count.isnull() | loans.day_count.notin(list(_STEPS_A_YEAR)))
    first = without.select("loan_id", "day_count").order_by("loan_id").limit(_SHOWN + 1).to_pyarrow().to_pylist()
    if not first:
        return
    listed = [f"{row['loan_id']} ({row['day_count'] or 'no value'})" for row in first[:_SHOWN]]
    raise AccrualInputError(
        "the convention interest_accrual is daily, but loans.day_count is not one of"
        f" {', '.join(_STEPS_A_YEAR)} for {', '.join(listed)}{' and more' * (len(first) > _SHOWN)}: write the day count"
        " of these loans, or set interest_accrual to scheduled"
    )


def _any(rows: ir.Table) -> bool:
    return bool(rows.limit(1).count().to_pyarrow().as_py())


def with_daily(spans: ir.Table, delinquency_pauses: ir.Table, last: date, conventions: Conventions) -> ir.Table:
    """Add the accrued interest to spans, for `daily_interest`.

    Args:
        spans: Every span of each loan from its disbursement on: loan_id, on, until, status, active, late_since,
            principal_outstanding, annual_rate, day_count, drawn_on, settled_before_drawing, interest_settled.
        delinquency_pauses: The table delinquency_pauses.
        last: The last day.
        conventions: They say when a loan is on non-accrual, and whether interest stops then.

    Returns:
        The spans, split where interest stops, with these columns: stopped, whether no interest accrues because of
        non-accrual; accrued_on, the first day of the span; accrued_units, the units accrued from the drawing to the end
        of that day; units_per_step, the units that each step of the later days accrues; and for the convention `cash`,
        cash_interest.
    """
    if conventions.non_accrual_interest == "continue":
        spans = spans.mutate(stopped=ibis.literal(False))
    else:
        spans = _split(spans, delinquency_pauses, last, conventions)
    of_drawing = {"group_by": ["loan_id", "drawn_on"], "order_by": "on"}
    accrues = ~spans.stopped & (spans.status != "charged_off")
    rate = without_fraction(spans.annual_rate.cast("decimal(20, 8)") * _UNITS_OF_RATE)
    # In several mutates, so that no expression is repeated within others.
    rows = spans.mutate(
        owed=without_fraction(cents(ibis.greatest(spans.principal_outstanding, ZERO))),
        rate=accrues.ifelse(rate, _NO_UNITS),
        step=_steps(spans.on, spans.day_count),
        step_before=_steps(_day_before(spans.on), spans.day_count),
        step_at_end=_steps(_day_before(spans.until), spans.day_count),
    )
    rows = rows.mutate(opening=ibis.coalesce(rows.owed.lag().over(ibis.window(**of_drawing)), _NO_UNITS))
    rows = rows.mutate(
        on_first_day=rows.opening * rows.rate * without_fraction(rows.step - rows.step_before),
        units_per_step=rows.owed * rows.rate,
    )
    rows = rows.mutate(
        in_span=without_fraction(
            rows.on_first_day + rows.units_per_step * without_fraction(rows.step_at_end - rows.step)
        )
    )
    earlier = rows.in_span.sum().over(ibis.window(**of_drawing, rows=(None, -1)))
    rows = rows.select(
        *spans.columns,
        "units_per_step",
        accrued_on="on",
        accrued_units=without_fraction(ibis.coalesce(without_fraction(earlier), _NO_UNITS) + rows.on_first_day),
    )
    return _with_cash_interest(rows) if conventions.non_accrual_interest == "cash" else rows


def _with_cash_interest(rows: ir.Table) -> ir.Table:
    """Add cash_interest: interest that was settled while the loan was on non-accrual, and not accrued by then.

    It is computed at the end of each time on non-accrual. The largest amount since the drawing counts.
    """
    of_drawing = {"group_by": ["loan_id", "drawn_on"], "order_by": "on"}
    ends = ~rows.stopped & rows.stopped.lag().over(ibis.window(**of_drawing)).fill_null(False)
    accrued = money(
        wide(ibis.coalesce(rows.settled_before_drawing, ZERO)) + _in_money(rows.accrued_units, rows.day_count)
    )
    # A closed loan has earned what it settled. If it owes again later, it was on non-accrual until then.
    excess = (ends & (rows.status != "closed")).ifelse(money(wide(rows.interest_settled) - accrued), ZERO)
    rows = rows.mutate(excess=excess)
    return rows.mutate(cash_interest=rows.excess.max().over(ibis.window(**of_drawing, rows=(None, 0)))).drop("excess")


def daily_interest(rows: ir.Table, conventions: Conventions) -> ir.DecimalColumn:
    """The daily interest earned by the end of business_date by a loan that is neither pending nor closed.

    `rows` are days of the spans of `with_daily`.
    """
    steps = _steps(rows.business_date, rows.day_count) - _steps(rows.accrued_on, rows.day_count)
    units = without_fraction(rows.accrued_units + rows.units_per_step * without_fraction(steps))
    before = wide(ibis.coalesce(rows.settled_before_drawing, ZERO))
    earned = before + _in_money(units, rows.day_count)
    if conventions.non_accrual_interest != "cash":
        return money(earned)
    earned = money(earned + rows.cash_interest)
    return rows.stopped.ifelse(ibis.greatest(earned, rows.interest_settled), earned)


def _in_money(units: ir.DecimalColumn, day_count: ir.StringColumn) -> ir.DecimalColumn:
    """The units in money, to the cent, half to even."""
    a_year = ibis.cases(*((day_count == name, number) for name, number in _STEPS_A_YEAR.items()))
    return from_cents(half_even(units, without_fraction(without_fraction(a_year) * _UNITS_OF_RATE)))


def recorded(accruals: ir.Table, first: date, last: date) -> ir.Table:
    """The level of the interest that the servicing system accrued: loan_id, on, recorded_interest (cumulative)."""
    rows = events.signed(as_transactions(accruals), last)
    changes = rows.group_by("loan_id", on=ibis.greatest(rows.on, ibis.literal(first))).agg(
        recorded_interest=money((rows.interest * rows.sign).sum())
    )
    if first == last:
        return changes
    running = ibis.window(group_by="loan_id", order_by="on", rows=(None, 0))
    return changes.mutate(recorded_interest=money(changes.recorded_interest.sum().over(running)))


def _split(spans: ir.Table, delinquency_pauses: ir.Table, last: date, conventions: Conventions) -> ir.Table:
    """The spans, split at the first day on non-accrual, with `stopped`: whether the loan is on non-accrual."""
    days = conventions.non_accrual_days
    rows = spans.mutate(stops_after=ibis.literal(days, "int64"))
    if conventions.paused_days == "stand_still":
        paused = pauses.days_before(spans, delinquency_pauses, last, days)
        rows = rows.left_join(paused, ["loan_id", "on"], rname="{name}_paused")
        rows = rows.mutate(stops_after=rows.stops_after + ibis.coalesce(rows.paused_before, 0))
    rows = rows.mutate(stops_on=as_date(rows.late_since + rows.stops_after.as_interval("D")))
    stops = (rows.active & (rows.stops_on < rows.until)).fill_null(False)
    # The unnested column needs its own step, because Spark rejects a generator inside an expression.
    rows = rows.mutate(parts=stops.ifelse(2, 1))
    rows = rows.mutate(part=ibis.range(0, rows.parts).unnest())
    stopped = rows.part == 1
    halves = rows.mutate(
        stopped=stopped,
        on=stopped.ifelse(ibis.greatest(rows.on, rows.stops_on), rows.on),
        until=(~stopped & (rows.parts == 2)).ifelse(ibis.least(rows.until, rows.stops_on), rows.until),
    )
    return halves.filter(halves.on < halves.until).select(*spans.columns, "stopped")


def _day_before(day: ir.DateColumn) -> ir.DateColumn:
    return as_date(day - ibis.interval(days=1))


def _steps(day: ir.DateColumn, day_count: ir.StringColumn) -> ir.IntegerColumn:
    """A number for each day. The difference between two days' numbers is the steps of the day count between them."""
    year, in_year = day.year().cast("int64"), day.day_of_year().cast("int64") - 1
    leap = ((year % 4 == 0) & (year % 100 != 0)) | (year % 400 == 0)
    return ibis.cases(
        (day_count == "30/360", year * 360 + day.month().cast("int64") * 30 + ibis.least(day.day().cast("int64"), 30)),
        (day_count == "actual/actual", year * _ACTUAL_YEAR + in_year * leap.ifelse(365, 366)),
        else_=day.delta(ibis.literal(MIN_DATE), unit="day"),
    )
