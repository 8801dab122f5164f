"""The summary of a close: the closed days, the movements of the book, and problems.

book.py reads the lake, tapes.py reads the register, summary.py combines them, printed.py prints the summary, and
numbers.py counts what alert rules watch.
assets/close_summary.py adds runs and check results from Dagster.
"""

from lending_pipelines.close_summary.book import BookSummary, summarize_book
from lending_pipelines.close_summary.changes import COMPARED, MetricChange, changed_metrics, snapshot_versions
from lending_pipelines.close_summary.numbers import CloseNumber, close_numbers
from lending_pipelines.close_summary.printed import as_markdown, as_text, changes_as_text, value_as_text
from lending_pipelines.close_summary.summary import (
    CloseSummary,
    Finding,
    LastRun,
    RunStatus,
    Severity,
    missing_days,
    not_closed,
    ordered,
)
from lending_pipelines.close_summary.tapes import tape_summary

__all__ = [
    "COMPARED",
    "BookSummary",
    "CloseNumber",
    "CloseSummary",
    "Finding",
    "LastRun",
    "MetricChange",
    "RunStatus",
    "Severity",
    "as_markdown",
    "as_text",
    "changed_metrics",
    "changes_as_text",
    "close_numbers",
    "missing_days",
    "not_closed",
    "ordered",
    "snapshot_versions",
    "summarize_book",
    "tape_summary",
    "value_as_text",
]
