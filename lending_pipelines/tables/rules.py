"""The rules for each row of a table. Each rule is defined once, here or by a column of this package.

The sync rejects a table that breaks a rule with `rejected`. Checks and Great Expectations suites evaluate the rules on
the lake, and docs/tables.md prints them. Rules between rows or tables are in sources/rules.py and checks/.

Every kind of rule has these members:

- `column`: the column that a message names
- `rejected`: whether the sync rejects the table
- `on_nulls`: whether a null in the column can break the rule
- `problem`: the problem, worded to follow the number of rows
- `broken`: true for the rows that break the rule
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import ibis.expr.types as ir

from lending_pipelines.tables.derived import DERIVED
from lending_pipelines.tables.schema import Column, Table

_ROUNDING = 1e-9
"""The tolerance for the range of a ratio, which is a float."""


@dataclass(frozen=True)
class Required:
    """The column has a value."""

    column: str
    rejected: ClassVar[bool] = True
    on_nulls: ClassVar[bool] = True
    problem: ClassVar[str] = "have no value"

    def broken(self, rows: ir.Table) -> ir.BooleanValue:
        """True for the rows that break the rule."""
        return rows[self.column].isnull()


@dataclass(frozen=True)
class OneOf:
    """The column's value is one of a set."""

    column: str
    values: tuple[str, ...]
    rejected: ClassVar[bool] = True
    on_nulls: ClassVar[bool] = False

    @property
    def problem(self) -> str:
        """The problem, worded to follow the number of rows."""
        return f"have a value that is not one of {', '.join(self.values)}"

    def broken(self, rows: ir.Table) -> ir.BooleanValue:
        """True for the rows that break the rule; null for a null column."""
        return rows[self.column].notin(self.values)


@dataclass(frozen=True)
class NotNegative:
    """The amount or count is at least 0.

    `rejected` is false for most amounts of servicing tables: a negative amount can have a reason, so it is a warning.
    `advice` is the end of the problem.
    """

    column: str
    rejected: bool = True
    advice: str = ""
    on_nulls: ClassVar[bool] = False

    @property
    def problem(self) -> str:
        """The problem, worded to follow the number of rows."""
        return f"are negative{self.advice}"

    def broken(self, rows: ir.Table) -> ir.BooleanValue:
        """True for the rows that break the rule; null for a null column."""
        return rows[self.column] < 0


@dataclass(frozen=True)
class Within:
    """The ratio is between 0 and `most`."""

    column: str
    most: int
    rejected: ClassVar[bool] = True
    on_nulls: ClassVar[bool] = False

    @property
    def problem(self) -> str:
        """The problem, worded to follow the number of rows."""
        return f"are not between 0 and {self.most}"

    @property
    def highest(self) -> float:
        """The highest accepted value: `most`, with a tolerance because ratios are floats."""
        return self.most + _ROUNDING

    def broken(self, rows: ir.Table) -> ir.BooleanValue:
        """True for the rows that break the rule; null for a null column."""
        value = rows[self.column]
        return (value < 0) | (value > self.highest)


@dataclass(frozen=True)
class RowRule:
    """A rule between columns of one row. `column` is the column that a message names."""

    column: str
    text: str
    """The rule in a sentence."""
    problem: str
    condition: Callable[[ir.Table], ir.BooleanValue]
    on_nulls: bool = False
    rejected: ClassVar[bool] = True

    def broken(self, rows: ir.Table) -> ir.BooleanValue:
        """True for the rows that break the rule."""
        return self.condition(rows)


ColumnRule = Required | OneOf | NotNegative | Within
Rule = ColumnRule | RowRule

ROW_RULES: dict[str, tuple[RowRule, ...]] = {
    "transactions": (
        RowRule(
            "amount",
            "amount = principal + interest + fees",
            "are not principal + interest + fees",
            lambda t: t.amount != t.principal + t.interest + t.fees,
        ),
        RowRule(
            "reverses_id",
            "a reversal has a reverses_id",
            "are reversals without reverses_id",
            lambda t: (t.type == "reversal") & t.reverses_id.isnull(),
            on_nulls=True,
        ),
    ),
    "journal_lines": (
        RowRule(
            "debit",
            "at most one of debit and credit is not 0",
            "have both a debit and a credit",
            lambda t: (t.debit != 0) & (t.credit != 0),
        ),
    ),
}
"""The rules between the columns of a row, by table."""

_NEVER_NEGATIVE = {"transactions": ("principal", "interest", "fees"), "journal_lines": ("debit", "credit")}
"""The amounts of servicing tables whose negative values the sync rejects."""

_RED_STORNO = "; where the ledger corrects entries so (red storno), set the convention negative_journal_lines = true"


def column_rules(table: Table, *, buckets: tuple[str, ...], negative_journal_lines: bool) -> Iterator[ColumnRule]:
    """The rules that follow from the table's columns.

    Args:
        table: The table.
        buckets: The delinquency buckets of the conventions, for columns with buckets.
        negative_journal_lines: The convention: whether the ledger's debits and credits may be negative.
    """
    for column in table.columns:
        if not column.nullable:
            yield Required(column.name)
        if values := ((*buckets, *column.values) if column.of_buckets else column.values):
            yield OneOf(column.name, values)
        if column.most is not None:
            yield Within(column.name, column.most)
        if column.sign == "not negative" or (column.sign == "by convention" and not negative_journal_lines):
            yield _not_negative(table, column)


def rejecting_rules(table: Table, *, negative_journal_lines: bool) -> Iterator[Rule]:
    """The rules of a servicing table that its rows must satisfy. The sync rejects a table that breaks one.

    Args:
        table: The servicing table.
        negative_journal_lines: The convention: whether debits and credits may be negative.
    """
    for rule in column_rules(table, buckets=(), negative_journal_lines=negative_journal_lines):
        if rule.rejected:
            yield rule
    yield from ROW_RULES.get(table.name, ())


def _not_negative(table: Table, column: Column) -> NotNegative:
    """The rule for a column. In servicing tables, only the amounts of _NEVER_NEGATIVE are rejected."""
    enforced = table.name in DERIVED or column.name in _NEVER_NEGATIVE.get(table.name, ())
    return NotNegative(column.name, enforced, _RED_STORNO if column.sign == "by convention" else "")
