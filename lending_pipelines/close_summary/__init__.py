"""The summary of a close: what was closed, how the book moved, and what needs attention.

What is found in the lake (book.py) and in the register (tapes.py) is put together in summary.py and printed by
printed.py. What Dagster knows, its runs and check results, is added by assets/close_summary.py.
"""

from lending_pipelines.close_summary.book import BookSummary, summarize_book
from lending_pipelines.close_summary.printed import as_markdown, as_text
from lending_pipelines.close_summary.summary import (
    CloseSummary,
    Finding,
    LastRun,
    RunStatus,
    Severity,
    missing_days,
    ordered,
)
from lending_pipelines.close_summary.tapes import tape_summary

__all__ = [
    "BookSummary",
    "CloseSummary",
    "Finding",
    "LastRun",
    "RunStatus",
    "Severity",
    "as_markdown",
    "as_text",
    "missing_days",
    "ordered",
    "summarize_book",
    "tape_summary",
]
