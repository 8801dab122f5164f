"""modification_summary: loan terms changed in a period, before and after, and re-default of modified loans."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import ibis.expr.types as ir
from pydantic import Field

from lending_pipelines.metrics import modifications
from lending_pipelines.reports import columns, days, headlines, in_period, no_data, scopes
from lending_pipelines.reports.book import Chart, ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.parameters import InPeriod, KnownAt, ScopeFilters, UnderConventions
from lending_pipelines.reports.periods import Period
from lending_pipelines.reports.protocol import ReportSource, report_book

_TYPES = (
    *columns.lake_columns("modifications", "type"),
    *columns.lake_columns("loans", "currency"),
    ReportColumn("modifications", "Modifications", "count"),
    ReportColumn("loans", "Loans", "count"),
    ReportColumn("before_rate", "Average rate before", "rate"),
    ReportColumn("after_rate", "Average rate after", "rate"),
    ReportColumn("before_term", "Average term before", "number"),
    ReportColumn("after_term", "Average term after", "number"),
    ReportColumn("before_payment", "Payments before", "money"),
    ReportColumn("after_payment", "Payments after", "money"),
    ReportColumn("before_principal", "Principal before", "money"),
    ReportColumn("after_principal", "Principal after", "money"),
    ReportColumn("principal_change", "Change of principal", "money"),
)
_OUTCOMES = (
    ReportColumn("currency", "Currency", "text"),
    ReportColumn("modified_loans", "Modified loans", "count"),
    ReportColumn("redefaulted_loans", "Re-defaulted loans", "count"),
    ReportColumn("redefault_rate", "Re-default rate", "rate"),
    ReportColumn("exposure", "Principal outstanding and charged off", "money"),
    ReportColumn("redefaulted_exposure", "Re-defaulted principal", "money"),
    ReportColumn("redefault_exposure_rate", "Re-default rate by principal", "rate"),
)
_HEADLINES = (
    "modifications",
    "principal_change",
    "before_payment",
    "after_payment",
    "modified_loans",
    "redefaulted_loans",
    "redefault_rate",
    "redefault_exposure_rate",
)
_LISTED = (
    *columns.lake_columns("modifications", "modification_id", "loan_id"),
    *columns.lake_columns("loans", "currency"),
    *columns.lake_columns("modifications", "type", "effective_on", "before_rate", "after_rate"),
    *columns.lake_columns("modifications", "before_term", "after_term", "before_payment", "after_payment"),
    *columns.lake_columns("modifications", "before_principal", "after_principal"),
)


class ModificationSummaryParameters(UnderConventions, KnownAt, ScopeFilters, InPeriod):
    """The form of modification_summary."""

    redefault_days: int = Field(
        60,
        ge=1,
        le=3650,
        description="Days past due from which a modified loan counts as re-defaulted; charged-off loans always do.",
    )
    redefault_months: int = Field(
        12,
        ge=1,
        le=120,
        description="Re-default is measured on loans modified in this number of months up to the last day.",
    )
    max_listed: int = Field(1000, ge=1, le=100_000, description="Maximum number of modifications listed, latest first.")


class ModificationSummary:
    """Prints modifications, and the lateness of modified loans in loan_positions."""

    report_type = "modification_summary"
    title = "Modification summary"
    description = "Changed loan terms of a period by type, before and after, and re-default of modified loans."
    reads = ("loan_positions", "portfolio_snapshots", "modifications", "loans")
    parameters = ModificationSummaryParameters

    def covers(self, parameters: ModificationSummaryParameters, source: ReportSource) -> list[date]:
        """The period's last day, if it is closed: re-default is measured on it."""
        return days.closed(source, days.period(parameters, source).last)

    def generate(self, parameters: ModificationSummaryParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the business date is not closed or a scope is unknown."""
        period = days.period(parameters, source)
        chosen = scopes.among_chosen(source.table("modifications"), parameters, source, period.last)
        made = chosen.filter(chosen.effective_on.between(period.first, period.last))
        by_type = _by_type(made, source, period)
        watched = period.trend(parameters.redefault_months)
        redefaults = _redefaults(chosen, source, watched, parameters.redefault_days)
        listed = _listed(made, source, period, parameters.max_listed)
        return report_book(
            self,
            parameters,
            source,
            period.last,
            f"{scopes.chosen_title(parameters, source, period.last)}, {period.display}",
            [by_type, *redefaults, listed],
            _charts(redefaults),
            notes=_notes(parameters),
            headlines=_headlines(by_type, redefaults[0]),
            summary={
                row["currency"]: columns.headline(row, ("modifications", "principal_change")) for row in by_type.totals
            },
        )


def _by_type(made: ir.Table, source: ReportSource, period: Period) -> ReportTable:
    """The terms before and after by type of modification, with totals per currency."""
    terms = modifications.terms_by_type(made, source.table("loans"))
    added = ["modifications", *(column.name for column in _TYPES if column.kind == "money")]
    return in_period.table(
        "By type",
        _TYPES,
        terms.order_by("currency", "type"),
        _none(source, period),
        columns.totals_by_currency(terms, _TYPES, added),
    )


def _redefaults(
    chosen: ir.Table, source: ReportSource, watched: Sequence[Period], redefault_days: int
) -> list[ReportTable]:
    """Re-default by type with totals, and a table by month per currency, because a chart shows one currency."""
    first, last = watched[0].first, watched[-1].last
    within = chosen.filter(chosen.effective_on.between(first, last))
    outcomes = modifications.outcomes(within, source.table("loan_positions"), last, redefault_days)
    types = modifications.redefaults(outcomes, "type", "currency").order_by("currency", "type")
    totals = modifications.redefaults(outcomes, "currency").order_by("currency").to_pyarrow().to_pylist()
    months = modifications.redefaults(outcomes, "modified_month", "currency").order_by("modified_month")
    absent = f"{last} {days.why_absent(source, last)}"
    why = f"no loan was modified from {first} to {last}" if days.closed(source, last) else absent
    by_type = (ReportColumn("type", "Type", "text"), *_OUTCOMES)
    by_month = (ReportColumn("modified_month", "Month modified", "text"), *_OUTCOMES)
    why = no_data.reason(source, ["modifications"], why)
    return [
        in_period.table("Re-default by type", by_type, types, why, totals),
        *(
            in_period.table(
                f"Re-default by month {currency}", by_month, months.filter(months.currency == currency), why
            )
            for currency in (row["currency"] for row in totals)
        ),
    ]


def _listed(made: ir.Table, source: ReportSource, period: Period, most: int) -> ReportTable:
    rows = made.left_join(source.table("loans").select("loan_id", "currency"), "loan_id")
    latest = [rows.effective_on.desc(), rows.modification_id]
    return in_period.first_table("Modifications", _LISTED, rows, latest, most, _none(source, period))


def _headlines(by_type: ReportTable, redefaults: ReportTable) -> ReportTable | None:
    """The volume of the period and the outcome of the loans modified up to its end, per currency."""
    found: dict[str, dict[str, Any]] = {}
    for total in (*by_type.totals, *redefaults.totals):
        found.setdefault(total["currency"], {}).update(total)
    printed = (*_TYPES[1:], *_OUTCOMES[1:])
    return headlines.of_rows(printed, [found[currency] for currency in sorted(found)], _HEADLINES)


def _charts(redefaults: Sequence[ReportTable]) -> list[Chart]:
    return [
        Chart(
            table.title.replace("by month", "rate by month of modification,"),
            table.title,
            "line",
            "modified_month",
            ("redefault_rate", "redefault_exposure_rate"),
        )
        for table in redefaults[1:]
    ]


def _notes(parameters: ModificationSummaryParameters) -> list[str]:
    return [
        "Terms before and after use the modifications that record both: rates and terms are averaged, payments and"
        " principal are summed.",
        f"Re-default: of the loans modified in the {parameters.redefault_months} months up to the last day, by their"
        f" latest modification, those charged off or {parameters.redefault_days} or more days past due on that day.",
    ]


def _none(source: ReportSource, period: Period) -> str:
    return no_data.reason(source, ["modifications"], f"no loan was modified from {period.first} to {period.last}")


generator = ModificationSummary()
