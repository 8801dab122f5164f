"""Great Expectations suites, one per table, from the columns of tables/: required values, unique keys, sets and ranges.

Great Expectations validates all rows of a small table, and of a large one the representatives that decide its rules
(representatives.py), in a separate process. If an expectation fails, the engine counts the offending rows of the
complete table and fetches the first ones. Rules between columns and tables are in the other modules of this package.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from lending_pipelines.checks.compare import any_of
from lending_pipelines.checks.days import Days
from lending_pipelines.checks.protocol import Outcome, Read, Severity, conclude, outcome, plain, rows_named
from lending_pipelines.checks.representatives import representatives
from lending_pipelines.conventions import Conventions
from lending_pipelines.expectations import messages as gx
from lending_pipelines.expectations.messages import Expectation, Suite, Verdict
from lending_pipelines.tables import DERIVED, TABLES, Table
from lending_pipelines.tables.derived import TRANSITION_ENTRY, TRANSITION_EXITS
from lending_pipelines.tables.schema import MONEY

SUITE = "great_expectations"
"""The name of the check of every table's suite."""

Validate = Callable[[Suite], Verdict]
"""Validates a suite with Great Expectations."""

SIGNED = frozenset(
    {
        # A borrower may overpay, be refunded more than was paid, or have a credit balance.
        ("loan_positions", "principal_paid"),
        ("loan_positions", "interest_paid"),
        ("loan_positions", "fees_paid"),
        ("loan_positions", "principal_outstanding"),
        ("loan_positions", "settled"),
        ("loan_positions", "total_collected"),
        ("portfolio_snapshots", "total_balance"),
        ("portfolio_snapshots", "total_collected"),
        ("trial_balance", "balance"),
        ("ledger_tieouts", "ledger_balance"),
        ("ledger_tieouts", "subledger_balance"),
        ("ledger_tieouts", "difference"),
        ("wallet_transactions", "amount"),
    }
)
"""The amounts that may be negative; all other amounts and counts may not."""

SIGNED_WITH_RED_STORNO = frozenset(
    {
        ("journal_lines", "debit"),
        ("journal_lines", "credit"),
        ("trial_balance", "debit_total"),
        ("trial_balance", "credit_total"),
    }
)
"""The amounts that may be negative if the convention negative_journal_lines allows it."""

_SHARES = ("balance_share", "count_rate", "balance_rate")
"""Ratios between 0 and 1. PAR can exceed 1, because credit balances of overpaid loans lower its denominator."""

_ROUNDING = 1e-9
"""How far a share, which is a float, may exceed 1."""


@dataclass(frozen=True)
class Rule:
    """An expectation of one table, its column, and the rows that break it."""

    expectation: Expectation
    column: str
    breaks: ir.BooleanValue


@dataclass(frozen=True)
class SuiteCheck:
    """The suite of one table as a Check; `conventions` define the buckets."""

    schema: Table
    conventions: Conventions
    validate: Validate
    name: str = SUITE
    severity: Severity = "error"

    @property
    def blocking(self) -> bool:
        """True for derived tables. The sync already enforces these rules for servicing tables."""
        return self.table in DERIVED

    @property
    def table(self) -> str:
        """The table of the suite."""
        return self.schema.name

    @property
    def description(self) -> str:
        """The rules in a sentence."""
        return "required columns have values, keys are unique, values are within their sets and ranges"

    @property
    def reads(self) -> tuple[str, ...]:
        """The table itself."""
        return (self.schema.name,)

    def evaluate(self, read: Read, days: Days) -> Outcome:
        """Validate the days with Great Expectations, and fetch offending rows.

        The severity is that of the worst failed rule; only `error` blocks.
        """
        table = read(self.table)
        rows = days.rows(table) if self.schema.daily else table
        rules = list(self._rules(rows))
        verdict = self.validate(self._suite(rows, rules))
        metadata: dict[str, Any] = {"expectations": verdict.evaluated, "failed": []}
        if not verdict.failures:
            return replace(outcome(self), metadata=metadata, page=verdict.page)
        failed = [rules[failure.position] for failure in verdict.failures]
        metadata["failed"] = [
            {"expectation": str(rule.expectation), "observed": [plain(value) for value in failure.observed]}
            for rule, failure in zip(failed, verdict.failures, strict=True)
        ]
        found = conclude(self, self._offending(rows, failed))
        names = ", ".join(str(rule.expectation) for rule in failed)
        return replace(
            found,
            passed=False,
            severity="error" if any(rule.expectation.severity == "critical" for rule in failed) else "warn",
            message=f"{self.table}: {found.failed_rows:,} rows fail {names} ({rows_named(self.table, found.sample)})",
            metadata=metadata,
            page=verdict.page,
        )

    def _rules(self, rows: ir.Table) -> Iterator[Rule]:
        for column in self.schema.columns:
            value = rows[column.name]
            about = {"column": column.name}
            if not column.nullable:
                yield Rule(Expectation("ExpectColumnValuesToNotBeNull", about), column.name, value.isnull())
            allowed = self._allowed(column.name, column.values)
            if allowed:
                in_set = Expectation("ExpectColumnValuesToBeInSet", about | {"value_set": list(allowed)})
                yield Rule(in_set, column.name, value.notin(allowed))
            if column.name in _SHARES:
                share = about | {"min_value": 0, "max_value": 1 + _ROUNDING}
                outside = (value < 0) | (value > 1 + _ROUNDING)
                yield Rule(Expectation("ExpectColumnValuesToBeBetween", share), column.name, outside)
            signed = (self.table, column.name) in self._signed
            if column.type == "int64" or (column.type == MONEY and not signed):
                # A negative amount in a servicing table may have a reason; in a derived table it is an error.
                severity: gx.Severity = "critical" if self.table in DERIVED else "warning"
                least = Expectation("ExpectColumnValuesToBeBetween", about | {"min_value": 0}, severity)
                yield Rule(least, column.name, value < 0)
        yield self._unique(rows)

    def _unique(self, rows: ir.Table) -> Rule:
        key = list(self.schema.key)
        unique = Expectation("ExpectCompoundColumnsToBeUnique", {"column_list": key})
        if len(key) == 1:
            unique = Expectation("ExpectColumnValuesToBeUnique", {"column": key[0]})
        return Rule(unique, key[0], rows.count().over(group_by=key) > 1)

    @property
    def _signed(self) -> frozenset[tuple[str, str]]:
        return SIGNED | SIGNED_WITH_RED_STORNO if self.conventions.negative_journal_lines else SIGNED

    def _allowed(self, column: str, values: tuple[str, ...]) -> tuple[str, ...]:
        buckets = self.conventions.buckets
        match column:
            case "bucket":
                return buckets
            case "from_bucket":
                return (*buckets, TRANSITION_ENTRY)
            case "to_bucket":
                return (*buckets, *TRANSITION_EXITS)
            case _:
                return values

    def _suite(self, rows: ir.Table, rules: list[Rule]) -> Suite:
        def columns(kind: str) -> list[str]:
            return [rule.column for rule in rules if rule.expectation.kind == kind]

        chosen = representatives(
            rows,
            self.schema.key,
            ranged=columns("ExpectColumnValuesToBeBetween"),
            coded=columns("ExpectColumnValuesToBeInSet"),
            required=columns("ExpectColumnValuesToNotBeNull"),
        )
        return Suite(self.table, tuple(rule.expectation for rule in rules), self.schema.key, _as_floats(chosen))

    def _offending(self, rows: ir.Table, broken: list[Rule]) -> ir.Table:
        """The rows that break these rules; `why` names the broken rules of each."""
        key = self.schema.key
        columns = [name for name in dict.fromkeys(rule.column for rule in broken) if name not in key]
        marks = {f"broken_{number}": rule.breaks.fill_null(False) for number, rule in enumerate(broken)}
        marked = rows.select(*key, *columns, **marks)
        marked = marked.filter(any_of(marked[name] for name in marks))
        reasons = [marked[name].ifelse(f"{rule.expectation}; ", "") for name, rule in zip(marks, broken, strict=True)]
        return marked.select(*key, *columns, why=sum(reasons, ibis.literal("")))


def suite_checks(conventions: Conventions, validate: Validate) -> tuple[SuiteCheck, ...]:
    """The suites of all tables."""
    return tuple(SuiteCheck(table, conventions, validate) for table in TABLES.values())


def _as_floats(rows: pa.Table) -> pa.Table:
    """Decimals as floats: Great Expectations checks signs only, not exact amounts."""
    fields = [field.with_type(pa.float64()) if pa.types.is_decimal(field.type) else field for field in rows.schema]
    return rows.cast(pa.schema(fields))
