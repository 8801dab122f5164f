"""compliance_summary: which of the lender's rules were kept in a period, per rule and category, and every failure."""

from collections.abc import Sequence
from datetime import date

import ibis.expr.types as ir
from pydantic import Field

from lending_pipelines.metrics.compliance import pass_rates
from lending_pipelines.reports import columns, days, headlines, in_period, no_data, scopes
from lending_pipelines.reports.book import Chart, ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.parameters import InPeriod, PersonalData, ScopeFilters
from lending_pipelines.reports.periods import Period
from lending_pipelines.reports.protocol import ReportSource, report_book

_CHECKS = "compliance_checks"
_RULE = columns.lake_columns(_CHECKS, "category", "rule_code", "rule_name")
_CATEGORY = columns.lake_columns(_CHECKS, "category")
_MONTH = (ReportColumn("checked_month", "Month checked", "text"),)
_RATES = (
    ReportColumn("checks", "Checks", "count"),
    ReportColumn("passed_checks", "Passed", "count"),
    ReportColumn("failed_checks", "Failed", "count"),
    ReportColumn("pass_rate", "Pass rate", "rate"),
)
_FAILURES = columns.lake_columns(
    _CHECKS, "checked_on", "category", "rule_code", "rule_name", "loan_id", "detail", "check_id"
)


class ComplianceSummaryParameters(PersonalData, ScopeFilters, InPeriod):
    """The form of compliance_summary."""

    trend_months: int = Field(
        12, ge=1, le=120, description="Number of months of pass rates, up to the period's last day."
    )
    max_failures: int = Field(
        10_000, ge=1, le=1_000_000, description="Maximum number of failures listed, latest first."
    )


class ComplianceSummary:
    """Counts and lists compliance_checks."""

    report_type = "compliance_summary"
    title = "Compliance summary"
    description = "Pass rates of a period per compliance rule and category, by month, and the failures one by one."
    reads = (_CHECKS, "loan_positions", "portfolio_snapshots")
    parameters = ComplianceSummaryParameters

    def covers(self, parameters: ComplianceSummaryParameters, source: ReportSource) -> list[date]:
        """The period's last day, if it is closed and a scope is chosen: its positions decide which loans are in it."""
        last = days.period(parameters, source).last
        return days.closed(source, last) if parameters.chosen_scopes else []

    def generate(self, parameters: ComplianceSummaryParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the business date is not closed or a scope is unknown."""
        period = days.period(parameters, source)
        checks = scopes.among_chosen(source.table(_CHECKS), parameters, source, period.last)
        checks = checks.mutate(checked_month=checks.checked_on.strftime("%Y-%m"))
        made = _within(checks, [period])
        watched = period.trend(parameters.trend_months)
        by_rule = _rates(source, made, "By rule", _RULE, [period])
        by_category = _rates(source, made, "By category", _CATEGORY, [period])
        by_month = _rates(source, _within(checks, watched), "By month", _MONTH, watched)
        failures = _failures(made, parameters.max_failures, by_rule)
        return report_book(
            self,
            parameters,
            source,
            period.last,
            f"{scopes.chosen_title(parameters, source, period.last)}, {period.display}",
            [by_rule, by_category, by_month, failures],
            _charts(by_category, by_month),
            notes=_notes(parameters),
            headlines=headlines.of_totals(by_rule),
            summary=next((columns.headline(row, [c.name for c in _RATES]) for row in by_rule.totals), {}),
        )


def _within(checks: ir.Table, periods: Sequence[Period]) -> ir.Table:
    return checks.filter(checks.checked_on.between(periods[0].first, periods[-1].last))


def _rates(
    source: ReportSource, checks: ir.Table, title: str, by: tuple[ReportColumn, ...], periods: Sequence[Period]
) -> ReportTable:
    """Pass rates by the columns `by`, ordered by them, with the rate of all checks in the totals."""
    keys = [column.name for column in by]
    rates = pass_rates(checks, *keys).order_by(*keys)
    everything = pass_rates(checks).to_pyarrow().to_pylist()
    why = f"no check was made from {periods[0].first} to {periods[-1].last}"
    return in_period.table(
        title,
        (*by, *_RATES),
        rates,
        no_data.reason(source, [_CHECKS], why),
        [{keys[0]: "Total", **row} for row in everything if row["checks"]],
    )


def _failures(made: ir.Table, most: int, by_rule: ReportTable) -> ReportTable:
    failed = made.filter(~made.passed)
    latest = [failed.checked_on.desc(), failed.category, failed.rule_code, failed.check_id]
    return in_period.first_table("Failures", _FAILURES, failed, latest, most, by_rule.no_data or "every check passed")


def _charts(by_category: ReportTable, by_month: ReportTable) -> list[Chart]:
    """Charts of failed checks. Pass rates are not drawn: near 100 % all bars have the same height."""
    drawn = [Chart("Failed checks by category", by_category.title, "bar", "category", ("failed_checks",))]
    drawn.append(Chart("Failed checks by month", by_month.title, "bar", "checked_month", ("failed_checks",)))
    return [chart for chart, table in zip(drawn, (by_category, by_month), strict=True) if not table.frame.empty]


def _notes(parameters: ComplianceSummaryParameters) -> list[str]:
    return ["Checks that concern no loan are left out."] if parameters.chosen_scopes else []


generator = ComplianceSummary()
