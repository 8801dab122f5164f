"""The field catalogue: everything that a tape can say of a loan, with type, unit, meaning and whether it is personal.

Every column of loan_positions is a field by its own name; fields of other tables are reached from a position by a key.
Types and meanings come from tables/.
"""

from dataclasses import dataclass

from lending_pipelines.tables import TABLES
from lending_pipelines.tables.schema import MONEY, RATE

POSITIONS = "loan_positions"

KEYS = {
    "loans": ("loan_id", "loan_id"),
    "borrowers": ("borrower_id", "borrower_id"),
    "products": ("product_id", "product_id"),
    "programs": ("program_id", "program_id"),
    "branches": ("branch_id", "branch_id"),
    "staff": ("officer_id", "staff_id"),
}
"""How a table is reached: the column of loan_positions, and the key of the table that it names."""

_REACHED = {
    "loans": {
        "original_principal": "principal",
        "original_rate": "annual_rate",
        "day_count": "day_count",
        "term_count": "term_count",
        "payment_frequency": "payment_frequency",
        "approved_on": "approved_on",
        "first_due_on": "first_due_on",
        "purpose": "purpose",
        "collateral_value": "collateral_value",
        "credit_score": "credit_score",
        "region": "region",
    },
    "borrowers": {"borrower_segment": "segment", "borrower_joined_on": "joined_on"},
    "products": {"product_name": "name", "product_type": "product_type"},
    "programs": {"program_name": "name"},
    "branches": {"branch_name": "name", "branch_region": "region"},
    "staff": {"officer_name": "full_name"},
}

_PERSONAL = frozenset({"borrower_id", "credit_score", "borrower_joined_on", "officer_id", "officer_name"})

_UNITS = {MONEY: "the loan's currency", RATE: "annual fraction", "date": "ISO date"}


@dataclass(frozen=True)
class TapeCatalogueField:
    """One field: its name, and the table and column that it is taken from.

    `pii`: it identifies a person or is about that person alone.
    """

    name: str
    table: str
    column: str
    pii: bool

    @property
    def type(self) -> str:
        """The Ibis type."""
        return TABLES[self.table].column(self.column).type

    @property
    def unit(self) -> str:
        """What an amount, rate or date is given in; empty where there is no unit."""
        return _UNITS.get(self.type, "")

    @property
    def description(self) -> str:
        """The meaning."""
        return TABLES[self.table].column(self.column).description or self.name.replace("_", " ")

    @property
    def nullable(self) -> bool:
        """Whether a loan may lack it: what another table says may be missing there."""
        return self.table != POSITIONS or TABLES[self.table].column(self.column).nullable


def _field(name: str, table: str, column: str) -> TapeCatalogueField:
    return TapeCatalogueField(name, table, column, pii=name in _PERSONAL)


CATALOGUE: dict[str, TapeCatalogueField] = {
    **{name: _field(name, POSITIONS, name) for name in TABLES[POSITIONS].names},
    **{name: _field(name, table, column) for table, names in _REACHED.items() for name, column in names.items()},
}
"""The fields by name."""
