"""The checks as Dagster asset checks: a step for each derived table, two for the servicing tables that the close needs,
and one for each other servicing table.

The Great Expectations suites of the servicing tables have their own step, which runs last because no step depends on
it. Tables that the close does not need have a step each: Dagster skips it when the sync rejects its table.

checks/ defines the checks. In a run they cover the run's days; launched alone, the latest closed day.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future
from datetime import date
from functools import partial

import dagster as dg

from lending_pipelines.assets.restatements import restatements
from lending_pipelines.checks import SUITE, Check, Days, Outcome, SuiteCheck, checks_for
from lending_pipelines.conventions import Conventions
from lending_pipelines.lake.limits import amounts_in_range
from lending_pipelines.partitions import first_and_last
from lending_pipelines.resources import (
    ConventionsResource,
    ExpectationsResource,
    LakeReportSource,
    LakeResource,
    message_first,
    passed_checks,
)
from lending_pipelines.tables import DERIVED, SERVICING

DAYS_LISTED = 31
"""The maximum number of failing days in a check's metadata."""

_LAST = {"dagster/priority": "-1"}


def table_checks(needed: Collection[str]) -> list[dg.AssetChecksDefinition]:
    """The asset checks of every table of the lake; `needed` are the servicing tables that the close needs."""
    derived = [_checks(f"{name}_checks", _checks_of([name])) for name in DERIVED]
    others = [_checks(f"{name}_checks", _checks_of([name]), tags=_LAST) for name in SERVICING if name not in needed]
    servicing = _checks_of(name for name in SERVICING if name in needed)
    suites = [check for check in servicing if check.name == SUITE]
    return [
        _checks("servicing_checks", [check for check in servicing if check not in suites]),
        _checks("servicing_expectations", suites, tags=_LAST),
        *others,
        *derived,
    ]


def check_keys() -> list[dg.AssetCheckKey]:
    """The keys of all checks of the lake's tables."""
    checks = _checks_of([*SERVICING, *DERIVED])
    keys = [dg.AssetCheckKey(dg.AssetKey(check.table), check.name) for check in checks]
    return [*keys, *restatements.check_keys]


def _checks_of(tables: Iterable[str]) -> list[Check]:
    # Names, severities and inputs do not depend on conventions; the evaluation uses the run's conventions.
    return [check for table in tables for check in checks_for(table, Conventions())]


def _checks(name: str, checks: Sequence[Check], tags: dict[str, str] | None = None) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(name=name, specs=[_spec(check) for check in checks], can_subset=True, op_tags=tags)
    @message_first
    def evaluate(
        context: dg.AssetCheckExecutionContext,
        lake: LakeResource,
        conventions: ConventionsResource,
        expectations: ExpectationsResource,
    ) -> Iterator[dg.AssetCheckResult]:
        days = _days(context, lake)
        source = LakeReportSource(lake.lake, conventions.get())
        with passed_checks(source) as memory:
            selected = [
                check
                for table in dict.fromkeys(check.table for check in checks)
                for check in checks_for(table, source.conventions, expectations.verdict)
                if dg.AssetCheckKey(dg.AssetKey(table), check.name) in context.selected_asset_check_keys
            ]
            for check, conclude in _begun(selected, source, days):
                with amounts_in_range(f"check {check.table}.{check.name}"):
                    outcome = conclude()
                if check.blocking:
                    memory.remember(check, days, outcome)
                yield _result(outcome, days, expectations)

    return evaluate


def _begun(checks: Sequence[Check], source: LakeReportSource, days: Days) -> list[tuple[Check, Callable[[], Outcome]]]:
    """For each check, the function that returns its outcome. Suites come last.

    All suites start at once: Great Expectations validates them while the engine evaluates the other checks.
    """
    suites: list[tuple[Check, Callable[[], Outcome]]] = []
    others: list[tuple[Check, Callable[[], Outcome]]] = []
    for check in checks:
        if isinstance(check, SuiteCheck):
            suites.append((check, _begin(check, source, days)))
        else:
            others.append((check, partial(check.evaluate, source.table, days)))
    return [*others, *suites]


def _begin(check: SuiteCheck, source: LakeReportSource, days: Days) -> Callable[[], Outcome]:
    """Start a suite. An error is raised only by the function that this returns."""
    try:
        return check.begin(source.table, days)
    except Exception as error:
        # The error is raised when the outcome is read, after the results of the other checks.
        failed: Future[Outcome] = Future()
        failed.set_exception(error)
        return failed.result


def _spec(check: Check) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(check.name, asset=check.table, description=check.description, blocking=check.blocking)


def _days(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> Days:
    """The days of the run; the latest closed day if the run has none."""
    if context.has_partition_key or context.run.tags.get("dagster/asset_partition_range_start"):
        return Days.between(*first_and_last(context.partition_key_range))
    latest = max(lake.lake.days("loan_positions"), default=date.today())
    return Days((latest,))


def _result(outcome: Outcome, days: Days, expectations: ExpectationsResource) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.ERROR if outcome.severity == "error" else dg.AssetCheckSeverity.WARN
    metadata: dict = {"days": f"{days.first} to {days.last}", **outcome.metadata}
    if outcome.page:
        metadata["data_docs"] = dg.MetadataValue.url(expectations.page(outcome.page))
    if not outcome.passed:
        metadata |= {
            "failed_rows": outcome.failed_rows,
            "failing_days": _listed(outcome.failing_days) or "not daily",
            "sample": dg.MetadataValue.json(list(outcome.sample)),
        }
    return dg.AssetCheckResult(
        asset_key=outcome.table,
        check_name=outcome.check,
        passed=outcome.passed,
        severity=severity,
        description=outcome.message,
        metadata=metadata,
    )


def _listed(days: Sequence[date]) -> str:
    """The first days, with the total number if there are more."""
    cut = f", first {DAYS_LISTED} of {len(days):,}" if len(days) > DAYS_LISTED else ""
    return ", ".join(map(str, days[:DAYS_LISTED])) + cut
