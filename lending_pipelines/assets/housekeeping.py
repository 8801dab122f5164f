"""housekeeping: removes old data by the retention policy, and reports what it removed.

housekeeping/ and run_history.py decide what is removed. `lending housekeeping` prints the result of `plan`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import dagster as dg
from pydantic import Field

from lending_pipelines import evidence
from lending_pipelines.assets.describe import OWNERS
from lending_pipelines.conventions import Conventions
from lending_pipelines.housekeeping import Chore, Places, all_chores, as_markdown, do_all
from lending_pipelines.resources import (
    ConventionsResource,
    ExportsResource,
    LakeResource,
    RegisterResource,
    message_first,
)
from lending_pipelines.retention import Retention
from lending_pipelines.run_history import history_chores, wait_for_other_runs
from lending_pipelines.settings import Settings

HOUSEKEEPING = "housekeeping"
"""The name of the job."""

HOUSEKEEPING_KEY = dg.AssetKey(["operations", HOUSEKEEPING])
"""The key of the asset. Dagster requires that the op has another name than the job."""


class HousekeepingConfig(dg.Config):
    """How housekeeping runs."""

    retention: str = Field(
        "", description="TOML file of the retention policy. Empty: LENDING_RETENTION, or the defaults."
    )
    dry_run: bool = Field(False, description="Only say what would be removed.")
    wait_minutes: int = Field(120, ge=0, description="Minutes to wait for runs that may be writing before it fails.")


@dg.asset(
    key=HOUSEKEEPING_KEY,
    description="Thins old daily positions to month ends, compacts tables, and removes old versions, files, runs and"
    " ticks, and leftovers of killed runs, by the retention policy.",
    group_name="operations",
    owners=OWNERS,
    kinds={"deltalake"},
)
@message_first
def housekeeping(
    context: dg.AssetExecutionContext,
    config: HousekeepingConfig,
    lake: LakeResource,
    register: RegisterResource,
    exports: ExportsResource,
    conventions: ConventionsResource,
) -> dg.MaterializeResult:
    """Remove what is due while no other run writes."""
    if not config.dry_run:
        wait_for_other_runs(context.instance, context.run.run_id, HOUSEKEEPING, config.wait_minutes * 60)
    places = Places(lake.lake, register.register, exports.place("").rstrip("/"))
    chores = plan(context.instance, places, policy(config.retention), conventions.get())
    if not config.dry_run:
        with _certified(context, places, chores):
            do_all(chores)
    due = [chore for chore in chores if chore.is_due]
    return dg.MaterializeResult(
        metadata={
            "summary": dg.MetadataValue.md(as_markdown(chores, applied=not config.dry_run)),
            "rows": sum(chore.rows for chore in due),
            "files": sum(chore.files for chore in due),
            "bytes": sum(chore.bytes for chore in due),
        }
    )


@contextmanager
def _certified(context: dg.AssetExecutionContext, places: Places, chores: Sequence[Chore]) -> Iterator[None]:
    """Add a statement to the chain of certificates about what the block removes. Errors are reported."""
    due = [chore for chore in chores if chore.is_due]
    done = [{"subject": each.subject, "rows": each.rows, "files": each.files, "detail": each.detail} for each in due]
    about = {"run": {"id": context.run.run_id, "job": HOUSEKEEPING}, "chores": done}
    home = evidence.Places(places.lake, places.register, places.exports_url)
    key = evidence.SigningKey.of(Settings.from_environment().signing_key)
    with evidence.upkeep_certified(home, "housekeeping", key, lambda: about):
        yield


def policy(file: str = "") -> Retention:
    """The retention policy of a file, or of LENDING_RETENTION, or the defaults."""
    path = file or Settings.from_environment().retention_file
    return Retention.load(path) if path else Retention()


def plan(instance: dg.DagsterInstance, places: Places, policy: Retention, conventions: Conventions) -> list[Chore]:
    """All chores, as of now: those of the lake, the exports, the register, leftovers and Dagster's records."""
    now = datetime.now(UTC)
    return [*all_chores(places, policy, conventions, now), *history_chores(instance, policy, now)]
