"""Control totals of the daily tables, and the state of every other table, read from the lake's files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lending_pipelines.evidence.inventory import LAKE, HashedFile
from lending_pipelines.lake import Lake
from lending_pipelines.lake.files import DataFile, may_hold
from lending_pipelines.tables import RECORDS, TABLES, Table
from lending_pipelines.tables.schema import MONEY

_TIEOUT = ("control_for", "currency", "ledger_balance", "subledger_balance", "difference")


@dataclass
class DayTotals:
    """A daily table on a day: its Delta version, the files with its rows, and per currency its rows and sums.

    There is a sum for every money column.
    """

    version: int
    files: dict[str, str] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    sums: dict[str, dict[str, Decimal]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The totals as a statement has them."""
        return {
            "delta_version": self.version,
            "rows": sum(self.rows.values()),
            "totals": {
                currency: {"rows": self.rows[currency], **{name: str(value) for name, value in sums.items()}}
                for currency, sums in sorted(self.sums.items())
            },
            "files": self.files,
        }


def day_totals(lake: Lake, known: Mapping[str, HashedFile], days: Sequence[date]) -> dict[date, dict[str, DayTotals]]:
    """The control totals of every daily table on each of the days.

    Args:
        lake: The lake.
        known: The hashes of the files.
        days: The days.
    """
    found: dict[date, dict[str, DayTotals]] = {day: {} for day in days}
    for name, table in TABLES.items():
        if not table.daily or not lake.has(name):
            continue
        opened = lake.opened(name)
        for day in days:
            found[day][name] = DayTotals(opened.table.version())
        for file in opened.files:
            if held := [day for day in days if may_hold(table, file, day, day)]:
                _add(lake, table, file, known, {day: found[day][name] for day in held})
    return found


def _add(
    lake: Lake, table: Table, file: DataFile, known: Mapping[str, HashedFile], totals: Mapping[date, DayTotals]
) -> None:
    path = f"{LAKE}{table.name}/{file.path}"
    for day, row in _sums(table, _read(lake, table, file), set(totals)):
        currency, rows = row.pop("currency"), row.pop("rows")
        held = totals[day]
        held.files[path] = known[path].sha256
        held.rows[currency] = held.rows.get(currency, 0) + rows
        sums = held.sums.setdefault(currency, {})
        for name, value in row.items():
            sums[name] = sums.get(name, Decimal("0.00")) + (value or Decimal("0.00"))


def _sums(table: Table, rows: pa.Table, days: set[date]) -> Iterable[tuple[date, dict[str, Any]]]:
    money = _money(table)
    rows = rows.filter(pc.is_in(rows["business_date"], pa.array(days, pa.date32())))
    grouped = rows.group_by(["business_date", "currency"]).aggregate(
        [*((name, "sum") for name in money), ([], "count_all")]
    )
    for row in grouped.to_pylist():
        sums = {name: row[f"{name}_sum"] for name in money}
        yield row["business_date"], {"currency": row["currency"], "rows": row["count_all"], **sums}


def _read(lake: Lake, table: Table, file: DataFile) -> pa.Table:
    """The day, currency and amounts of a file."""
    wanted = ["business_date", "currency", *_money(table)]
    filesystem, root = lake.files()
    with filesystem.open(f"{root}/{table.name}/{file.path}", "rb") as opened:
        rows = pq.ParquetFile(opened).read([name for name in wanted if name != table.partition])
    if table.partition == "business_date":
        day = date.fromisoformat(str(file.partition["business_date"]))
        rows = rows.append_column("business_date", pa.array([day] * len(rows), pa.date32()))
    return rows


def _money(table: Table) -> list[str]:
    return [column.name for column in table.columns if column.type == MONEY]


def previous_day(lake: Lake, day: date) -> date | None:
    """The last day before `day` with positions; None without one."""
    files = lake.opened("loan_positions").files if lake.has("loan_positions") else []
    days = (date.fromisoformat(str(file.partition["business_date"])) for file in files)
    return max((each for each in days if each < day), default=None)


def tieouts(lake: Lake, days: Sequence[date]) -> dict[date, list[dict[str, Any]]]:
    """The rows of ledger_tieouts on each of the days, amounts as text."""
    found: dict[date, list[dict[str, Any]]] = {day: [] for day in days}
    if lake.has("ledger_tieouts"):
        rows = lake.table("ledger_tieouts", days[0], days[-1])
        for row in rows.order_by("business_date", "control_for", "currency").to_pyarrow().to_pylist():
            if row["business_date"] in found:
                found[row["business_date"]].append({name: str(row[name]) for name in _TIEOUT})
    return found


def table_states(lake: Lake, known: Mapping[str, HashedFile]) -> dict[str, dict[str, Any]]:
    """For each table that is not daily: its Delta version and commit time, its rows, and the latest watermark."""
    states = {}
    for name, table in TABLES.items():
        if table.daily or name in RECORDS or not lake.has(name):
            continue
        opened = lake.opened(name)
        marks = [known[path].watermark for file in opened.files if (path := f"{LAKE}{name}/{file.path}") in known]
        committed = datetime.fromtimestamp(opened.table.history(1)[0]["timestamp"] / 1000, UTC)
        states[name] = {
            "delta_version": opened.table.version(),
            "committed_at": committed.isoformat(timespec="seconds"),
            "rows": sum(opened.table.get_add_actions(flatten=True).column("num_records").to_pylist() or [0]),
            "watermark": max((mark for mark in marks if mark), default=None),
        }
    return states
