"""Makes runs of the command line belong to the code location that `lending ui` loads.

The UI's timeline and its lists by job show only runs with an origin. Dagster sets the origin only on runs that the UI
starts.
"""

import sys
from typing import Any

import dagster as dg
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

MODULE = "lending_pipelines.definitions"
"""The module that the UI loads. Dagster gives the code location its name."""

_REPOSITORY = "__repository__"
"""The name that Dagster gives to the repository of a module's definitions."""


class CommandInstance(dg.DagsterInstance):
    """A Dagster instance whose runs belong to the UI's code location."""

    def create_run_for_job(  # type: ignore[override]
        self, job_def: dg.JobDefinition, **options: Any
    ) -> dg.DagsterRun:
        """Create the run of a job."""
        return super().create_run_for_job(job_def, remote_job_origin=_origin(job_def.name), **options)


def _origin(job: str) -> RemoteJobOrigin:
    module = LoadableTargetOrigin(executable_path=sys.executable, module_name=MODULE)
    location = ManagedGrpcPythonEnvCodeLocationOrigin(module, location_name=MODULE)
    return RemoteJobOrigin(RemoteRepositoryOrigin(location, _REPOSITORY), job)
