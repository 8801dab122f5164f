"""Run workers for tests: processes that run some of the daily tables over ranges of days, on the environment's home.

    python run_worker.py FOLDER 2025-03-14 in_process 2025-02-12 2025-02-19 multiprocess 2025-02-20 2025-02-27

All start at once, with a report of the day beside them. Each is forked from this process, which has imported the
package and opened nothing; what each prints is in the folder. The job is the project's own assets without their checks:
after a sync in one process, or alone with a process a step.
"""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

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


def work(executor: str, first: str, last: str) -> None:
    # Under its own name, by which processes of steps find it.
    job = dg.build_reconstructable_job(
        "run_worker", executor, reconstructor_working_directory=os.path.dirname(__file__)
    )
    tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    with dg.DagsterInstance.get() as instance:
        dg.execute_job(job, instance, tags=tags, raise_on_error=True)


def main(folder: str, report_day: str, *words: str) -> None:
    # A step's process imports this module too, and needs none of this.
    from kills import command, ended, forked, load

    load()
    ranges = zip(*[iter(words)] * 3, strict=True)
    acts: list[Callable[[], None]] = [partial(work, *each) for each in ranges]
    acts.append(command("report", "trial_balance", "--set", f"as_of={report_day}", "--format", "csv"))
    processes = [forked(act, Path(folder) / f"{number}.log") for number, act in enumerate(acts)]
    statuses = [ended(process) for process in processes]
    sys.exit(any(statuses))


if __name__ == "__main__":
    main(*sys.argv[1:])
