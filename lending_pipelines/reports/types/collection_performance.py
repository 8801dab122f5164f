"""collection_performance: per collector and queue, whom they reached, what was promised and kept, and who was cured."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import ibis.expr.types as ir

from lending_pipelines.metrics import collections
from lending_pipelines.reports import columns, days, headlines, in_period, no_data, scopes
from lending_pipelines.reports.book import Chart, ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.parameters import InPeriod, PersonalData, ScopeFilters, UnderConventions
from lending_pipelines.reports.periods import Period
from lending_pipelines.reports.protocol import ReportSource, report_book

_WORK = ("collection_contacts", "promises_to_pay", "collection_assignments")
_COLLECTOR = (
    *columns.lake_columns("collection_assignments", "collector_id"),
    columns.lake_column("staff", "full_name", "Collector"),
)
_QUEUE = columns.lake_columns("collection_assignments", "queue")
_MEASURES = (
    ReportColumn("contacts", "Contacts", "count"),
    ReportColumn("right_party_contacts", "Right-party contacts", "count"),
    ReportColumn("contact_rate", "Contact rate", "rate"),
    ReportColumn("promises", "Promises", "count"),
    ReportColumn("ptp_rate", "PTP rate", "rate"),
    ReportColumn("promises_due", "Promises due", "count"),
    ReportColumn("promises_kept", "Promises kept", "count"),
    ReportColumn("kept_rate", "Kept rate", "rate"),
    ReportColumn("late_loans", "Late at the start", "count"),
    ReportColumn("cured_loans", "Current at the end", "count"),
    ReportColumn("cure_rate", "Cure rate", "rate"),
)
_AMOUNTS = (
    ReportColumn("currency", "Currency", "text"),
    ReportColumn("promises_due", "Promises due", "count"),
    ReportColumn("amount_due", "Amount due", "money"),
    ReportColumn("promises_kept", "Promises kept", "count"),
    ReportColumn("amount_kept", "Amount kept", "money"),
    ReportColumn("kept_amount_rate", "Kept rate by amount", "rate"),
)


_NOTE = (
    "Contact rate: right-party contacts ÷ contacts. PTP rate: promises ÷ right-party contacts. Kept rate: promises kept"
    " by the last day ÷ promises due in the period. Cure rate: loans current on the last day of the period ÷ loans that"
    " were assigned and past due on the day before the period."
)


class CollectionPerformanceParameters(PersonalData, UnderConventions, ScopeFilters, InPeriod):
    """The form of collection_performance."""


class CollectionPerformance:
    """Adds up contacts, promises and assignments; lateness is that of loan_positions."""

    report_type = "collection_performance"
    title = "Collection performance"
    description = "Contact, promise, kept and cure rates of a period per collector and queue."
    reads = ("loan_positions", "portfolio_snapshots", *_WORK, "staff", "loans")
    parameters = CollectionPerformanceParameters

    def covers(self, parameters: CollectionPerformanceParameters, source: ReportSource) -> list[date]:
        """The day before the period and its last day, if closed. Cures are measured between these two days."""
        period = days.period(parameters, source)
        return days.closed(source, period.opening, period.last)

    def generate(self, parameters: CollectionPerformanceParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the business date is not closed or a scope is unknown."""
        period = days.period(parameters, source)
        covered = self.covers(parameters, source)
        tables = {
            name: scopes.among_chosen(source.table(name), parameters, source, period.last)
            for name in _WORK
            if no_data.has_rows(source, name)
        }
        work = _work(tables, source, period, covered)
        none = no_data.reason(source, _WORK, f"no collections activity from {period.first} to {period.last}")
        everything = collections.performance(work).to_pyarrow().to_pylist()
        totals = [row for row in everything if any(row[name] for name in collections.MEASURES)]
        performance = [
            _performance(work, source, title, who, none, totals)
            for title, who in (
                ("By collector and queue", (*_COLLECTOR, *_QUEUE)),
                ("By collector", _COLLECTOR),
                ("By queue", _QUEUE),
            )
        ]
        return report_book(
            self,
            parameters,
            source,
            period.last,
            f"{scopes.chosen_title(parameters, source, period.last)}, {period.display}",
            [*performance, _amounts(tables, source, period)],
            _charts(performance[-1]),
            notes=[_NOTE, *_missing(tables, covered, period, source)],
            headlines=headlines.of_totals(performance[-1]),
            summary=next((columns.headline(row, row) for row in totals), {}),
        )


def _work(
    tables: Mapping[str, ir.Table], source: ReportSource, period: Period, covered: Sequence[date]
) -> list[ir.Table]:
    """The rows to count: contacts, promises and cures that the source has. Cures need both days closed."""
    work = [source.table("collection_contacts").limit(0).select("collector_id", "queue")]
    if "collection_contacts" in tables:
        zone = source.conventions.timezone
        work.append(collections.contacts(tables["collection_contacts"], period.first, period.last, zone))
    if "promises_to_pay" in tables:
        work.append(collections.promises(tables["promises_to_pay"], period.first, period.last))
    if "collection_assignments" in tables and len(covered) == 2:
        positions = source.table("loan_positions")
        positions = positions.filter(positions.business_date.isin(covered))
        work.append(collections.cures(tables["collection_assignments"], positions, *covered))
    return work


def _performance(
    work: Sequence[ir.Table],
    source: ReportSource,
    title: str,
    who: tuple[ReportColumn, ...],
    none: str,
    totals: Sequence[Mapping[str, Any]],
) -> ReportTable:
    """The measures per collector, queue or both. `totals` has the measures of all collectors together."""
    printed = (*who, *_MEASURES)
    keys = [column.name for column in who if column.name != "full_name"]
    rows = collections.performance(work, *keys)
    if "collector_id" in keys:
        staff = source.table("staff").select("staff_id", "full_name")
        rows = rows.left_join(staff, rows.collector_id == staff.staff_id)
    return in_period.table(
        title, printed, rows.order_by(*reversed(keys)), none, [{keys[0]: "Total", **row} for row in totals]
    )


def _amounts(tables: Mapping[str, ir.Table], source: ReportSource, period: Period) -> ReportTable:
    none = no_data.reason(source, ["promises_to_pay"], f"no promise was due from {period.first} to {period.last}")
    promises = tables.get("promises_to_pay", source.table("promises_to_pay"))
    due = collections.promised_amounts(promises, source.table("loans"), period.first, period.last)
    return in_period.table("Promises due by currency", _AMOUNTS, due.order_by("currency"), none)


def _charts(by_queue: ReportTable) -> list[Chart]:
    if by_queue.frame.empty:
        return []
    return [Chart("Rates by queue", by_queue.title, "bar", "queue", tuple(collections.RATES))]


def _missing(
    tables: Mapping[str, ir.Table], covered: Sequence[date], period: Period, source: ReportSource
) -> Iterator[str]:
    """Notes on unknown measures, with the reason."""
    for name in _WORK:
        if name not in tables:
            yield f"No data: the source has no {name}; columns computed from it are blank."
    for day in (period.opening, period.last):
        if day not in covered:
            yield f"No data: {day} {days.why_absent(source, day)}; cure rates are blank."


generator = CollectionPerformance()
