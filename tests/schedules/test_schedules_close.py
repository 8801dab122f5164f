"""What runs every night, in LENDING_TIMEZONE: the close at 01:00, the assignment of loans at 05:00, once a night."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import dagster as dg

from lending_pipelines.definitions import definitions

# What a code location with that time zone answers: it is read when the package is imported.
EVALUATE = """
import json, sys
from datetime import datetime, timezone
import dagster as dg
from dagster._utils.schedules import schedule_execution_time_iterator
from lending_pipelines.definitions import definitions

repository = definitions.get_repository_def()
schedule = repository.get_schedule_def("daily_close_schedule")
answers = []
for start, end in json.loads(sys.argv[1]):
    start, end = (datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp() for text in (start, end))
    for at in schedule_execution_time_iterator(start, schedule.cron_schedule, schedule.execution_timezone, True):
        if at.timestamp() >= end:
            break
        context = dg.build_schedule_context(scheduled_execution_time=at, repository_def=repository)
        requested = [request.partition_key for request in schedule.evaluate_tick(context).run_requests]
        answers.append([at.isoformat(), requested])
print(json.dumps(answers))
"""


def test_at_one_in_the_morning_the_day_before_is_asked_for():
    repository = definitions.get_repository_def()
    schedule = repository.get_schedule_def("daily_close_schedule")
    at = datetime(2025, 3, 10, 1, tzinfo=UTC)

    with (
        dg.instance_for_test() as instance,
        dg.build_schedule_context(instance, at, repository_def=repository) as context,
    ):
        (request,) = schedule.evaluate_tick(context).run_requests

    assert schedule.job_name == "daily_close"
    assert request.partition_key == "2025-03-09"


def test_at_five_in_the_morning_loans_are_assigned_for_the_day_before():
    repository = definitions.get_repository_def()
    schedule = repository.get_schedule_def("assign_portfolios_schedule")
    at = datetime(2025, 3, 10, 5, tzinfo=UTC)

    with (
        dg.instance_for_test() as instance,
        dg.build_schedule_context(instance, at, repository_def=repository) as context,
    ):
        (request,) = schedule.evaluate_tick(context).run_requests

    assert (schedule.cron_schedule, request.partition_key) == ("0 5 * * *", "2025-03-09")


def test_a_change_of_clocks_leaves_one_close_a_night():
    spans = [("2025-03-08T12:00", "2025-03-11T12:00"), ("2025-11-01T12:00", "2025-11-04T12:00")]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", EVALUATE, json.dumps(spans)],
        env=os.environ | {"LENDING_TIMEZONE": "America/New_York"},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        # Clocks go forward at 02:00 on 9 March.
        ["2025-03-09T01:00:00-05:00", ["2025-03-08"]],
        ["2025-03-10T01:00:00-04:00", ["2025-03-09"]],
        ["2025-03-11T01:00:00-04:00", ["2025-03-10"]],
        # Clocks go back at 02:00 on 2 November, so that 01:00 comes twice; Dagster takes the second.
        ["2025-11-02T01:00:00-05:00", ["2025-11-01"]],
        ["2025-11-03T01:00:00-05:00", ["2025-11-02"]],
        ["2025-11-04T01:00:00-05:00", ["2025-11-03"]],
    ]
