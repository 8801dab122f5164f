"""alerts: the alert rules evaluated on the days of a close. The package alerts/ defines what an alert is."""

import dagster as dg

from lending_pipelines.alerts.close import Outcome, alerts_of_days
from lending_pipelines.assets.close_summary import DAILY
from lending_pipelines.assets.describe import OWNERS
from lending_pipelines.markdown import escaped
from lending_pipelines.partitions import BUSINESS_DATES, first_and_last
from lending_pipelines.register.alert_models import Alert
from lending_pipelines.resources import (
    ConventionsResource,
    LakeReportSource,
    LakeResource,
    RegisterResource,
    message_first,
)
from lending_pipelines.settings import Settings

STEPS_SHOWN = 200
"""The maximum number of steps that a materialization lists. The register has all of them."""


@dg.asset(
    name="alerts",
    description="The alert rules evaluated on the run's days: which alerts opened, changed and were resolved, and which"
    " are open. `lending alerts` lists them.",
    deps=[*DAILY],
    partitions_def=BUSINESS_DATES,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="close",
    owners=OWNERS,
    kinds={"sqlite"},
    op_tags={"dagster/priority": "-5"},
)
@message_first
def alerts(
    context: dg.AssetExecutionContext, lake: LakeResource, register: RegisterResource, conventions: ConventionsResource
) -> dg.MaterializeResult:
    """Evaluate, save and notify; fail when more than a tenth of the rules could not be judged."""
    first, last = first_and_last(context.partition_key_range)
    source = LakeReportSource(lake.lake, conventions.get())
    outcome = alerts_of_days(source, register.register, first, last, Settings.from_environment())
    context.add_output_metadata(_metadata(outcome))
    outcome.require_judged()
    return dg.MaterializeResult(metadata=_metadata(outcome))


def _metadata(outcome: Outcome) -> dict[str, dg.MetadataValue | int | str]:
    steps = [
        f"| {event.business_date} | {event.step} | {event.severity} | {escaped(alert.text)} | `{alert.alert_id}` |"
        for event, alert in outcome.changed[:STEPS_SHOWN]
    ]
    metadata: dict[str, dg.MetadataValue | int | str] = {
        "open": len(outcome.still_open),
        "critical": sum(alert.severity == "critical" for alert in outcome.still_open),
        "rules": outcome.rules,
        "steps": _table("day | step | severity | alert | id", steps, len(outcome.changed)),
        "open_alerts": _table(
            "severity | opened | state | alert | id", list(map(_line, outcome.still_open)), len(outcome.still_open)
        ),
    }
    if outcome.unjudged:
        lines = [
            f"| {escaped(name)} | {escaped(reason)} | {'yes' if name in outcome.failed else 'no'} |"
            for name, reason in outcome.unjudged.items()
        ]
        metadata["not_judged"] = _table("rule | reason | failure", lines, len(lines))
    return metadata


def _line(alert: Alert) -> str:
    return f"| {alert.severity} | {alert.opened_on} | {alert.state} | {escaped(alert.text)} | `{alert.alert_id}` |"


def _table(header: str, lines: list[str], total: int) -> dg.MetadataValue:
    if not lines:
        return dg.MetadataValue.md("none")
    columns = header.count("|") + 1
    more = [f"\nand {total - len(lines):,} more"] if total > len(lines) else []
    return dg.MetadataValue.md("\n".join([f"| {header} |", "|" + " --- |" * columns, *lines, *more]))
