"""Why a table of a report has no rows: the source does not have what it is made of, or there is nothing of it.

No report is here; what a report says beyond that is in its own module.
"""

from collections.abc import Iterable

from lending_pipelines.reports.protocol import ReportSource


def has_rows(source: ReportSource, table: str) -> bool:
    """Whether a servicing table has any row. A source without the table gives it empty: then there are no numbers."""
    return bool(source.table(table).limit(1).count().to_pyarrow().as_py())


def reason(source: ReportSource, tables: Iterable[str], otherwise: str) -> str:
    """The `no_data` of a table made of these servicing tables: that the source has none of them, or `otherwise`."""
    *names, last = tables
    if any(has_rows(source, name) for name in (*names, last)):
        return otherwise
    return f"the source has no {', '.join(names)}{' or ' if names else ''}{last}"
