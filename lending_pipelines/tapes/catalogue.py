"""The field catalogue: every field that a tape can include, with type, unit, meaning and whether it is personal.

Every column of loan_positions is a field with the same name. The other fields come in parts, one module each. Types and
meanings come from tables/ or are defined beside the expression.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from lending_pipelines.tables import TABLES, Column
from lending_pipelines.tables.schema import MONEY, RATE
from lending_pipelines.tapes import history, installments, joined_fields, loan_state, period
from lending_pipelines.tapes.parts import POSITIONS, Part

PARTS: dict[str, Part] = {
    part.name: part for part in (*joined_fields.PARTS, period.PART, history.PART, installments.PART, *loan_state.PARTS)
}
"""The parts by name, each after the parts that it needs."""

TABLES_READ = tuple(dict.fromkeys([POSITIONS, *(table for part in PARTS.values() for table in part.tables)]))
"""Every table of the lake that a tape may read."""

_UNITS = {MONEY: "the loan's currency", RATE: "annual fraction", "date": "ISO date"}


@dataclass(frozen=True)
class TapeCatalogueField:
    """One field: its column, and the part that computes it; None for a column of loan_positions."""

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
        """The unit of an amount, rate or date; empty if it has none."""
        return _UNITS.get(self.type, "")

    @property
    def description(self) -> str:
        """The meaning."""
        return self.column.description or self.name.replace("_", " ")

    @property
    def pii(self) -> bool:
        """Whether the field identifies a person or describes one person."""
        return self.column.personal

    @property
    def nullable(self) -> bool:
        """Whether the field can be null."""
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
    """The parts that the fields need, in the order in which they are added."""
    wanted = {part for name in fields if (part := CATALOGUE[name].part)}
    while more := {need for name in wanted for need in PARTS[name].needs} - wanted:
        wanted |= more
    return tuple(part for name, part in PARTS.items() if name in wanted)
