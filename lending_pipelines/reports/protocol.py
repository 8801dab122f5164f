"""What a report type must offer, and what it may read from.

Both are protocols: a generator is any module-level `generator` of this shape, and whoever holds the lake gives a source
of this shape.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Protocol, TypeVar

import ibis.expr.types as ir

from lending_pipelines.conventions import Conventions
from lending_pipelines.reports.book import Chart, ReportBook, ReportTable
from lending_pipelines.reports.parameters import ReportParameters

P = TypeVar("P", bound=ReportParameters)


class ReportSource(Protocol):
    """The lake as reports see it."""

    @property
    def conventions(self) -> Conventions:
        """The conventions under which the daily tables were computed."""

    def table(self, name: str) -> ir.Table:
        """A lake table, lazy. LendingError when it is not there."""

    def days(self, name: str) -> list[date]:
        """The business dates present in a daily table, in order; empty when it has none yet."""

    def versions(self) -> dict[str, int]:
        """The Delta version of every table read so far."""


class ReportGeneratorProtocol(Protocol[P]):
    """One report type.

    report_type: its name, unique. title, description: for people. parameters: the model of its form.
    """

    report_type: str
    title: str
    description: str
    parameters: type[P]

    @property
    def reads(self) -> tuple[str, ...]:
        """The lake tables that it reads, the main one first."""

    def covers(self, parameters: P, source: ReportSource) -> list[date]:
        """The business dates whose numbers the report prints, in order: their checks hold before it leaves."""

    def generate(self, parameters: P, source: ReportSource) -> ReportBook:
        """The report. LendingError when what was asked for is not there."""


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
) -> ReportBook:
    """The report's book, stamped with where its numbers come from; `about` follows the report's title on its cover."""
    return ReportBook(
        report.report_type,
        f"{report.title}: {about}" if about else report.title,
        parameters.stamp(),
        source.conventions.stamp(),
        as_of,
        source.versions(),
        tables,
        charts,
        notes,
        summary or {},
        blocks or {},
    )
