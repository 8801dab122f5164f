"""Runs that Dagster records as under way although their process has ended, such as after a kill.

What their rows in the register become is decided in settling.py.
"""

import dagster as dg

from lending_pipelines.processes import PROCESS_TAG, is_gone

UNDER_WAY = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def end_dead_runs(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """Mark the runs whose process has ended as failed; returns the other runs that are under way."""
    alive = []
    for run in instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY)):
        process = run.tags.get(PROCESS_TAG, "")
        if is_gone(process):
            instance.report_run_failed(run, f"The process {process} of the run has ended.")
        else:
            alive.append(run)
    return alive
