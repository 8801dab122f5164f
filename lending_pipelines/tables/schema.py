"""Table schemas: columns with types and units, keys, and how the sync reads a servicing table."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import ibis
import ibis.expr.schema as sch
import ibis.expr.types as ir
import pyarrow as pa

MONEY = "decimal(18, 2)"
RATE = "decimal(12, 8)"

Sign = Literal["any", "not negative", "by convention"]
"""Whether a value may be negative; `by convention` only if the convention negative_journal_lines allows it."""

Load = Literal["append", "merge", "replace"]
"""How the sync reads a servicing table: new rows by posted_at, changed rows by updated_at, or the complete table."""


@dataclass(frozen=True)
class Column:
    """One column: its Ibis type, its meaning and unit, whether it may be null, and its allowed values if fixed.

    `of_buckets`: the delinquency buckets of the conventions are allowed too. `most`: the value is between 0 and this.
    `percent`: the value is in percent, 12.5 for 12.5 %.
    `optional`: a source may lack the column; it is null then. A source must have all other columns.
    `personal`: the column identifies a borrower or a member of staff, describes one person, or is free text that may
    name someone. Tapes and reports include it only with allow_pii. The staff ids of managers and collectors are not
    personal, because reports on their work are about them.
    """

    name: str
    type: str
    description: str = ""
    nullable: bool = False
    values: tuple[str, ...] = ()
    personal: bool = False
    sign: Sign = "any"
    of_buckets: bool = False
    most: int | None = None
    percent: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Table:
    """One table: its columns, its key, and how it changes.

    A daily table has one set of rows per business_date and is replaced day by day. `partition` is the layout of its
    files: `business_date` for large tables, `business_month` for small ones, to keep the number of files low.
    `load` and `watermark` say how the sync reads a servicing table; derived tables keep the defaults.
    """

    name: str
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    partition: Literal["business_date", "business_month"] | None = None
    load: Load = "replace"
    watermark: str | None = None

    @property
    def daily(self) -> bool:
        """Whether the table has one set of rows per business_date."""
        return self.partition is not None

    @cached_property
    def schema(self) -> sch.Schema:
        """The columns as an Ibis schema, all nullable. Nulls in required columns are found by checks."""
        return ibis.schema({c.name: c.type for c in self.columns})

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The columns as an Arrow schema, all nullable."""
        return self.schema.to_pyarrow()

    def column(self, name: str) -> Column:
        """The column with that name. Raises KeyError if there is none."""
        return {c.name: c for c in self.columns}[name]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(c.name for c in self.columns)

    def shape(self, rows: ir.Table) -> ir.Table:
        """The rows in the table's columns and types.

        Rows that have them are returned as they are: each step of an expression costs time to compile.
        """
        if tuple(rows.columns) != self.names:
            rows = rows.select(*self.names)
        return rows if rows.schema() == self.schema else rows.cast(self.schema)


def text(
    name: str,
    description: str = "",
    *,
    nullable: bool = False,
    values: Iterable[str] = (),
    personal: bool = False,
    optional: bool = False,
) -> Column:
    """An id, a name or a code. An optional column is nullable too."""
    return Column(name, "string", description, nullable or optional, tuple(values), personal, optional=optional)


def bucket(name: str, description: str = "", *, or_one_of: Iterable[str] = ()) -> Column:
    """A delinquency bucket of the conventions, or one of the given values."""
    return Column(name, "string", description, values=tuple(or_one_of), of_buckets=True)


def money(name: str, description: str = "", *, nullable: bool = False, sign: Sign = "not negative") -> Column:
    """An amount in the row's currency, with two decimals."""
    return Column(name, MONEY, description, nullable, sign=sign)


def rate(name: str, description: str = "", *, nullable: bool = False) -> Column:
    """An annual fraction: 0.1250 is 12.5 %."""
    return Column(name, RATE, description, nullable)


def ratio(name: str, description: str = "", *, nullable: bool = True) -> Column:
    """A fraction or a percentage, as a double; null where it is not defined."""
    return Column(name, "float64", description, nullable)


def share(name: str, description: str = "") -> Column:
    """A ratio between 0 and 1, as a double; null where it is not defined."""
    return Column(name, "float64", description, nullable=True, most=1)


def percent(name: str, description: str = "") -> Column:
    """A ratio times 100, as a double; null where it is not defined."""
    return Column(name, "float64", description, nullable=True, percent=True)


def score(name: str, description: str = "") -> Column:
    """A number of points between 0 and 100, as a double."""
    return Column(name, "float64", description, nullable=True, most=100)


def count(name: str, description: str = "", *, nullable: bool = False, personal: bool = False) -> Column:
    """An integer, 0 or more."""
    return Column(name, "int64", description, nullable, personal=personal, sign="not negative")


def day(name: str, description: str = "", *, nullable: bool = False, personal: bool = False) -> Column:
    """A business date."""
    return Column(name, "date", description, nullable, personal=personal)


def instant(name: str, description: str = "", *, nullable: bool = False) -> Column:
    """A UTC timestamp, stored without a time zone."""
    return Column(name, "timestamp(6)", description, nullable)


def flag(name: str, description: str = "", *, nullable: bool = False) -> Column:
    """True or false."""
    return Column(name, "boolean", description, nullable)
