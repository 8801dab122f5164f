"""restatements: closed days that differ from what is known now, as found by each close.

A fault here never stops the close of the loans: it is logged, and the check `detected` fails as a warning.
"""

from datetime import timedelta
from typing import Any

import dagster as dg

from lending_pipelines.assets.daily import loan_positions
from lending_pipelines.assets.describe import described
from lending_pipelines.register import Notifications, PeriodLocks
from lending_pipelines.resources import ConventionsResource, LakeResource, RegisterResource, message_first
from lending_pipelines.restatements import Detected, Effect, detect, effect
from lending_pipelines.settings import Settings

DETECTED = "detected"
"""The check that fails when the closed days could not be compared."""

DUE = "restatement_due"
"""The check that fails while closed days that are not locked differ from what is known now."""

SUBJECT = 200
"""The maximum length of a notification's subject."""


@dg.asset(
    **described("restatements", "close", "team:finance"),
    deps=[loan_positions],
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=[
        dg.AssetCheckSpec(
            DETECTED,
            asset="restatements",
            description="The closed days were compared with what is known now. If not, the next close compares them.",
        ),
        dg.AssetCheckSpec(
            DUE,
            asset="restatements",
            description="Closed days agree with the current transactions, schedules, assignments and conventions. Close"
            " a day again where it does not. Locked days do not count: what changed there is an adjustment.",
        ),
    ],
    op_tags={"dagster/priority": "-4"},
)
@message_first
def restatements(
    context: dg.AssetExecutionContext, lake: LakeResource, register: RegisterResource, conventions: ConventionsResource
) -> dg.MaterializeResult:
    """Find the differences since the previous detection, and add them to the table."""
    try:
        with register.register.session() as session:
            locked = [lock.period_end for lock in PeriodLocks(session).in_force()]
        found = detect(lake.lake, conventions.get(), locked)
        told = _notify(lake, register, found) if found.rows else ""
        unlocked = max(locked) + timedelta(days=1) if locked else None
        due = _due(effect(lake.lake, register.register, first=unlocked))
    except Exception as error:
        context.log.error(f"closed days were not compared with what is known now: {error}", exc_info=error)
        fault = f"closed days were not compared with what is known now: {error or type(error).__name__}"
        return dg.MaterializeResult(check_results=[_result(DETECTED, fault), _result(DUE, fault)])
    metadata: dict[str, Any] = {"dagster/row_count": found.rows, **({"effect": told} if told else {})}
    if found.days_left:
        context.log.info(found.left_as_text())
        metadata["days_of_other_versions_left"] = found.days_left
    return dg.MaterializeResult(metadata=metadata, check_results=[_result(DETECTED, ""), due])


def _notify(lake: LakeResource, register: RegisterResource, found: Detected) -> str:
    """Notify the admins of what the detection added. Returns the effect as one line; empty if no day changed."""
    changed = effect(lake.lake, register.register, since=found.at)
    if not changed.days:
        return ""
    told = changed.as_text()
    sent = [f"{kind} {name} of {day}, to {recipient}" for kind, name, day, recipient in changed.sent]
    command = f"lending restate --from {changed.days[0]} --to {changed.days[-1]}"
    body = "\n".join([f"{told}.", *sent, f"`{command}` shows what to close again; `--apply` closes it again."])
    with register.register.session() as session:
        for recipient in Settings.from_environment().alert_admins or ("team:finance",):
            Notifications(session).create_once(
                ("restatement", found.at.isoformat(), recipient),
                "restatement",
                "high" if changed.sent else "normal",
                recipient=recipient,
                subject=f"Restatement: {told}"[:SUBJECT],
                body=body,
                action_required=True,
                business_date=changed.days[-1],
            )
    return told


def _due(changed: Effect) -> dg.AssetCheckResult:
    """The result of restatement_due."""
    days = [str(day) for day in changed.days]
    metadata = {"failing_days": dg.MetadataValue.json(days), "loans": changed.loans} if days else {}
    return _result(DUE, changed.as_warning() if days else "", metadata)


def _result(name: str, fault: str, metadata: dict[str, Any] | None = None) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        passed=not fault,
        severity=dg.AssetCheckSeverity.WARN,
        description=fault or None,
        metadata=metadata,
    )
