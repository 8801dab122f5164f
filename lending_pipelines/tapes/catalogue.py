"""The field catalogue: everything that a tape can say of a loan, with type, unit, meaning and whether it is personal.

Every column of loan_positions is a field by its own name; the other fields come in parts, each made in a module of its
own. Types and meanings come from tables/ or stand beside the expression.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from lending_pipelines.tables import TABLES, Column
from lending_pipelines.tables.schema import MONEY, RATE
from lending_pipelines.tapes import history, installments, period, reached, standing
from lending_pipelines.tapes.parts import POSITIONS, Part

PARTS: dict[str, Part] = {
    part.name: part for part in (*reached.PARTS, period.PART, history.PART, installments.PART, *standing.PARTS)
}
"""The parts by name, in an order in which one comes after those that it needs."""

TABLES_READ = tuple(dict.fromkeys([POSITIONS, *(table for part in PARTS.values() for table in part.tables)]))
"""Every table of the lake that some tape may be read from."""

_UNITS = {MONEY: "the loan's currency", RATE: "annual fraction", "date": "ISO date"}


@dataclass(frozen=True)
class TapeCatalogueField:
    """One field: what it holds, and the part that it is made in; None: a column of loan_positions."""

    column: Column
    part: str | None

    @property
    def name(self) -> str:
        """The field's name."""
        return self.column.name

    @property
    def type(self) -> str:
        """The Ibis type."""
        return self.column.type

    @property
    def unit(self) -> str:
        """What an amount, rate or date is given in; empty where there is no unit."""
        return _UNITS.get(self.type, "")

    @property
    def description(self) -> str:
        """The meaning."""
        return self.column.description or self.name.replace("_", " ")

    @property
    def pii(self) -> bool:
        """Whether it identifies a person or is about that person alone."""
        return self.column.personal

    @property
    def nullable(self) -> bool:
        """Whether a loan may lack it."""
        return self.column.nullable


CATALOGUE: dict[str, TapeCatalogueField] = {
    column.name: TapeCatalogueField(column, part)
    for part, columns in [
        (None, TABLES[POSITIONS].columns),
        *((name, part.columns) for name, part in PARTS.items()),
    ]
    for column in columns
}
"""The fields by name."""


def parts_of(fields: Iterable[str]) -> tuple[Part, ...]:
    """The parts that those fields need, in the order in which they are added."""
    wanted = {part for name in fields if (part := CATALOGUE[name].part)}
    while more := {need for name in wanted for need in PARTS[name].needs} - wanted:
        wanted |= more
    return tuple(part for name, part in PARTS.items() if name in wanted)
