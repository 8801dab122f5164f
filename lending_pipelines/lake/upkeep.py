"""Upkeep of the lake's Delta tables: small files are compacted, and files that no kept version needs are removed.

Both are Delta's own operations. Which versions are kept is decided by the caller.
"""

from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import fsspec
from deltalake import CommitProperties
from deltalake.exceptions import CommitFailedError

from lending_pipelines.lake.files import live
from lending_pipelines.lake.lake import CORRECTED, Lake
from lending_pipelines.lake.store import NOTE, REMOVED

TARGET_BYTES = 100 * 1024 * 1024
"""The size up to which the files of a partition are combined."""


@dataclass(frozen=True)
class Commit:
    """One version of a table: when it was made, when the next one replaced it, and whether it corrects rows."""

    version: int
    made_at: datetime
    replaced_at: datetime | None
    corrects: bool


@dataclass(frozen=True)
class Unneeded:
    """Files of a table that no kept version has, and their total size in bytes."""

    files: tuple[str, ...]
    bytes: int


def commits(lake: Lake, name: str) -> list[Commit]:
    """The versions of a table, oldest first."""
    found = sorted(lake.delta(name).history(), key=lambda commit: commit["version"])
    times = [datetime.fromtimestamp(commit["timestamp"] / 1000, UTC) for commit in found]
    ends = [*times[1:], None] if times else []
    return [
        Commit(commit["version"], made, end, commit.get(NOTE) == CORRECTED)
        for commit, made, end in zip(found, times, ends, strict=True)
    ]


def small_files(lake: Lake, name: str) -> int:
    """How many files of a table share a partition with other small ones, and can be compacted."""
    small = (file for file in live(lake.delta(name)) if file.size < TARGET_BYTES)
    counted = Counter(tuple(sorted(file.partition.items())) for file in small)
    return sum(files for files in counted.values() if files > 1)


def compact(lake: Lake, name: str) -> None:
    """Combine the small files of each partition, in one commit. The rows do not change.

    If another run commits at the same time, nothing is compacted; the next upkeep does it.
    """
    with suppress(CommitFailedError):
        lake.delta(name).optimize.compact(
            target_size=TARGET_BYTES, commit_properties=CommitProperties(max_commit_retries=0)
        )


def unneeded(lake: Lake, name: str, kept: Collection[int], older_than: timedelta) -> Unneeded:
    """The files that none of the kept versions has and that are older than `older_than`, also those of killed runs."""
    files = _vacuum(lake, name, kept, older_than, dry_run=True)
    filesystem, root = fsspec.url_to_fs(f"{lake.url}/{name}", use_listings_cache=False)
    sizes = (filesystem.info(f"{root}/{file}")["size"] for file in files if filesystem.exists(f"{root}/{file}"))
    return Unneeded(tuple(files), sum(sizes))


def vacuum(lake: Lake, name: str, kept: Collection[int], older_than: timedelta) -> None:
    """Delete the `unneeded` files."""
    _vacuum(lake, name, kept, older_than, dry_run=False)


def covering(lake: Lake, name: str, kept: Collection[int]) -> list[int]:
    """The kept versions that together have all files of the kept versions.

    If the next version is kept too and only adds files, it has all files of the version before it, which is left out.
    A vacuum opens each version that it keeps, and a table that only grows has a version for each close.
    """
    history = lake.delta(name).history()
    only_add = {commit["version"] for commit in history if commit.get(REMOVED) == "0"}
    return sorted(version for version in kept if version + 1 not in only_add or version + 1 not in kept)


def _vacuum(lake: Lake, name: str, kept: Collection[int], older_than: timedelta, *, dry_run: bool) -> list[str]:
    return lake.delta(name).vacuum(
        retention_hours=int(older_than / timedelta(hours=1)),
        dry_run=dry_run,
        enforce_retention_duration=False,
        full=True,
        keep_versions=covering(lake, name, kept),
    )
