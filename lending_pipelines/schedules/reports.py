"""Scheduled reports: type, time, recipients and format, from a TOML file.

    [[report]]
    name = "board_pack"
    report_type = "portfolio_summary"
    cron = "0 7 1 * *"
    output_format = "pdf"
    requested_by = "board"
    notify = ["board@lender.example"]
    parameters = { by = "product" }

Unless its parameters name a day, a report is for the day before its schedule's tick. It never uses an earlier day,
even if that day is not closed.
"""

import tomllib
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lending_pipelines.errors import LendingError
from lending_pipelines.jobs import report_job_name, report_run_config
from lending_pipelines.reports.parameters import AsOf
from lending_pipelines.reports.registry import get


class ScheduledReport(BaseModel):
    """One entry of the file. `notify` are the email addresses that get the report with the file attached."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9_]+$")
    report_type: str
    cron: str
    output_format: str = "xlsx"
    requested_by: str
    notify: list[str] = []
    parameters: dict[str, Any] = {}


def report_schedules(file: str | Path, timezone: str) -> list[dg.ScheduleDefinition]:
    """The schedules of the file. LendingError that names the file, the entry and the correction."""
    try:
        entries = tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise LendingError(f"report schedules {file} cannot be read: {error}") from error
    if entries.keys() - {"report"} or not isinstance(entries.get("report", []), list):
        raise LendingError(f"report schedules {file}: write each report as a table [[report]] and nothing else")
    scheduled = [_scheduled(file, number, entry) for number, entry in enumerate(entries.get("report", []), start=1)]
    if repeated := [name for name, times in Counter(report.name for report in scheduled).items() if times > 1]:
        raise LendingError(f"report schedules {file}: {repeated[0]} is the name of two reports; name one anew")
    return [_schedule(file, report, timezone) for report in scheduled]


def _scheduled(file: str | Path, number: int, entry: Any) -> ScheduledReport:
    try:
        report = ScheduledReport.model_validate(entry)
        # Reject errors now instead of at the first tick.
        report_run_config(report.report_type, report.parameters, output_format=report.output_format)
    except (ValidationError, LendingError) as error:
        problems = (
            "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            if isinstance(error, ValidationError)
            else str(error)
        )
        raise LendingError(f"report schedules {file}, report {number}: {problems}") from error
    return report


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
