"""The weekly housekeeping."""

import dagster as dg

from lending_pipelines.jobs import housekeep
from lending_pipelines.settings import Settings

housekeeping_schedule = dg.ScheduleDefinition(
    name="housekeeping_schedule",
    job=housekeep,
    cron_schedule="0 2 * * 0",
    execution_timezone=Settings.from_environment().timezone,
    description="On Sundays at 02:00 in LENDING_TIMEZONE: remove old data by the retention policy.",
)
