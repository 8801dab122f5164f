"""The nightly close."""

import dagster as dg

from lending_pipelines.jobs import daily_close

daily_close_schedule = dg.build_schedule_from_partitioned_job(
    daily_close,
    name="daily_close_schedule",
    hour_of_day=1,
    description="At 01:00 in LENDING_TIMEZONE: close the day before.",
)
