"""restatement: closed days as reported and as known now, why they differ, and what was sent with the old numbers."""

from datetime import date

from pydantic import Field, field_validator

from lending_pipelines.reports import columns, days, facility_covenants, facility_rules, headlines, in_period, restated
from lending_pipelines.reports.book import ReportBook, ReportColumn
from lending_pipelines.reports.parameters import UNSET, AsOf, PersonalData, iso_day
from lending_pipelines.reports.protocol import ReportSource, report_book
from lending_pipelines.tables import DERIVED

_TABLE = "restatements"
_CURRENCY = ReportColumn("currency", "Currency", "text")
_PRINCIPAL = ReportColumn("principal_difference", "Principal outstanding, known − reported", "money")
_DIFFERENCE = ReportColumn("difference", "Known − reported", "money")
_DAYS = (
    ReportColumn("business_date", "Business date", "date"),
    _CURRENCY,
    ReportColumn("state", "State", "text"),
    ReportColumn("loans", "Loans", "count"),
    ReportColumn("values", "Changed values", "count"),
    _PRINCIPAL,
    ReportColumn("past_due_difference", "Past due, known − reported", "money"),
)
_LOANS = (
    ReportColumn("loan_id", "Loan ID", "text"),
    ReportColumn("portfolio_id", "Portfolio ID", "text"),
    _CURRENCY,
    ReportColumn("first_day", "First changed day", "date"),
    ReportColumn("last_day", "Last changed day", "date"),
    ReportColumn("days", "Changed days", "count"),
    _PRINCIPAL,
    ReportColumn("caused_by", "Caused by", "text"),
    ReportColumn("posted_at", "Posted at", "instant"),
)
_VALUES = (
    *columns.lake_columns(_TABLE, "business_date", "loan_id", "column", "currency", "reported", "restated"),
    _DIFFERENCE,
    *columns.lake_columns(_TABLE, "caused_by", "posted_at", "detected_at"),
)
_ADJUSTMENTS = (
    ReportColumn("period_end", "Locked period", "date"),
    ReportColumn("shown_from", "Adjusted in the period from", "date"),
    *columns.lake_columns(_TABLE, "currency", "loan_id", "column", "reported", "restated"),
    _DIFFERENCE,
    *columns.lake_columns(_TABLE, "caused_by"),
)
_BOTH = (
    ReportColumn("metric", "Metric", "text"),
    ReportColumn("reported", "As reported", "number"),
    ReportColumn("known", "As known now", "number"),
    ReportColumn("difference", "Difference", "number"),
)
_SCOPES = (ReportColumn("scope", "Scope", "text"), ReportColumn("scope_id", "Scope ID", "text"), _CURRENCY, *_BOTH)
_ACCOUNTS = (ReportColumn("account_code", "Account", "text"), _CURRENCY, *_BOTH)
_SENT = (
    *columns.lake_columns("published", "kind", "name", "business_date", "recipient", "sent_at"),
    ReportColumn("changed_loans", "Changed loans of the day", "count"),
)
_HEADLINES = (
    _CURRENCY,
    ReportColumn("days", "Changed days", "count"),
    ReportColumn("loans", "Changed loans", "count"),
    ReportColumn("principal_difference", "Principal on the last changed day", "money"),
)
_NOTES = (
    "As reported: the first close of the day. As known now: what the latest close found. A day that is closed again has"
    " the known numbers.",
    "State: due: the day can be closed again; locked: it is in a locked period; closed again: it was restated.",
    "An adjustment is the difference on the last day of a locked period. The period after it opens with the reported"
    " balance and the adjustments.",
    "Covenants: those of the parameter facility that differ on the business date, by scope. Charge-off rates look back"
    " on earlier days: compare two reports borrowing_base, one with book as_reported and one with book as_known.",
)


class RestatementParameters(PersonalData, AsOf):
    """The form of restatement."""

    from_date: str = Field(UNSET, description="First closed day to list, like 2025-01-01; unset: the first one.")
    facility: str = Field(
        facility_rules.DEFAULT,
        max_length=100_000,
        description="The rules of a facility whose covenants are compared, as in borrowing_base: default, the path of a"
        " .toml or .json file, or JSON.",
    )
    max_listed: int = Field(1000, ge=1, le=100_000, description="Maximum number of rows of each list.")

    @field_validator("from_date")
    @classmethod
    def _first(cls, text: str) -> str:
        return iso_day(text, UNSET)


class Restatement:
    """Prints the table restatements and its effects on one day."""

    report_type = "restatement"
    title = "Restatement"
    description = "Closed days as reported and as known now: why they differ, and the tapes and reports that went out."
    reads = (
        _TABLE,
        "loan_positions",
        "portfolio_snapshots",
        "trial_balance",
        "closed_days",
        "reported_days",
        "published",
        "period_locks",
    )
    parameters = RestatementParameters

    def covers(self, parameters: RestatementParameters, source: ReportSource) -> list[date]:
        """No business date: the report is about days that may be wrong, so their checks do not stop it."""
        return []

    def generate(self, parameters: RestatementParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the business date is not closed."""
        day = days.business_date(source, ("loan_positions",), parameters.as_of)
        first = None if parameters.from_date == UNSET else date.fromisoformat(parameters.from_date)
        changed = restated.changed_values(source, first, day)
        if not parameters.allow_pii:
            personal = [column.name for column in DERIVED["loan_positions"].columns if column.personal]
            changed = changed.filter(~changed.column.isin(personal))
        locks = source.table("period_locks")
        none = f"no closed day up to {day} differs from what was reported"
        most = parameters.max_listed
        by_day = in_period.table("Changed days", _DAYS, restated.by_day(changed, locks), none)
        loans = restated.by_loan(changed)
        equal = f"the snapshots of {day} do not differ"
        totals = restated.totals(changed)
        rules = facility_rules.load(parameters.facility)
        then, now = restated.both_snapshots(source, day)
        tables = [
            by_day,
            in_period.first_table("Changed loans", _LOANS, loans, [loans.currency, loans.loan_id], most, none),
            in_period.first_table(
                "Changed values",
                _VALUES,
                changed,
                [changed.business_date, changed.loan_id, changed.column],
                most,
                none,
            ),
            in_period.table("Portfolios", _SCOPES, restated.changed_metrics(then, now), equal),
            facility_covenants.restated(then, now, rules),
            in_period.table("Trial balance", _ACCOUNTS, restated.balances_on(source, day), "no account differs"),
            in_period.table(
                "Adjustments of locked periods",
                _ADJUSTMENTS,
                restated.adjustments(changed, locks),
                "no locked period differs",
            ),
            in_period.table("Tapes and reports that went out", _SENT, restated.sent(source, changed), "none"),
        ]
        return report_book(
            self,
            parameters,
            source,
            day,
            f"closed days up to {day}",
            tables,
            notes=_NOTES,
            headlines=headlines.of_rows(_HEADLINES, totals),
            summary={
                row["currency"]: columns.headline(row, ("days", "loans", "principal_difference")) for row in totals
            },
        )


generator = Restatement()
