"""delinquency_aging: delinquency on a day, moves between buckets, history, and the largest overdue loans."""

from datetime import date

from pydantic import Field

from lending_pipelines.metrics.delinquency import delinquent, opening_day
from lending_pipelines.reports import aging_tables, columns, days, headlines, in_period, scopes
from lending_pipelines.reports.book import Chart, ReportBook, ReportTable
from lending_pipelines.reports.parameters import AsOf, History, KnownAt, OneScope, PersonalData, UnderConventions
from lending_pipelines.reports.protocol import ReportSource, report_book

_OVERDUE = columns.lake_columns(
    "loan_positions",
    "loan_id",
    "borrower_id",
    "product_id",
    "branch_id",
    "officer_id",
    "currency",
    "principal_outstanding",
    "past_due_amount",
    "past_due_principal",
    "past_due_interest",
    "days_past_due",
    "bucket",
    "oldest_due_on",
    "last_payment_on",
)


class DelinquencyAgingParameters(PersonalData, UnderConventions, KnownAt, History, OneScope, AsOf):
    """The form of delinquency_aging."""

    top_loans: int = Field(
        20, ge=1, le=1000, description="Maximum number of past due loans listed per currency, largest amount first."
    )


class DelinquencyAging:
    """Prints aging_buckets, aging_transitions and the overdue loans of loan_positions."""

    report_type = "delinquency_aging"
    title = "Delinquency aging"
    description = (
        "Delinquency buckets in total and by portfolio, transition and cure rates, history, largest past due loans."
    )
    reads = ("aging_buckets", "portfolio_snapshots", "loan_positions", "aging_transitions")
    parameters = DelinquencyAgingParameters

    def covers(self, parameters: DelinquencyAgingParameters, source: ReportSource) -> list[date]:
        """The business date and the days of the history."""
        # Leave out aging_transitions: a closed day has no transitions if the day one step before is not closed.
        last = days.business_date(source, self.reads[:3], parameters.as_of)
        return days.history_days(source, self.reads[0], last, parameters.history, parameters.history_step)

    def generate(self, parameters: DelinquencyAgingParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the business date is not closed or the scope is unknown."""
        covered = self.covers(parameters, source)
        day = covered[-1]
        scope = scopes.scope_of(parameters, source, day)
        aging = aging_tables.by_lateness(source, day, scope)
        currencies = aging.frame["currency"].unique()
        history = [aging_tables.bucket_history(source, covered, scope, currency) for currency in currencies]
        tables = [
            aging,
            aging_tables.by_portfolio(source, day, scope),
            *_movements(source, day, scope),
            *history,
            _overdue(source, day, scope, parameters.top_loans),
        ]
        return report_book(
            self,
            parameters,
            source,
            day,
            scopes.scope_title(source, day, scope),
            tables,
            [_chart(table) for table in history],
            notes=[
                "A transition goes from the bucket one step before the day to the bucket on the day; the rates from"
                " each opening bucket add up to 100 %.",
                "A cure is a transition from a past due bucket to current.",
                *aging_tables.off_balance(source, day, scope, aging),
            ],
            headlines=headlines.of_snapshots(source, day, scope, *headlines.DELINQUENCY),
            summary={
                row["currency"]: columns.headline(row, ("loan_count", "principal_outstanding", "past_due_amount"))
                for row in aging.totals
            },
        )


def _movements(source: ReportSource, day: date, scope: tuple[str, str]) -> list[ReportTable]:
    """The tables of transitions, transition rates and cures."""
    conventions = source.conventions
    rows = aging_tables.transitions_of(source, day, scope)
    why_absent = days.why_absent(source, opening_day(day, conventions))
    none = f"no loan was active one {conventions.transition_step} before {day}, or that day {why_absent}"
    no_late = f"no loan was past due one {conventions.transition_step} before {day}, or that day {why_absent}"
    return [
        aging_tables.transitions(rows, conventions, none),
        aging_tables.transition_matrix(rows, "count_rate", "Transition rates by count", conventions, none),
        aging_tables.transition_matrix(rows, "balance_rate", "Transition rates by balance", conventions, none),
        aging_tables.cures(rows, conventions, no_late),
    ]


def _overdue(source: ReportSource, day: date, scope: tuple[str, str], top: int) -> ReportTable:
    positions = source.table("loan_positions")
    late = scopes.loans_of(positions.filter(positions.business_date == day, delinquent(positions.days_past_due)), scope)
    order = [late.past_due_amount.desc(), late.loan_id]
    none = f"no loan is past due on {day}"
    return in_period.top_table("Largest overdue loans", _OVERDUE, late, order, top, none)


def _chart(history: ReportTable) -> Chart:
    buckets = tuple(history.names[1:-1])
    currency = history.title.removeprefix("Bucket history ")
    return Chart(f"Principal outstanding by bucket, {currency}", history.title, "stacked", "business_date", buckets)


generator = DelinquencyAging()
