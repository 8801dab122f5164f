"""The reason why a table of a report has no rows: the source lacks the data, or nothing happened.

This is not a report type. Reports with further reasons define them in their own module.
"""

from collections.abc import Iterable

from lending_pipelines.reports.protocol import ReportSource


def has_rows(source: ReportSource, table: str) -> bool:
    """Whether a servicing table has rows. Numbers from an empty table are unknown: the source has no such data."""
    return bool(source.table(table).limit(1).count().to_pyarrow().as_py())


def reason(source: ReportSource, tables: Iterable[str], otherwise: str) -> str:
    """The `no_data` of a table made from servicing tables: which of them the source lacks, or else `otherwise`."""
    *names, last = tables
    if any(has_rows(source, name) for name in (*names, last)):
        return otherwise
    return f"the source has no {', '.join(names)}{' or ' if names else ''}{last}"
