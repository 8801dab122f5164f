"""Finds out how a run for a row of the register ended, so that no row waits for a run that no longer exists."""

from typing import Any

import dagster as dg

from lending_pipelines.processes import PROCESS_TAG, is_gone


def end_of(instance: dg.DagsterInstance, run_id: str) -> str | None:
    """The reason why a run can no longer finish; None while it can. Marks a run as failed if its process is gone."""
    run = instance.get_run_by_id(run_id)
    if run is None:
        return f"run {run_id} was deleted"
    if not run.is_finished and is_gone(run.tags.get(PROCESS_TAG, "")):
        instance.report_run_failed(run, f"The process {run.tags[PROCESS_TAG]} of the run has ended.")
        return f"run {run_id} died: its process {run.tags[PROCESS_TAG]} has ended"
    if not run.is_finished:
        return None
    return f"run {run_id} ended as {run.status.value.lower()}: {_final_message(instance, run_id)}"


def _final_message(instance: dg.DagsterInstance, run_id: str) -> str:
    """The message of the event that ended a run."""
    ends = {dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED, dg.DagsterEventType.RUN_SUCCESS}
    records: Any = instance.get_records_for_run(run_id, of_type=ends, ascending=False, limit=1).records
    return records[0].event_log_entry.dagster_event.message if records else "it left no message"
