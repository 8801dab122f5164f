"""The daily assignment of loans to portfolios."""

import dagster as dg

from lending_pipelines.jobs import assign_portfolios

assign_portfolios_schedule = dg.build_schedule_from_partitioned_job(
    assign_portfolios,
    name="assign_portfolios_schedule",
    hour_of_day=5,
    description="At 05:00 in LENDING_TIMEZONE: assign loans to portfolios by rule, for the day before.",
)
