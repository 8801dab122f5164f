"""Great Expectations suites, one per table: the rules on its columns (tables/rules.py), and its unique key.

Great Expectations runs in a separate process. It validates all rows of a small table. Of a large table it validates
only the representatives that decide its rules (representatives.py). If an expectation fails, the engine counts the
offending rows of the complete table and fetches the first ones. Rules between columns and tables are in the other
modules of this package.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
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
from lending_pipelines.tables.rules import ColumnRule, NotNegative, OneOf, Required, Within, column_rules

SUITE = "great_expectations"
"""The name of the check of every table's suite."""

Validate = Callable[[Suite], Future[Verdict]]
"""Starts the validation of a suite with Great Expectations. The future has the result."""


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

        A table without rows breaks no rule: it is not validated and has no page. The severity is that of the worst
        failed rule; only `error` blocks.
        """
        return self.begin(read, days)()

    def begin(self, read: Read, days: Days) -> Callable[[], Outcome]:
        """Start the evaluation. Great Expectations validates while this process does other work.

        Returns:
            A function that waits for the result and returns the outcome.
        """
        table = read(self.table)
        rows = days.rows(table) if self.schema.daily else table
        rules = list(self._rules(rows))
        suite = self._suite(rows, rules)
        if not suite.rows.num_rows:
            return lambda: replace(outcome(self), metadata={"expectations": 0, "failed": []})
        verdict = self.validate(suite)
        return lambda: self._outcome(rows, rules, verdict.result())

    def _outcome(self, rows: ir.Table, rules: list[Rule], verdict: Verdict) -> Outcome:
        metadata: dict[str, Any] = {"expectations": verdict.evaluated, "failed": []}
        if not verdict.failures:
            return replace(outcome(self), metadata=metadata, page=verdict.page)
        failed = [rules[failure.position] for failure in verdict.failures]
        metadata["failed"] = [
            {"expectation": str(rule.expectation), "observed": [plain(value) for value in failure.observed]}
            for rule, failure in zip(failed, verdict.failures, strict=True)
        ]
        result = conclude(self, self._offending(rows, failed))
        names = ", ".join(str(rule.expectation) for rule in failed)
        return replace(
            result,
            passed=False,
            severity="error" if any(rule.expectation.severity == "critical" for rule in failed) else "warn",
            message=f"{self.table}: {result.failed_rows:,} rows fail {names} ({rows_named(self.table, result.sample)})",
            metadata=metadata,
            page=verdict.page,
        )

    def _rules(self, rows: ir.Table) -> Iterator[Rule]:
        buckets, red_storno = self.conventions.buckets, self.conventions.negative_journal_lines
        for rule in column_rules(self.schema, buckets=buckets, negative_journal_lines=red_storno):
            yield Rule(_expectation(rule), rule.column, rule.broken(rows))
        yield self._unique(rows)

    def _unique(self, rows: ir.Table) -> Rule:
        key = list(self.schema.key)
        unique = Expectation("ExpectCompoundColumnsToBeUnique", {"column_list": key})
        if len(key) == 1:
            unique = Expectation("ExpectColumnValuesToBeUnique", {"column": key[0]})
        return Rule(unique, key[0], rows.count().over(group_by=key) > 1)

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


def _expectation(rule: ColumnRule) -> Expectation:
    about: dict[str, Any] = {"column": rule.column}
    match rule:
        case Required():
            return Expectation("ExpectColumnValuesToNotBeNull", about)
        case OneOf(values=values):
            return Expectation("ExpectColumnValuesToBeInSet", about | {"value_set": list(values)})
        case Within():
            return Expectation("ExpectColumnValuesToBeBetween", about | {"min_value": 0, "max_value": rule.highest})
        case NotNegative(rejected=rejected):
            severity: gx.Severity = "critical" if rejected else "warning"
            return Expectation("ExpectColumnValuesToBeBetween", about | {"min_value": 0}, severity)


def suite_checks(conventions: Conventions, validate: Validate) -> tuple[SuiteCheck, ...]:
    """The suites of all tables."""
    return tuple(SuiteCheck(table, conventions, validate) for table in TABLES.values())


def _as_floats(rows: pa.Table) -> pa.Table:
    """The rows with decimals as floats. Great Expectations checks only signs, not exact amounts."""
    fields = [field.with_type(pa.float64()) if pa.types.is_decimal(field.type) else field for field in rows.schema]
    return rows.cast(pa.schema(fields))
