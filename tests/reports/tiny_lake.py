"""A ReportSource over rows in memory, and how a report is made from one."""

from datetime import date, datetime
from decimal import Decimal

import ibis
import pyarrow as pa

from lending_pipelines.conventions import Conventions
from lending_pipelines.reports.parameters import parse_parameters
from lending_pipelines.reports.registry import get
from lending_pipelines.tables import TABLES

_DEFAULTS = {
    "string": "x",
    "int64": 0,
    "float64": None,
    "boolean": False,
    "date": date(2025, 1, 31),
    "timestamp(6)": datetime(2025, 3, 1),
}


class TinyLake:
    """A ReportSource over rows in memory; columns that a test does not care about get a default of their type."""

    def __init__(self, rows, conventions=None, first_close=()):
        self.rows = rows
        self.first_close = dict(first_close)
        self.conventions = conventions or Conventions()
        self._read = set()

    def table(self, name):
        self._read.add(name)
        full = [{c.name: self._default(c) for c in TABLES[name].columns} | row for row in self.rows.get(name, [])]
        return ibis.memtable(pa.Table.from_pylist(full, schema=TABLES[name].arrow_schema))

    def days(self, name):
        return sorted({row["business_date"] for row in self.rows.get(name, [])})

    def thinned(self, name):
        closed = self.rows.get("closed_days", [])
        return sorted(row["business_date"] for row in closed if row["table_name"] == name and row.get("thinned_at"))

    def versions(self):
        return dict.fromkeys(sorted(self._read), 7)

    def as_reported(self, days):
        """The same rows, unless a test gives the rows of the first close."""
        return TinyLake(self.rows | self.first_close, self.conventions)

    @staticmethod
    def _default(column):
        if column.nullable:
            return None
        return _DEFAULTS.get(column.type, Decimal("0"))


def money(text):
    return Decimal(text)


def generate(source, report_type, **values):
    """The book of a report type over the source, with its parameters as a form would give them."""
    generator = get(report_type)
    return generator.generate(parse_parameters(report_type, generator.parameters, values), source)


def asked(source, report_type):
    """What a form must give: the loan of a statement of account, and that it may print personal data."""
    if report_type != "borrower_statement":
        return {}
    day = source.days("loan_positions")[-1:]
    loans = source.table("loan_positions").filter(lambda rows: rows.business_date.isin(day)) if day else None
    loan = loans.loan_id.min().to_pyarrow().as_py() if day else "L1"
    return {"loan": loan, "allow_pii": True}


def table(book, title):
    """A table of a book."""
    return next(table for table in book.tables if table.title == title)


def rows(book, title):
    """A table's rows of a book as dictionaries."""
    return table(book, title).arrow().to_pylist()
