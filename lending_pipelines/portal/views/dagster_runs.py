"""Runs of Dagster for the pages that show them: the one module of the portal that reads what Dagster records.

Dagster is imported with the first such page, not at the start: most people's pages do not need it.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lending_pipelines.settings import Settings

if TYPE_CHECKING:
    from lending_pipelines.runs_seen import RunProgress, RunSeen


def recent(settings: Settings, limit: int) -> "list[RunSeen]":
    """The latest runs."""
    from lending_pipelines.runs_seen import recent_runs

    return recent_runs(_home(settings), limit)


def of_process(settings: Settings, process: str) -> "list[RunProgress]":
    """The runs of a process with their steps, the earliest first."""
    from lending_pipelines.runs_seen import runs_of_process

    return runs_of_process(_home(settings), process)


def link(settings: Settings, run_id: str) -> str | None:
    """The page of a run in Dagster's UI, if LENDING_UI_URL says where that is."""
    return f"{settings.ui_url.rstrip('/')}/runs/{run_id}" if settings.ui_url else None


def _home(settings: Settings) -> Path:
    return Path(os.environ.get("DAGSTER_HOME") or settings.home / "dagster").absolute()
