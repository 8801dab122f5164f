"""The interface of a report type, and of the source that it reads from.

Both are protocols: a generator is any module-level `generator` with these members, and a source is any object with the
members of ReportSource.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Protocol, TypeVar

import ibis.expr.types as ir

from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.reports.book import Chart, ReportBook, ReportTable
from lending_pipelines.reports.parameters import ReportParameters, allows_pii

P = TypeVar("P", bound=ReportParameters)


class ReportSource(Protocol):
    """The lake as seen by reports."""

    @property
    def conventions(self) -> Conventions:
        """The conventions of the daily tables."""

    def table(self, name: str) -> ir.Table:
        """A lake table, lazily. LendingError if it does not exist."""

    def days(self, name: str) -> list[date]:
        """The business dates of a daily table, in order; empty if it has none yet."""

    def thinned(self, name: str) -> list[date]:
        """The business dates whose rows housekeeping removed from a daily table, in order."""

    def versions(self) -> dict[str, int]:
        """The Delta version of every table read so far."""

    def as_reported(self, days: Sequence[date]) -> "ReportSource":
        """The same source with the days of daily tables as first closed. LendingError if these are no longer stored."""


class ReportGeneratorProtocol(Protocol[P]):
    """One report type.

    report_type is its unique name. title and description are for readers. parameters is the model of its form.
    """

    report_type: str
    title: str
    description: str
    parameters: type[P]

    @property
    def reads(self) -> tuple[str, ...]:
        """The lake tables that it reads, the main one first."""

    def covers(self, parameters: P, source: ReportSource) -> list[date]:
        """The business dates that the report prints, in order. Their checks must pass before the report is written."""

    def generate(self, parameters: P, source: ReportSource) -> ReportBook:
        """The report. LendingError if the requested data does not exist."""


def report_book(
    report: ReportGeneratorProtocol[P],
    parameters: P,
    source: ReportSource,
    as_of: date,
    about: str,
    tables: Sequence[ReportTable],
    charts: Sequence[Chart] = (),
    *,
    notes: Sequence[str] = (),
    summary: Mapping[str, Any] | None = None,
    blocks: Mapping[str, Any] | None = None,
    headlines: ReportTable | None = None,
    alerts: Sequence[str] = (),
    letter: Mapping[str, str] | None = None,
) -> ReportBook:
    """Create the report's book, with the origin of its numbers.

    Columns with personal data are left out unless the parameters allow them. Notes name these columns, and the tables
    that list only some of their rows.

    Args:
        report: The report type.
        parameters: The parameters of the request.
        source: The lake as the report read it.
        as_of: The business date.
        about: The scope or period, printed after the report's title on the cover.
        tables: The tables, in order of printing.
        charts: The charts; the first one with rows is on the first page.
        notes: Notes for the reader.
        summary: The headline numbers for the register, ready for JSON.
        blocks: Further parts of the report's JSON by name.
        headlines: The numbers of the first page.
        alerts: Lines at the top of the first page.
        letter: For a letter to a customer, what it is about by name, such as the loan and the period.
    """
    cut = [
        f"{table.title}: {table.cut}.{' Totals are of all.' if table.totals else ''}" for table in tables if table.cut
    ]
    tables, left_out = (tables, []) if allows_pii(parameters) else _without_personal(tables)
    return ReportBook(
        report.report_type,
        f"{report.title}: {about}" if about else report.title,
        parameters.stamp(),
        source.conventions.stamp(),
        as_of,
        source.versions(),
        tables,
        charts,
        [*notes, *cut, *left_out],
        summary or {},
        blocks or {},
        headlines,
        alerts=alerts,
        letter=letter or {},
    )


def _without_personal(tables: Sequence[ReportTable]) -> tuple[list[ReportTable], list[str]]:
    """The tables without personal columns, and the note that names these columns. LendingError if no column remains."""
    kept, left_out = [], []
    for table in tables:
        if table.personal:
            labels = ", ".join(column.label for column in table.personal)
            left_out += [f"{labels} in {table.title}"] * (not table.frame.empty)
            if len(table.personal) == len(table.columns):
                names = ", ".join(column.name for column in table.personal)
                raise LendingError(f"all requested columns are personal data ({names}): set allow_pii=true")
            table = replace(table, columns=tuple(column for column in table.columns if not column.personal))
        kept.append(table)
    note = f"Personal data is left out: {'; '.join(left_out)}. Set allow_pii=true to print it."
    return kept, [note] if left_out else []
