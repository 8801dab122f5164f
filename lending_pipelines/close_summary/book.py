"""The lake's part of a close summary: movements, rows of the daily tables, and accounts that do not tie out."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from lending_pipelines.lake import Lake
from lending_pipelines.metrics.movements import movements
from lending_pipelines.tables import DERIVED


@dataclass(frozen=True)
class BookSummary:
    """A closed day compared with the previous closed day.

    `before` is None for the first closed day. `movements` are the rows of metrics/movements.py, by currency. `rows` are
    the numbers of rows of each daily table on both days, None for the previous day of the first. `breaks` are the rows
    of ledger_tieouts with a difference, largest first; `tieouts` is the number of compared controls.
    """

    day: date
    before: date | None
    movements: list[dict[str, Any]]
    rows: dict[str, tuple[int | None, int]]
    tieouts: int
    breaks: list[dict[str, Any]]


def summarize_book(lake: Lake, day: date, before: date | None) -> BookSummary:
    """The summary of a closed day.

    Args:
        lake: The lake.
        day: The closed day.
        before: The closed day before it; None for the first.

    Raises:
        TableNotMade: loan_positions was never written.
    """
    positions = lake.table("loan_positions", before or day, day)
    # The first closed day has no opening balance: the whole balance was added on that day.
    moved = movements(positions, before or date.min, day).order_by("currency")
    tieouts = _tieouts(lake, day)
    broken = [row for row in tieouts if row["difference"] != 0]
    return BookSummary(
        day,
        before,
        moved.to_pyarrow().to_pylist(),
        {name: _rows(lake, name, before, day) for name in _daily(lake)},
        len(tieouts),
        sorted(broken, key=lambda row: (-abs(row["difference"]), -row["difference"], row["control_for"])),
    )


def _daily(lake: Lake) -> list[str]:
    return [name for name, table in DERIVED.items() if table.daily and lake.has(name)]


def _rows(lake: Lake, name: str, before: date | None, day: date) -> tuple[int | None, int]:
    """The number of rows of a daily table on both days."""
    table = lake.table(name, before or day, day)
    counted = table.group_by("business_date").agg(rows=table.count()).to_pyarrow().to_pylist()
    rows = {row["business_date"]: row["rows"] for row in counted}
    return rows.get(before, 0) if before else None, rows.get(day, 0)


def _tieouts(lake: Lake, day: date) -> list[dict[str, Any]]:
    if not lake.has("ledger_tieouts"):
        return []
    rows = lake.table("ledger_tieouts", day, day)
    columns = [name for name in rows.columns if name != "loans"]
    return rows.select(columns).to_pyarrow().to_pylist()
