"""What a table is: its columns with types and units, its key, and how the sync brings it in."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import ibis
import ibis.expr.schema as sch
import pyarrow as pa

MONEY = "decimal(18, 2)"
RATE = "decimal(12, 8)"

Load = Literal["append", "merge", "replace"]
"""How the sync brings a servicing table in: new events by posted_at, changed rows by updated_at, or the whole table."""


@dataclass(frozen=True)
class Column:
    """One column: its Ibis type, its meaning with the unit, whether it may be null, and its allowed values if fixed.

    `personal`: it identifies a borrower or a member of staff, is about one person alone, or is free text that may name
    someone. Tapes and reports hold it only with allow_pii. The staff numbers of managers and collectors are not
    personal: reports on their work are about them.
    """

    name: str
    type: str
    description: str = ""
    nullable: bool = False
    values: tuple[str, ...] = ()
    personal: bool = False


@dataclass(frozen=True)
class Table:
    """One table: its columns, key, and how it changes.

    Daily tables hold one set of rows per business_date and are replaced day by day; `partition` is how their files are
    laid out: by `business_date` (large) or by `business_month` (small, so that years of nights stay few files). `load`
    and `watermark` say how the sync reads a servicing table; derived tables leave them at their defaults.
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
        """Whether the table holds one set of rows per business_date."""
        return self.partition is not None

    @cached_property
    def schema(self) -> sch.Schema:
        """The columns as an Ibis schema, all nullable: that required ones hold no nulls is checked, not encoded."""
        return ibis.schema({c.name: c.type for c in self.columns})

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The columns as an Arrow schema, all nullable."""
        return self.schema.to_pyarrow()

    def column(self, name: str) -> Column:
        """The column of that name; KeyError when there is none."""
        return {c.name: c for c in self.columns}[name]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(c.name for c in self.columns)


def text(
    name: str, description: str = "", *, nullable: bool = False, values: Iterable[str] = (), personal: bool = False
) -> Column:
    """An id, a name or a code."""
    return Column(name, "string", description, nullable, tuple(values), personal)


def money(name: str, description: str = "", *, nullable: bool = False) -> Column:
    """An amount in the row's currency, to the cent."""
    return Column(name, MONEY, description, nullable)


def rate(name: str, description: str = "", *, nullable: bool = False) -> Column:
    """An annual fraction: 0.1250 is 12.5 %."""
    return Column(name, RATE, description, nullable)


def ratio(name: str, description: str = "", *, nullable: bool = True) -> Column:
    """A ratio (fraction) or a percentage, as a double; null where it is not defined."""
    return Column(name, "float64", description, nullable)


def count(name: str, description: str = "", *, nullable: bool = False, personal: bool = False) -> Column:
    """A whole number."""
    return Column(name, "int64", description, nullable, personal=personal)


def day(name: str, description: str = "", *, nullable: bool = False, personal: bool = False) -> Column:
    """A business date."""
    return Column(name, "date", description, nullable, personal=personal)


def instant(name: str, description: str = "", *, nullable: bool = False) -> Column:
    """A UTC instant, stored without a zone."""
    return Column(name, "timestamp(6)", description, nullable)


def flag(name: str, description: str = "", *, nullable: bool = False) -> Column:
    """True or false."""
    return Column(name, "boolean", description, nullable)
