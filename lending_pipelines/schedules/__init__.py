"""When things run by themselves: one file a kind of schedule."""

from typing import Any

from lending_pipelines.schedules.close import daily_close_schedule
from lending_pipelines.schedules.reports import report_schedules
from lending_pipelines.settings import Settings


def schedules() -> list[Any]:
    """The nightly close, and the reports of the file LENDING_REPORT_SCHEDULES."""
    settings = Settings.from_environment()
    file = settings.report_schedules_file
    return [daily_close_schedule, *(report_schedules(file, settings.timezone) if file else ())]
