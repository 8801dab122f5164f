"""roll_rates: where loans of each delinquency bucket were some months later, month by month and together."""

from collections.abc import Sequence
from datetime import date

import ibis.expr.types as ir
from pydantic import Field

from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics import delinquency, roll_rates
from lending_pipelines.reports import aging_tables, columns, days, headlines, scopes
from lending_pipelines.reports.book import Chart, ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.parameters import AsOf, KnownAt, OneScope, UnderConventions
from lending_pipelines.reports.protocol import ReportSource, report_book

_HISTORIES = {
    "Roll-forward rates": "Principal that rolled forward",
    "Cure rates": "Principal that cured",
    "Net flow rates": "Net flow rates",
}
_NOTES = (
    "The rows of a matrix add up to 100 %: the loans active in a bucket on the opening day, by their state on the"
    " closing day, including exits. By balance: weighted by principal outstanding on the opening day.",
    "Cured: from a past due bucket to current. Improved: to a less delinquent bucket. Rolled forward: to a more"
    " delinquent bucket, or charged off.",
    "Net flow rate: principal in the next bucket on the closing day ÷ principal in the bucket on the opening day. It is"
    " most useful if buckets are as wide as the step.",
    "The history has the last closed day of each month with its transition step; the pooled rates are weighted by the"
    " loans or the principal of each opening day.",
)


class RollRatesParameters(UnderConventions, KnownAt, OneScope, AsOf):
    """The form of roll_rates."""

    months: int = Field(1, ge=1, le=60, description="Months from the matrix's opening day to as_of.")
    history: int = Field(12, ge=1, le=120, description="Number of month ends up to as_of, shown one by one and pooled.")


class RollRates:
    """Prints and adds up aging_transitions; for more than one month, computes transitions from loan_positions."""

    report_type = "roll_rates"
    title = "Roll rates"
    description = "The full matrix between delinquency buckets with exits, by count and balance, over n months."
    reads = ("aging_buckets", "portfolio_snapshots", "loan_positions", "aging_transitions")
    parameters = RollRatesParameters

    def covers(self, parameters: RollRatesParameters, source: ReportSource) -> list[date]:
        """The opening day if it is closed, the days of the history, and the business date."""
        # Leave out aging_transitions: a closed day has no transitions if the day one step before is not closed.
        day = days.business_date(source, self.reads[:3], parameters.as_of)
        opening = days.closed(source, delinquency.opening_day(day, source.conventions, parameters.months))
        return sorted({*opening, *_history_days(parameters, source, day), day})

    def generate(self, parameters: RollRatesParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the business date is not closed or the scope is unknown."""
        day = self.covers(parameters, source)[-1]
        scope = scopes.scope_of(parameters, source, day)
        conventions = source.conventions
        opening = delinquency.opening_day(day, conventions, parameters.months)
        transitions = source.table("aging_transitions")
        past_days = _history_days(parameters, source, day)
        past = scopes.rows_of(transitions.filter(transitions.business_date.isin(past_days)), scope)
        histories = _histories(past, source, past_days, scope)
        return report_book(
            self,
            parameters,
            source,
            day,
            scopes.scope_title(source, day, scope),
            [
                *_matrices(_moved(parameters, source, day, scope), parameters, source, day),
                *_together(past, conventions),
                *histories,
            ],
            [_chart(table) for table in histories],
            notes=_NOTES,
            headlines=headlines.of_snapshots(source, day, scope, *headlines.DELINQUENCY),
            summary={
                "opening_day": str(opening),
                "history_days": len(past_days),
            },
        )


def _history_days(parameters: RollRatesParameters, source: ReportSource, day: date) -> list[date]:
    return days.history_days(source, "aging_transitions", day, parameters.history, "month")


def _moved(parameters: RollRatesParameters, source: ReportSource, day: date, scope: tuple[str, str]) -> ir.Table:
    """The transitions over the chosen months; from aging_transitions if that table has them."""
    if parameters.months == 1 and source.conventions.transition_step == "month":
        return aging_tables.transitions_of(source, day, scope)
    positions = source.table("loan_positions")
    opening = delinquency.opening_day(day, source.conventions, parameters.months)
    both = positions.filter(positions.business_date.isin((opening, day)))
    return scopes.rows_of(delinquency.aging_transitions(both, day, day, source.conventions, parameters.months), scope)


def _matrices(moved: ir.Table, parameters: RollRatesParameters, source: ReportSource, day: date) -> list[ReportTable]:
    """The matrices, directions and transitions from the opening day to the business date."""
    conventions = source.conventions
    opening = delinquency.opening_day(day, conventions, parameters.months)
    none = f"no loan was active on {opening}, or that day {days.why_absent(source, opening)}"
    return [
        aging_tables.transition_matrix(moved, "count_rate", "Matrix by count", conventions, none),
        aging_tables.transition_matrix(moved, "balance_rate", "Matrix by balance", conventions, none),
        _directions(moved, "count", conventions, none),
        _directions(moved, "balance", conventions, none),
        aging_tables.transitions(moved, conventions, none),
    ]


def _directions(moved: ir.Table, by: str, conventions: Conventions, none: str) -> ReportTable:
    """The rate of each direction, such as cured, from each opening bucket."""
    rates = roll_rates.direction_rates(moved, conventions, "currency")
    printed = (
        *columns.lake_columns("aging_transitions", "currency", "from_bucket"),
        ReportColumn("opening_loans", "Opening loans", "count"),
        ReportColumn("opening_principal", "Opening principal", "money"),
        *(
            ReportColumn(f"{direction}_{by}_rate", columns.label(direction), "rate")
            for direction in roll_rates.DIRECTIONS
        ),
    )
    rows = rates.order_by("currency", delinquency.bucket_rank(rates.from_bucket, conventions))
    rows = rows.select(*(column.name for column in printed))
    return ReportTable(f"Directions by {by}", printed, columns.frame(rows), no_data=none)


def _together(past: ir.Table, conventions: Conventions) -> list[ReportTable]:
    """The matrices of all history days pooled, by count and by balance."""
    none = f"no closed day up to the business date has a closed day one {conventions.transition_step} before it"
    return [
        aging_tables.transition_matrix(
            roll_rates.pooled(past), f"{by}_rate", f"History together by {by}", conventions, none
        )
        for by in ("count", "balance")
    ]


def _histories(
    past: ir.Table, source: ReportSource, past_days: Sequence[date], scope: tuple[str, str]
) -> list[ReportTable]:
    """Per currency: roll-forward, cure and net flow rates by balance, a column per bucket."""
    conventions = source.conventions
    aging = source.table("aging_buckets")
    aging = scopes.rows_of(aging.filter(aging.business_date.isin(past_days)), scope)
    rates = roll_rates.direction_rates(past, conventions, "business_date", "currency")
    buckets = conventions.buckets
    tables = []
    for currency in past.select("currency").distinct().order_by("currency").to_pyarrow()["currency"].to_pylist():
        tables.append(_history("Roll-forward rates", rates, "roll_forward_rate", buckets, currency))
        tables.append(_history("Cure rates", rates, "cured_balance_rate", buckets[1:], currency))
        if len(buckets) > 2:
            flows = roll_rates.net_flow_rates(past, aging, conventions)
            tables.append(_history("Net flow rates", flows, "net_flow_rate", buckets[:-2], currency))
    return tables


def _history(title: str, rates: ir.Table, rate: str, buckets: Sequence[str], currency: str) -> ReportTable:
    """One rate of a currency: a row per day, a column per bucket; blank if the bucket was empty."""
    rows = rates.filter(rates.currency == currency)
    each = {bucket: rows[rate].max(where=rows.from_bucket == bucket) for bucket in buckets}
    printed = (
        *columns.lake_columns("aging_transitions", "business_date"),
        *(ReportColumn(bucket, bucket, "rate") for bucket in buckets),
    )
    history = rows.group_by("business_date").agg(**each).order_by("business_date")
    return ReportTable(f"{title} {currency}", printed, columns.frame(history.select("business_date", *buckets)))


def _chart(history: ReportTable) -> Chart:
    name, _, currency = history.title.rpartition(" ")
    return Chart(f"{_HISTORIES[name]}, {currency}", history.title, "line", "business_date", tuple(history.names[1:]))


generator = RollRates()
