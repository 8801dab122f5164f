"""Dagster schedules: one file per kind."""

from typing import Any

from lending_pipelines.schedules.assignments import assign_portfolios_schedule
from lending_pipelines.schedules.close import daily_close_schedule
from lending_pipelines.schedules.housekeeping import housekeeping_schedule
from lending_pipelines.schedules.reports import report_schedules
from lending_pipelines.schedules.weekly_summary import weekly_summary_schedule
from lending_pipelines.settings import Settings


def schedules() -> list[Any]:
    """All schedules: those of this package and the reports in LENDING_REPORT_SCHEDULES."""
    settings = Settings.from_environment()
    file = settings.report_schedules_file
    reports = report_schedules(file, settings.timezone) if file else ()
    return [daily_close_schedule, assign_portfolios_schedule, housekeeping_schedule, weekly_summary_schedule, *reports]
