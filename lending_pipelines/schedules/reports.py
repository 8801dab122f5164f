"""The schedules of reports, from a TOML file (reports/scheduled.py).

Unless its parameters name a day, a report is for the day before the tick of its schedule. If that day is not closed,
the report does not use an earlier day instead.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from lending_pipelines.errors import LendingError
from lending_pipelines.jobs import report_job_name, report_run_config
from lending_pipelines.reports.parameters import AsOf
from lending_pipelines.reports.registry import get
from lending_pipelines.reports.scheduled import ScheduledReport, scheduled_reports


def report_schedules(file: str | Path, timezone: str) -> list[dg.ScheduleDefinition]:
    """The schedules of the file. Raises LendingError, which names the file, the entry and the correction."""
    # Find errors now and not at the first tick.
    scheduled = scheduled_reports(
        file,
        lambda report: report_run_config(report.report_type, report.parameters, output_format=report.output_format),
    )
    return [_schedule(file, report, timezone) for report in scheduled]


def _schedule(file: str | Path, report: ScheduledReport, timezone: str) -> dg.ScheduleDefinition:
    on_a_day = issubclass(get(report.report_type).parameters, AsOf)

    def run_config(context: dg.ScheduleEvaluationContext) -> dict[str, Any]:
        tick = context.scheduled_execution_time.astimezone(ZoneInfo(timezone))
        day = {"as_of": (tick.date() - timedelta(days=1)).isoformat()} if on_a_day else {}
        return report_run_config(
            report.report_type,
            {**day, **report.parameters},
            output_format=report.output_format,
            requested_by=report.requested_by,
            notify=report.notify,
        )

    try:
        return dg.ScheduleDefinition(
            name=f"{report.name}_schedule",
            cron_schedule=report.cron,
            job_name=report_job_name(report.report_type),
            run_config_fn=run_config,
            execution_timezone=timezone,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description=f"{get(report.report_type).title} as {report.output_format} for {report.requested_by}.",
        )
    except dg.DagsterInvalidDefinitionError as error:
        raise LendingError(
            f"report schedules {file}, report {report.name}: cron is {report.cron!r}: write a cron expression,"
            " as 0 7 1 * *: at 07:00 on the first"
        ) from error
