"""close_summary: one page for each closed day, and the same summary for the command `lending status`.

Runs and check results are read from Dagster's instance here; the rest is in the package close_summary/.
"""

from collections.abc import Collection, Iterable
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import pyarrow as pa
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluation
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from lending_pipelines.alerts.close import alerts_of_summary
from lending_pipelines.alerts.detectors.close_summary import TABLE
from lending_pipelines.alerts.watched import Watched
from lending_pipelines.assets.checks import check_keys
from lending_pipelines.assets.describe import OWNERS
from lending_pipelines.assets.run_events import failure_reason
from lending_pipelines.assets.servicing import ROWS_REJECTED, SYNCED
from lending_pipelines.close_summary import (
    COMPARED,
    CloseSummary,
    Finding,
    LastRun,
    RunStatus,
    Severity,
    as_markdown,
    changed_metrics,
    changes_as_text,
    close_numbers,
    missing_days,
    not_closed,
    ordered,
    summarize_book,
    tape_summary,
)
from lending_pipelines.evidence.uncertified import has_certificate
from lending_pipelines.lake import Lake
from lending_pipelines.markdown import fenced
from lending_pipelines.partitions import BUSINESS_DATES, business_days, first_and_last, last_ended_day
from lending_pipelines.register import CloseSummaries, Register
from lending_pipelines.resources import LakeResource, RegisterResource, message_first
from lending_pipelines.settings import Settings
from lending_pipelines.tables import DERIVED, SERVICING
from lending_pipelines.unchecked_days import unchecked_days

DAILY = tuple(name for name, table in DERIVED.items() if table.daily)
"""The daily tables of the close."""

CERTIFICATES = "close_certificates"
"""The asset that certifies the days of the close. A day is closed without it."""

_POSITIONS = dg.AssetKey("loan_positions")
_RUNS_SEARCHED = 100
_RUN_STATUSES: dict[dg.DagsterRunStatus, RunStatus] = {
    dg.DagsterRunStatus.SUCCESS: "succeeded",
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "failed",
}


@dg.asset(
    name="close_summary",
    description="The page to open in the morning: how the book moved, which checks failed, which tapes wait, and which"
    " days are not closed.",
    deps=[*DAILY, "loan_tapes", CERTIFICATES],
    partitions_def=BUSINESS_DATES,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="close",
    owners=OWNERS,
    kinds={"markdown"},
    # This asset runs after the checks of the run, because the summary shows their results.
    op_tags={"dagster/priority": "-10"},
)
@message_first
def close_summary(
    context: dg.AssetExecutionContext, lake: LakeResource, register: RegisterResource
) -> dg.MaterializeResult:
    """Summarize the last day of the run."""
    first, last = first_and_last(context.partition_key_range)
    closed = closed_days(context.instance) | set(business_days(first, last))
    summary = summarize(context.instance, lake.lake, register.register, closed, max(last, last_ended_day()), last)
    with register.register.session() as session:
        findings = [asdict(each) for each in summary.findings]
        CloseSummaries(session).save(last, summary.verdict, findings, context.run.run_id)
    _raise_alerts(register.register, summary, last)
    counts = {
        f"{severity}s": sum(each.severity == severity for each in summary.findings) for severity in ("error", "warning")
    }
    changes = _changes(context, lake.lake, first, last)
    return dg.MaterializeResult(
        metadata={
            "summary": dg.MetadataValue.md(as_markdown(summary)),
            "verdict": summary.verdict,
            **counts,
            **({"changes": dg.MetadataValue.md(fenced(changes))} if changes else {}),
        }
    )


def _raise_alerts(register: Register, summary: CloseSummary, day: date) -> None:
    """Evaluate the alert rules on the summary's numbers."""
    rows = [
        {"business_date": day, "number": name, "value": number.value, "behind": list(number.behind)}
        for name, number in close_numbers(summary).items()
    ]
    watched = Watched({"close_summary": pa.Table.from_pylist(rows, schema=TABLE)})
    alerts_of_summary(watched, register, day, Settings.from_environment())


def _changes(context: dg.AssetExecutionContext, lake: Lake, first: date, last: date) -> str:
    """What the run changed in the snapshots of days that were closed before; empty if no such day was closed again."""
    versions = {}
    for name in COMPARED:
        made = context.instance.get_latest_materialization_event(dg.AssetKey(name))
        if made is None or made.asset_materialization is None or made.run_id != context.run.run_id:
            continue
        before = int(str(made.asset_materialization.metadata["delta_version"].value)) - 1
        if before >= 0 and lake.table(name, first, last, version=before).limit(1).to_pyarrow().num_rows:
            versions[name] = before
    return changes_as_text(changed_metrics(lake, versions, first, last)) if versions else ""


def closed_days(instance: dg.DagsterInstance) -> set[date]:
    """The days for which every daily table and the tapes were made, by runs that evaluated their checks."""
    return set.intersection(*_made(instance).values()) - unchecked_days(instance, DAILY)


def _made(instance: dg.DagsterInstance) -> dict[str, set[date]]:
    """The days for which each daily asset was made."""
    return {
        name: {date.fromisoformat(key) for key in instance.get_materialized_partitions(dg.AssetKey(name))}
        for name in (*DAILY, "loan_tapes")
    }


def _new_tables(instance: dg.DagsterInstance) -> list[Finding]:
    """An error when closed days lack only tables that an earlier release did not have."""
    made = _made(instance)
    new = [name for name, days in made.items() if not days]
    days = set.intersection(*(days for days in made.values() if days)) if len(new) < len(made) else set()
    if not new or not days:
        return []
    command = f"lending close --from {min(days)} --to {max(days)}"
    text = f"{', '.join(new)} has no day, because an earlier release closed the days: run `{command}`"
    return [Finding("error", "closed days", text)]


def summarize(
    instance: dg.DagsterInstance,
    lake: Lake,
    register: Register,
    closed: Collection[date],
    ended: date,
    day: date | None = None,
) -> CloseSummary:
    """The summary of a closed day, or of the last one.

    Args:
        instance: Where runs and check results are recorded.
        lake: The lake.
        register: The register.
        closed: The days that are closed.
        ended: The last day that has ended, which should be closed.
        day: The day; None for the last closed one.
    """
    day = day or max(closed, default=None)
    # A thinned day is closed, but its positions were removed, so it cannot be compared.
    comparable = set(closed).difference(lake.thinned(_POSITIONS.path[-1]))
    before = max((each for each in comparable if day and each < day), default=None)
    run = last_run(instance)
    failed = _failed_checks(instance)
    tapes, delivered = tape_summary(register, day)
    findings = [
        *([Finding("error", "last close", run.message)] if run and run.status == "failed" else []),
        *(_new_tables(instance) or missing_days(closed, ended)),
        *map(_finding, failed),
        *_not_certified(lake, day),
        *tapes,
    ]
    book = summarize_book(lake, day, before) if day else None
    return CloseSummary(
        Settings.from_environment().lender_name,
        day,
        book,
        ordered(findings),
        delivered,
        run,
        days_missing=len(not_closed(closed, ended)),
        rows_rejected=_rows_rejected(failed),
    )


def _not_certified(lake: Lake, day: date | None) -> list[Finding]:
    """A warning when the last close of the day has no certificate."""
    if day is None or has_certificate(lake, day):
        return []
    text = f"{day} is closed without a certificate: run `lending close --date {day} --force` to make one"
    return [Finding("warning", "certificate", text)]


def last_run(instance: dg.DagsterInstance) -> LastRun | None:
    """The latest run that closes days; None before the first such run."""
    for record in instance.get_run_records(limit=_RUNS_SEARCHED):
        if _closes(record.dagster_run):
            return _described(instance, record)
    return None


def _failed_checks(instance: dg.DagsterInstance) -> list[AssetCheckEvaluation]:
    """The checks whose latest evaluation failed."""
    keys = [*check_keys(), *(dg.AssetCheckKey(dg.AssetKey(name), SYNCED) for name in SERVICING)]
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    # A check that a run planned but did not evaluate has no result.
    results = [each.evaluation for each in latest.values() if each.status is AssetCheckExecutionRecordStatus.FAILED]
    return [found for found in results if found is not None]


def _finding(found: AssetCheckEvaluation) -> Finding:
    """A failed check. It is an error if its severity is ERROR.

    The sync's check of a table is always a warning: it fails for rejected tables and rows.
    """
    severity: Severity = "warning"
    number = "checks_warned"
    if found.severity is dg.AssetCheckSeverity.ERROR:
        # A close fails without a table that it needs. That failure has a finding of its own.
        if found.check_name != SYNCED:
            severity, number = "error", "checks_failed"
        else:
            number = "rows_rejected" if _metadata(found, ROWS_REJECTED) else "tables_rejected"
    subject = f"{found.asset_key.path[-1]}.{found.check_name}"
    return Finding(severity, subject, found.description or "the check failed", number)


def _rows_rejected(failed: Iterable[AssetCheckEvaluation]) -> int | None:
    """The number of rows that the last sync of each table rejected.

    None if an earlier release, which did not count them, made the last sync of a table with rejected rows.
    """
    counts = [_metadata(found, ROWS_REJECTED) for found in failed if found.check_name == SYNCED]
    return None if None in counts else sum(counts)


def _metadata(found: AssetCheckEvaluation, name: str) -> Any:
    return found.metadata[name].value if name in found.metadata else None


def _closes(run: dg.DagsterRun) -> bool:
    """Whether the run closes days: it makes positions of business dates."""
    days = any(tag in run.tags for tag in ("dagster/partition", "dagster/asset_partition_range_start"))
    return days and (run.job_name == "daily_close" or _POSITIONS in (run.asset_selection or ()))


def _described(instance: dg.DagsterInstance, record: dg.RunRecord) -> LastRun:
    run = record.dagster_run
    status = _RUN_STATUSES.get(run.status, "running")
    started = datetime.fromtimestamp(record.start_time, UTC) if record.start_time else None
    ended = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else datetime.now(UTC)
    message = ""
    if status == "failed":
        events = [each.dagster_event for each in instance.all_logs(run.run_id) if each.dagster_event]
        message = f"{failure_reason(events)} (run {run.run_id})"
    return LastRun(run.run_id, status, started, (ended - started).total_seconds() if started else None, message)
