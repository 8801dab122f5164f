"""Great Expectations suites derived from tables/: required columns filled, keys unique, values in sets and ranges.

A table or a range of days may be too large for pandas, so the engine reduces it, in one query, to a profile: a row per
day (or one for the table) with the number of rows, nulls, duplicate keys and values outside their set, and the least
and greatest values. Great Expectations validates the profile; the offending rows are fetched as evidence when it fails.
Rules between columns and tables are not here but in the modules beside this one.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir

from lending_pipelines.checks.days import Days
from lending_pipelines.checks.protocol import Check, Outcome, Read, Severity, conclude, outcome, plain
from lending_pipelines.conventions import Conventions
from lending_pipelines.tables import TABLES, Table
from lending_pipelines.tables.derived import TRANSITION_ENTRY, TRANSITION_EXITS
from lending_pipelines.tables.schema import MONEY

if TYPE_CHECKING:
    import great_expectations as gx
    import pandas as pd

SIGNED = frozenset(
    {
        # A borrower may pay back too much, be refunded more than he paid, or hold a credit balance.
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
"""The amounts that may be negative; every other amount, and every count, may not."""

_SHARES = ("balance_share", "count_rate", "balance_rate")
"""Ratios between 0 and 1. PAR is none: credit balances of overpaid loans lower what it is a ratio to."""

_DUPLICATES = "duplicate keys"


@dataclass(frozen=True)
class Rule:
    """A rule on single rows: its name, the rows that break it, and how its column in the profile reads.

    A rule that counts expects 0; one on a range expects the profiled extreme (`least` or `greatest` of the column)
    within the bounds.
    """

    name: str
    column: str
    breaks: ir.BooleanValue
    extreme: ir.Value | None = None
    least: float | None = None
    greatest: float | None = None

    @property
    def measure(self) -> ir.Value:
        """What the profile holds for the rule."""
        return self.breaks.sum().fill_null(0) if self.extreme is None else self.extreme.cast("float64")

    def expectation(self) -> "gx.expectations.Expectation":
        """What Great Expectations checks of the profile."""
        import great_expectations as gx

        least, greatest = (0, 0) if self.extreme is None else (self.least, self.greatest)
        return gx.expectations.ExpectColumnValuesToBeBetween(column=self.name, min_value=least, max_value=greatest)


@dataclass(frozen=True)
class SuiteCheck:
    """The suite of one table as a Check; `conventions` decide which buckets there are."""

    schema: Table
    conventions: Conventions
    name: str = "great_expectations"
    severity: Severity = "error"
    blocking: bool = False

    @property
    def table(self) -> str:
        """The table that the suite is about."""
        return self.schema.name

    @property
    def description(self) -> str:
        """The rules in a sentence."""
        return "required columns are filled, keys unique, values in their sets and ranges"

    @property
    def reads(self) -> tuple[str, ...]:
        """The table itself."""
        return (self.schema.name,)

    def evaluate(self, read: Read, days: Days) -> Outcome:
        """The result of the suite on the profile of the days, with the offending rows where it fails."""
        table = read(self.table)
        rows = days.rows(table) if self.schema.daily else table
        rules = list(self._rules(rows))
        profile = self._profile(rows, rules).to_pyarrow().to_pandas()
        result = _validate(profile, rules, self.schema)
        failures = _failures(result)
        metadata = {**result.statistics, "rows": int(profile["rows"].sum()), "failed": failures}
        if result.success:
            return replace(outcome(self), metadata=metadata)
        names = [failure["expectation"] for failure in failures]
        found = conclude(self, self._offending(rows, [rule for rule in rules if rule.name in names]))
        message = f"{self.table}: {', '.join(names)}: {found.failed_rows:,} offending rows"
        return replace(found, passed=False, message=message, metadata=metadata)

    def _rules(self, rows: ir.Table) -> Iterator[Rule]:
        for column in self.schema.columns:
            value = rows[column.name]
            if not column.nullable:
                yield Rule(f"nulls in {column.name}", column.name, value.isnull())
            allowed = self._allowed(column.name, column.values)
            if allowed:
                outside = (~value.isin(allowed)).fill_null(False)
                yield Rule(f"{column.name} outside its values", column.name, outside)
            if column.name in _SHARES:
                bound = 1 + 1e-9
                yield Rule(f"greatest {column.name}", column.name, value > bound, value.max(), greatest=bound)
            signed = (self.table, column.name) in SIGNED
            if column.name in _SHARES or column.type == "int64" or (column.type == MONEY and not signed):
                yield Rule(f"least {column.name}", column.name, value < 0, value.min(), least=0)

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

    def _profile(self, rows: ir.Table, rules: list[Rule]) -> ir.Table:
        measures = {"rows": rows.count(), **{rule.name: rule.measure for rule in rules}}
        by_key = rows.group_by(list(self.schema.key)).agg(copies=rows.count())
        by_key = by_key.filter(by_key.copies > 1)
        surplus = {_DUPLICATES: (by_key.copies - 1).sum()}
        if not self.schema.daily:
            profile = rows.agg(**measures).cross_join(by_key.agg(**surplus))
            return profile.mutate({_DUPLICATES: profile[_DUPLICATES].fill_null(0)})
        profile = rows.group_by("business_date").agg(**measures)
        repeated = by_key.group_by("business_date").agg(**surplus)
        profile = profile.left_join(repeated, "business_date").drop("business_date_right")
        return profile.mutate({_DUPLICATES: profile[_DUPLICATES].fill_null(0)}).order_by("business_date")

    def _offending(self, rows: ir.Table, broken: list[Rule]) -> ir.Table:
        """The rows that break these rules or share their key; `why` names what is wrong with each."""
        key = self.schema.key
        columns = [name for name in dict.fromkeys(rule.column for rule in broken) if name not in key]
        copies = rows.count().over(group_by=list(key))
        marks = {rule.name: rule.breaks.fill_null(False) for rule in broken}
        marked = rows.select(*key, *columns, **marks, copies=copies)
        marked = marked.mutate({_DUPLICATES: marked.copies > 1}).drop("copies")
        reasons = (marked[name].ifelse(f"{name}; ", "") for name in (*marks, _DUPLICATES))
        found = marked.select(*key, *columns, why=sum(reasons, ibis.literal("")))
        return found.filter(found.why != "")


def suite_check(table: Table, conventions: Conventions) -> Check:
    """The suite of a table."""
    return SuiteCheck(table, conventions)


def suite_checks(conventions: Conventions) -> tuple[Check, ...]:
    """The suites of all tables."""
    return tuple(suite_check(table, conventions) for table in TABLES.values())


def _validate(profile: "pd.DataFrame", rules: list[Rule], table: Table) -> Any:
    import great_expectations as gx

    expectations = [
        *(rule.expectation() for rule in rules),
        gx.expectations.ExpectColumnValuesToBeBetween(column=_DUPLICATES, min_value=0, max_value=0),
    ]
    suite = gx.ExpectationSuite(name=table.name, expectations=expectations)
    batch = _frames().get_batch({"dataframe": profile})
    shown: dict[str, Any] = {"result_format": "BASIC", "partial_unexpected_count": 5}
    if table.daily:
        shown["unexpected_index_column_names"] = ["business_date"]
    result = batch.validate(suite, result_format=shown)
    for item in result.results:
        if item.exception_info.get("raised_exception"):
            raise RuntimeError(f"{table.name}: {item.expectation_config.kwargs}: {item.exception_info}")
    return result


@cache
def _frames() -> Any:
    """Where Great Expectations takes data frames from, in a context that keeps nothing and says nothing."""
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("profiles").add_dataframe_asset("profile")
    return asset.add_batch_definition_whole_dataframe("whole")


def _failures(result: Any) -> list[dict[str, Any]]:
    return [
        {
            "expectation": item.expectation_config.kwargs["column"],
            "observed": [plain(value) for value in item.result.get("partial_unexpected_list", [])],
        }
        for item in result.results
        if not item.success
    ]
