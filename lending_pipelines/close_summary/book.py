"""The lake's part of a close summary: movements, rows of the daily tables, and accounts that do not tie out."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import ibis

from lending_pipelines.lake import Lake
from lending_pipelines.metrics.movements import movements
from lending_pipelines.tables import DERIVED


@dataclass(frozen=True)
class BookSummary:
    """A closed day compared with the previous closed day.

    `before` is None for the first closed day. `movements` are the rows of metrics/movements.py, by currency. `rows` are
    the numbers of rows of each daily table on the previous day (None for the first closed day) and on the day. `breaks`
    are the rows of ledger_tieouts with a difference, largest first; `tieouts` is the number of compared controls.
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
    # The first closed day has no opening balance: its complete balance is a movement of that day.
    moved = movements(positions, before or date.min, day).order_by("currency")
    tieouts = _tieouts(lake, day)
    broken = [row for row in tieouts if row["difference"] != 0]
    return BookSummary(
        day,
        before,
        moved.to_pyarrow().to_pylist(),
        _rows(lake, before, day),
        len(tieouts),
        sorted(broken, key=lambda row: (-abs(row["difference"]), -row["difference"], row["control_for"])),
    )


def _rows(lake: Lake, before: date | None, day: date) -> dict[str, tuple[int | None, int]]:
    """The number of rows of each daily table on both days."""
    tables = {
        name: lake.table(name, before or day, day) for name, table in DERIVED.items() if table.daily and lake.has(name)
    }
    counted = ibis.union(
        *(
            rows.group_by("business_date").agg(rows=rows.count()).mutate(name=ibis.literal(name))
            for name, rows in tables.items()
        )
    )
    found = {(row["name"], row["business_date"]): row["rows"] for row in counted.to_pyarrow().to_pylist()}
    return {name: (found.get((name, before), 0) if before else None, found.get((name, day), 0)) for name in tables}


def _tieouts(lake: Lake, day: date) -> list[dict[str, Any]]:
    if not lake.has("ledger_tieouts"):
        return []
    rows = lake.table("ledger_tieouts", day, day)
    columns = [name for name in rows.columns if name != "loans"]
    return rows.select(columns).to_pyarrow().to_pylist()
