"""Files of the lake and manifests compared with the chain: changed, missing, not certified yet, or extra."""

import re
from collections.abc import Iterator, Mapping
from datetime import date

from lending_pipelines.errors import LendingError
from lending_pipelines.evidence.inventory import (
    CHECKPOINT,
    COMMIT,
    LAKE,
    LOG,
    POINTER,
    HashedFile,
    Places,
    commit_adds,
    hashed,
    log_files,
    manifests,
)
from lending_pipelines.lake.files import live
from lending_pipelines.places import unsealed
from lending_pipelines.tables import TABLES

PASSED_CHECKS = f"{LAKE}_passed_checks.json"
"""The results of checks. The file is not certified, because it is written at any time; it has its own checksum."""

_NO_VERSION = frozenset({f"{LAKE}_certificates.json", PASSED_CHECKS})
"""Files of the lake that belong to no version of a table and are not certified."""
_SCRATCH = f"{LAKE}_scratch/"
_PARTITION = re.compile(r"/business_(?:date|month)=(\d{4}-\d{2}(?:-\d{2})?)/")


def of_other_days(path: str, first: date | None, last: date | None) -> bool:
    """Whether a path belongs to a partition without any day of first..last."""
    found = _PARTITION.search(path)
    if found is None:
        return False
    key = found[1]
    return (first is not None and key < first.isoformat()[: len(key)]) or (
        last is not None and key > last.isoformat()[: len(key)]
    )


def changed_files(places: Places, certified: Mapping[str, HashedFile]) -> Iterator[str]:
    """A sentence for each certified file that is missing, or has other bytes."""
    now = hashed(places, certified)
    for path, file in certified.items():
        if path not in now:
            yield f"{path} is missing."
        elif now[path].sha256 != file.sha256 and not (path.endswith(POINTER) and _moved_on(places, path, certified)):
            yield f"{path} was changed: it has {now[path].bytes:,} bytes, but {file.bytes:,} were certified."


def _moved_on(places: Places, pointer: str, certified: Mapping[str, HashedFile]) -> bool:
    """Whether a table has checkpoints that are not certified yet.

    Its pointer was then written again after the last certificate.
    """
    folder = pointer.removesuffix(POINTER.rpartition("/")[2])
    name = pointer.split("/")[1]
    return any(CHECKPOINT.fullmatch(file) and folder + file not in certified for file in log_files(places, name))


def not_certified(places: Places, certified: Mapping[str, HashedFile]) -> tuple[list[str], list[str]]:
    """The files that are not certified.

    Returns:
        A sentence for each extra file of the lake, and notes about tables and tapes that were written after the last
        certificate.
    """
    filesystem, root = places.opened(LAKE)
    left = {LAKE + path.removeprefix(root) for path in filesystem.find(root)}.difference(certified, _NO_VERSION)
    pending = []
    for name in TABLES:
        log = [file for file in log_files(places, name) if f"{LAKE}{name}/{LOG}/{file}" in left]
        commits = [file for file in log if COMMIT.fullmatch(file)]
        left.difference_update(
            f"{LAKE}{name}/{LOG}/{file}"
            for file in log
            if COMMIT.fullmatch(file) or CHECKPOINT.fullmatch(file) or file == POINTER.rpartition("/")[2]
        )
        for commit in commits:
            left.difference_update(_adds(places, name, commit))
        if commits:
            first, last = (int(commits[n].removesuffix(".json")) for n in (0, -1))
            versions = f"version {first} is" if first == last else f"versions {first} to {last} are"
            pending.append(f"{name}: {versions} not certified yet, written after the last certificate.")
    if tapes := set(manifests(places)).difference(certified):
        pending.append(f"{len(tapes):,} tapes are not certified yet, made after the last certificate.")
    extra = [
        f"{path} is an extra file: no version of a table has it."
        for path in sorted(left)
        if not path.startswith(_SCRATCH)
    ]
    return extra, pending


def _adds(places: Places, name: str, commit: str) -> list[str]:
    try:
        return list(commit_adds(places, name, commit))
    except (ValueError, KeyError, AttributeError, OSError):
        # table_fault reports it.
        return []


def table_fault(places: Places, name: str) -> str | None:
    """The fault of a table that cannot be read or lacks files of its current version; None without a fault."""
    try:
        if not log_files(places, name):
            return None
        filesystem, root = places.opened(f"{LAKE}{name}/")
        gone = [file.path for file in live(places.lake.delta(name)) if not filesystem.exists(root + file.path)]
    # A changed log makes Delta fail in many ways.
    except Exception as error:
        return f"The table {name} cannot be read: {' '.join(str(error).split())[:300]}"
    return f"The table {name} lacks {len(gone)} files of its current version, such as {gone[0]}." if gone else None


def passed_checks_fault(places: Places) -> Iterator[str]:
    """A fault if the stored results of checks are damaged."""
    filesystem, path = places.opened(PASSED_CHECKS)
    if filesystem.exists(path):
        try:
            unsealed(filesystem.cat_file(path), PASSED_CHECKS)
        except LendingError as error:
            yield f"{error}. Delete it: the checks then run again."
