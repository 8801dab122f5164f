"""Runs of the command line as Dagster records them: where they belong, which days they close, and why they failed."""

import dagster as dg
import pytest
from homes import DAYS, ERRORS_ONLY

from lending_pipelines.definitions import definitions
from lending_pipelines.runs import RunFailed, instance_home, run_job
from lending_pipelines.settings import Settings


@pytest.mark.parametrize(
    ("days", "tag"),
    [
        ((DAYS[0], DAYS[0]), "2025-02-12"),
        ((DAYS[0], DAYS[2]), "2025-02-12 to 2025-02-14"),
    ],
)
def test_a_failed_close_belongs_to_the_ui_names_its_days_and_begins_with_the_message(empty_home, days, tag):
    with pytest.raises(RunFailed, match=r"daily_close: canonical: the SQLite file .* does not exist"):
        run_job("daily_close", days=days)

    instance_home(Settings.from_environment())
    with dg.DagsterInstance.get() as instance:
        # The UI finds the runs of a job by this tag.
        owned = dg.RunsFilter(tags={".dagster/repository": "__repository__@lending_pipelines.definitions"})
        (run,) = instance.get_runs(owned)
        # Nothing else was run.
        (failed,) = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records
        events = [each.dagster_event for each in instance.all_logs(run.run_id) if each.dagster_event]
    assert run.tags["lending/days"] == tag
    assert run.remote_job_origin.location_name == "lending_pipelines.definitions"
    (started,) = {event.step_key for event in events if event.event_type == dg.DagsterEventType.STEP_START}
    assert started == "servicing_tables"
    first_line = failed.event_log_entry.dagster_event.step_failure_data.error.to_string().splitlines()[0]
    assert f"canonical: the SQLite file {empty_home.folder / 'servicing.db'} does not exist" in first_line


def test_a_run_of_one_partition_as_the_schedule_starts_it_names_its_day(empty_home):
    instance_home(Settings.from_environment())
    job = definitions.resolve_job_def("daily_close")
    with dg.DagsterInstance.get() as instance:
        job.execute_in_process(ERRORS_ONLY, instance, partition_key="2025-02-12", raise_on_error=False)
        (run,) = instance.get_runs()
    assert run.tags["lending/days"] == "2025-02-12"


def test_a_wrong_setting_of_a_resource_is_the_reason_of_the_failure(empty_home, monkeypatch):
    monkeypatch.setenv("LENDING_CONVENTIONS", "/nowhere/conventions.toml")
    with pytest.raises(RunFailed, match=r"daily_close: .*/nowhere/conventions.toml"):
        run_job("daily_close", days=(DAYS[0], DAYS[0]))


@dg.op
def say_one_thing(context: dg.OpExecutionContext) -> None:
    context.log.info("18 loans")


@dg.job
def one_thing() -> None:
    say_one_thing()


def test_a_run_of_the_ui_prints_its_messages_and_not_every_event(empty_home, capfd):
    instance_home(Settings.from_environment())
    with dg.DagsterInstance.get() as instance:
        done = one_thing.execute_in_process(instance=instance)
        (run,) = instance.get_runs()
        recorded = {each.dagster_event.event_type_value for each in instance.all_logs(run.run_id) if each.dagster_event}
    assert done.success
    printed = capfd.readouterr().err
    assert "18 loans" in printed
    assert "STEP_START" not in printed
    assert "STEP_START" in recorded
