"""A lake without Dagster: the servicing tables as known at a time, closed days, and detections."""

import shutil
from datetime import timedelta

import ibis
import pyarrow as pa

from lending_pipelines.conventions import Conventions
from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.metrics import positions
from lending_pipelines.restatements import detect
from lending_pipelines.tables import TABLES

CONVENTIONS = Conventions()
SOURCES = positions.sources(Conventions(interest_accrual="servicer"))
"""The tables of all conventions."""


class Lender:
    """A book's rows as the lake gets them: `sync` with what is known at a time, then `close` and `detect`."""

    def __init__(self, folder, book):
        self.engine = DuckDBEngine("1GB", threads=1)
        self.lake = Lake(str(folder / "lake"), self.engine)
        self.book = book
        self.synced = {}
        self.known_until = None

    def copy(self, folder):
        """The same lender with a lake and a book of its own, in another folder."""
        shutil.copytree(self.lake.url, folder / "lake")
        copy = Lender(folder, self.book.copy())
        copy.synced, copy.known_until = dict(self.synced), self.known_until
        return copy

    def sync(self, known_at, tables=SOURCES):
        """Write the rows known at a time; a table whose rows are the same is not written again."""
        self.known_until = known_at
        for name in tables:
            rows = [row for row in self.book.rows[name] if row.get("posted_at") is None or row["posted_at"] <= known_at]
            if self.synced.get(name) != rows:
                self.synced[name] = list(rows)
                table = pa.Table.from_pylist(rows, schema=TABLES[name].arrow_schema)
                self.lake.replace(name, ibis.memtable(table))

    def close(self, first, last, conventions=CONVENTIONS):
        """Close days as the IO manager does."""
        versions = {name: self.lake.version(name) for name in SOURCES}
        rows = positions.loan_positions(self.lake.table, first, last, conventions)
        self.lake.replace_days("loan_positions", rows, first, last)
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        self.lake.record_days("loan_positions", days, self.known_until, conventions.stamp(), versions)

    def detect(self, conventions=CONVENTIONS, locked=()):
        """The rows that a detection adds, as dicts."""
        found = detect(self.lake, conventions, locked)
        rows = self.lake.table("restatements")
        rows = rows.filter(rows.detected_at == ibis.literal(found.at, "timestamp(6)")).order_by(
            "business_date", "loan_id", "column"
        )
        rows = rows.to_pyarrow().to_pylist()
        assert len(rows) == found.rows
        return rows

    def positions(self):
        """The closed positions by (day, loan)."""
        rows = self.lake.table("loan_positions").to_pyarrow().to_pylist()
        return {(row["business_date"], row["loan_id"]): row for row in rows}


def by_value(rows):
    """(reported, restated) by (day, loan, column)."""
    return {(row["business_date"], row["loan_id"], row["column"]): (row["reported"], row["restated"]) for row in rows}
