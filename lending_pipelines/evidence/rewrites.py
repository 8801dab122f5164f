"""Upkeep in the chain: files that were replaced by others with the same rows, and files that were removed.

Compaction, vacuum, thinning and upgrades change files of the lake without changing a number. A statement in the
chain says what was replaced, and whether the rows are equal.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from lending_pipelines.evidence.chain import CERTIFICATES, append
from lending_pipelines.evidence.inventory import EXPORTS, LAKE, Inventory, Places, hashed
from lending_pipelines.evidence.keys import SigningKey
from lending_pipelines.evidence.statement import CERTIFIED_TABLES, step_statement
from lending_pipelines.lake.files import live
from lending_pipelines.lake.store import NOTE, UPGRADED


@contextmanager
def upkeep_certified(
    places: Places, kind: str, key: SigningKey | None, about: Callable[[], Mapping[str, Any]]
) -> Iterator[None]:
    """Certify what the block replaces and removes, if the home has certificates.

    Args:
        places: The home.
        kind: The kind of the statement: `housekeeping` or `upgrade`.
        key: Signs the statement.
        about: What else the statement says; called after the block.
    """
    if not places.lake.has(CERTIFICATES):
        yield
        return
    before = {name: places.lake.version(name) for name in CERTIFIED_TABLES if places.lake.has(name)}
    there = files_there(places)
    try:
        yield
    finally:
        gone = there - files_there(places)

        def make(inventory: Inventory) -> Sequence[Any]:
            said = {**about(), "rewritten": _rewritten(places, before, inventory)}
            return step_statement(places, kind, said, inventory, sorted(gone & inventory.files.keys()))

        append(places, make, key, forget_own=True)


def files_there(places: Places) -> set[str]:
    """The paths of all files of the lake and of the tapes."""
    found = set()
    for prefix, folder in ((LAKE, ""), (EXPORTS, "tapes")):
        filesystem, root = places.opened(prefix)
        found |= {prefix + path.removeprefix(root) for path in filesystem.find(root + folder)}
    return found


def unequal_rewrites(statement: Mapping[str, Any]) -> list[str]:
    """A sentence for each rewrite in a statement that changed rows, or replaced files that were not as certified."""
    return [
        f"{each['table']}: version {each['version']} replaced files, and {fault}."
        for each in statement.get("rewritten", [])
        for fault, holds in (
            ("the rows are not the same", each["rows_equal"]),
            ("they were not as certified", each["replaced_as_certified"]),
        )
        if not holds
    ]


def _rewritten(places: Places, before: Mapping[str, int], inventory: Inventory) -> list[dict[str, Any]]:
    """The commits after these versions that replaced files by others with the same rows."""
    return [
        _rewrite(places, name, commit["version"], inventory)
        for name, version in before.items()
        for commit in places.lake.delta(name).history()
        if commit["version"] > version and (commit["operation"] == "OPTIMIZE" or commit.get(NOTE) == UPGRADED)
    ]


def _rewrite(places: Places, name: str, version: int, inventory: Inventory) -> dict[str, Any]:
    """What a commit replaced, and whether the rows before and after it are equal."""
    old = {file.path for file in live(places.lake.delta(name, version - 1))}
    new = {file.path for file in live(places.lake.delta(name, version))}
    replaced = [f"{LAKE}{name}/{path}" for path in sorted(old - new)]
    now = hashed(places, replaced)
    rows, rewritten = places.lake.replaced(name, version)
    lost, gained = (
        int(a.difference(b, distinct=False).count().to_pyarrow().as_py())
        for a, b in ((rows, rewritten), (rewritten, rows))
    )
    return {
        "table": name,
        "version": version,
        "replaced": replaced,
        "by": [f"{LAKE}{name}/{path}" for path in sorted(new - old)],
        "rows_equal": not (lost or gained),
        "replaced_as_certified": all(
            path not in inventory.files or (path in now and now[path].sha256 == inventory.files[path].sha256)
            for path in replaced
        ),
    }
