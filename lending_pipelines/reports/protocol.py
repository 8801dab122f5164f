"""What a report type must offer, and what it may read from.

Both are protocols: a generator is any module-level `generator` of this shape, and whoever holds the lake gives a source
of this shape.
"""

from datetime import date
from typing import Protocol, TypeVar

import ibis.expr.types as ir

from lending_pipelines.conventions import Conventions
from lending_pipelines.reports.book import ReportBook
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

    report_type: its name, unique. title, description: for people. reads: the lake tables that it reads, the main one
    first. parameters: the model of its form.
    """

    report_type: str
    title: str
    description: str
    reads: tuple[str, ...]
    parameters: type[P]

    def covers(self, parameters: P, source: ReportSource) -> list[date]:
        """The business dates whose numbers the report prints, in order: their checks hold before it leaves."""

    def generate(self, parameters: P, source: ReportSource) -> ReportBook:
        """The report. LendingError when what was asked for is not there."""
