"""A run worker for tests: a process that runs some of the daily tables over a range of days, on the environment's home.

    python run_worker.py in_process 2025-02-12 2025-02-19

Its job is the project's own assets without their checks: after a sync in one process, or alone with a process a step.
"""

import os
import sys

import dagster as dg

from lending_pipelines.definitions import definitions

MADE = ("loan_positions", "aging_buckets", "trial_balance")
_MADE = dg.AssetSelection.assets(*MADE)
_UPSTREAM = dg.AssetSelection.assets("portfolio_membership", "loan_ownership") | dg.AssetSelection.groups("servicing")


def _job(selection: dg.AssetSelection, executor: dg.ExecutorDefinition) -> dg.JobDefinition:
    job = dg.define_asset_job("days", selection=selection.without_checks(), executor_def=executor)
    made = dg.Definitions(assets=definitions.assets, resources=definitions.resources, jobs=[job])
    return made.resolve_job_def("days")


def in_process() -> dg.JobDefinition:
    return _job(_UPSTREAM | _MADE, dg.in_process_executor)


def multiprocess() -> dg.JobDefinition:
    # Each step's process is forked from one that has imported the package.
    start_method = {"forkserver": {"preload_modules": ["lending_pipelines.definitions"]}}
    return _job(_MADE, dg.multiprocess_executor.configured({"max_concurrent": 2, "start_method": start_method}))


if __name__ == "__main__":
    executor, first, last = sys.argv[1:]
    # Under its own name, by which processes of steps find it.
    job = dg.build_reconstructable_job(
        "run_worker", executor, reconstructor_working_directory=os.path.dirname(__file__)
    )
    tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    with dg.DagsterInstance.get() as instance:
        dg.execute_job(job, instance, tags=tags, raise_on_error=True)
