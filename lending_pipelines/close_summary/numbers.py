"""The numbers of a close summary that alert rules watch; tables/close_numbers.py says what each means."""

from collections.abc import Mapping
from dataclasses import dataclass

from lending_pipelines.close_summary.book import BookSummary
from lending_pipelines.close_summary.summary import CloseSummary, Finding
from lending_pipelines.tables.close_numbers import CLOSE_SUMMARY


@dataclass(frozen=True)
class CloseNumber:
    """A number, None if it is not known, and in words the things that it counts."""

    value: int | None
    behind: tuple[str, ...] = ()


def close_numbers(summary: CloseSummary) -> Mapping[str, CloseNumber]:
    """Every number of a summary by its name."""
    run = summary.last_run
    seconds = None if run is None or run.seconds is None else round(run.seconds)
    given = {
        "errors": _counted([each for each in summary.findings if each.severity == "error"]),
        "warnings": _counted([each for each in summary.findings if each.severity == "warning"]),
        "days_missing": CloseNumber(summary.days_missing, _counted(_of(summary, "days_missing")).behind),
        "rows_rejected": CloseNumber(summary.rows_rejected, _counted(_of(summary, "rows_rejected")).behind),
        "tieout_breaks": _breaks(summary.book),
        "seconds": CloseNumber(seconds),
    }
    return {name: given.get(name) or _counted(_of(summary, name)) for name in CLOSE_SUMMARY.names}


def _of(summary: CloseSummary, number: str) -> list[Finding]:
    return [each for each in summary.findings if each.number == number]


def _counted(findings: list[Finding]) -> CloseNumber:
    return CloseNumber(len(findings), tuple(f"{each.subject}: {each.text}" for each in findings))


def _breaks(book: BookSummary | None) -> CloseNumber:
    if book is None or not book.tieouts:
        return CloseNumber(None)
    texts = (f"{row['control_for']} differs by {row['difference']:,} {row['currency']}" for row in book.breaks)
    return CloseNumber(len(book.breaks), tuple(texts))
