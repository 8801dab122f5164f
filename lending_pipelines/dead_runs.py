"""Runs that Dagster records as under way although their process has ended, such as after a kill.

settling.py updates the rows of the register that belong to these runs.
"""

import dagster as dg

from lending_pipelines.processes import PROCESS_TAG, is_gone

UNDER_WAY = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def end_dead_runs(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """Mark the runs whose process has ended as failed; returns the other runs that are under way."""
    alive = []
    for run in instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY)):
        if is_alive(run):
            alive.append(run)
        else:
            instance.report_run_failed(run, f"The process {run.tags[PROCESS_TAG]} of the run has ended.")
    return alive


def is_alive(run: dg.DagsterRun) -> bool:
    """Whether a run is under way. A run whose process is unknown counts as alive until Dagster ends it."""
    return run.status in UNDER_WAY and not is_gone(run.tags.get(PROCESS_TAG, ""))
