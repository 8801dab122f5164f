"""The certified files of a home with their hashes, and the files that are not certified yet.

A path begins with `lake/` or `exports/`. Three kinds of files are certified: every commit of every lake table with the
Parquet files that it adds, Delta's checkpoints, and the manifests of tapes, which have the hashes of their files. A
file is hashed once, because files do not change. The only exception is Delta's pointer `_last_checkpoint`.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from typing import Any
from urllib.parse import unquote

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from lending_pipelines.errors import LendingError
from lending_pipelines.lake import Lake
from lending_pipelines.lake.format import FILE as FORMAT_FILE
from lending_pipelines.register import Register
from lending_pipelines.tables import TABLES

LAKE, EXPORTS = "lake/", "exports/"

LOG = "_delta_log"
POINTER = f"{LOG}/_last_checkpoint"
"""Delta's pointer to the latest checkpoint: the only file of a table that is overwritten."""

COMMIT = re.compile(r"(\d{20})\.json")
CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(\.\d+\.\d+)?\.parquet")

_READERS = 8


class EvidenceError(LendingError):
    """Evidence cannot be made or read."""


@dataclass(frozen=True)
class Places:
    """Where a home keeps its data."""

    lake: Lake
    register: Register
    exports_url: str

    def opened(self, path: str) -> tuple[Any, str]:
        """The file system for a path of the inventory, and the file's path in that file system."""
        url = self.lake.url if path.startswith(LAKE) else self.exports_url
        filesystem, root = fsspec.url_to_fs(url, use_listings_cache=False)
        return filesystem, f"{root.rstrip('/')}/{path.partition('/')[2]}"


@dataclass(frozen=True)
class HashedFile:
    """A certified file. `watermark` is the latest value of the table's watermark column in it, as ISO text."""

    sha256: str
    bytes: int
    watermark: str | None = None

    def as_json(self) -> list[Any]:
        """The file as a statement has it."""
        return [self.sha256, self.bytes, *([self.watermark] if self.watermark else [])]


Rows = Mapping[str, Mapping[str, str]]
"""The SHA-256 of rows of the register, by table and key."""


@dataclass
class Inventory:
    """What the chain certifies up to a statement: its sequence and hash, the files, and the rows of the register."""

    sequence: int = 0
    sha256: str | None = None
    files: dict[str, HashedFile] = field(default_factory=dict)
    rows: dict[str, dict[str, str]] = field(default_factory=dict)

    def copy(self) -> "Inventory":
        """An independent copy."""
        rows = {table: dict(found) for table, found in self.rows.items()}
        return Inventory(self.sequence, self.sha256, dict(self.files), rows)

    def apply(self, sequence: int, sha256: str, statement: Mapping[str, Any]) -> None:
        """Add the files and rows that a statement adds, and remove the files that it says were removed."""
        self.sequence, self.sha256 = sequence, sha256
        changes = statement.get("files", {})
        self.files |= {path: HashedFile(*seen) for path, seen in changes.get("added", {}).items()}
        for path in changes.get("removed", []):
            self.files.pop(path, None)
        for table, rows in statement.get("register", {}).items():
            self.rows.setdefault(table, {}).update(rows)


def new_files(places: Places, known: Mapping[str, HashedFile], tables: Iterable[str]) -> dict[str, HashedFile]:
    """The hashes of the files of the tables that are not known yet, and of pointers that changed.

    Args:
        places: The home.
        known: The files that have been hashed before.
        tables: The tables of the lake to look at.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        paths = pool.map(lambda name: list(_new_in_table(places, name, known)), tables)
    found = hashed(places, chain.from_iterable(paths))
    return {path: file for path, file in found.items() if known.get(path) != file}


def other_new_files(places: Places, known: Mapping[str, HashedFile]) -> dict[str, HashedFile]:
    """The manifests of tapes that are not known, and the lake's format file when it is new or changed, hashed."""
    found = hashed(places, [LAKE + FORMAT_FILE, *(path for path in manifests(places) if path not in known)])
    return {path: file for path, file in found.items() if known.get(path) != file}


def hashed(places: Places, paths: Iterable[str]) -> dict[str, HashedFile]:
    """The hashes of the files; files that are gone are left out."""
    paths = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(_READERS) as pool:
        found = pool.map(lambda path: _hash(places, path), paths)
        return {path: file for path, file in zip(paths, found, strict=True) if file is not None}


def manifests(places: Places) -> list[str]:
    """The manifests of all tapes under the exports."""
    filesystem, root = places.opened(EXPORTS)
    return [EXPORTS + path.removeprefix(root) for path in filesystem.glob(f"{root}tapes/*/*/*.manifest.json")]


def log_files(places: Places, name: str) -> list[str]:
    """The names of the files in a table's log; empty if it was never written."""
    filesystem, folder = places.opened(f"{LAKE}{name}/{LOG}")
    if not filesystem.exists(folder):
        return []
    return sorted(path.rpartition("/")[2] for path in filesystem.ls(folder, detail=False))


def commit_adds(places: Places, name: str, commit: str) -> Iterator[str]:
    """The paths of the Parquet files that a commit of a table adds."""
    filesystem, file = places.opened(f"{LAKE}{name}/{LOG}/{commit}")
    for line in filesystem.cat_file(file).splitlines():
        if added := json.loads(line).get("add"):
            yield f"{LAKE}{name}/{unquote(added['path'])}"


def _new_in_table(places: Places, name: str, known: Mapping[str, HashedFile]) -> Iterator[str]:
    for file in log_files(places, name):
        path = f"{LAKE}{name}/{LOG}/{file}"
        if path.endswith(POINTER):
            yield path
        elif path not in known and COMMIT.fullmatch(file):
            yield path
            yield from (added for added in commit_adds(places, name, file) if added not in known)
        elif path not in known and CHECKPOINT.fullmatch(file):
            yield path


def _hash(places: Places, path: str) -> HashedFile | None:
    filesystem, file = places.opened(path)
    try:
        with filesystem.open(file, "rb") as opened:
            sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
            return HashedFile(sha256, opened.tell(), _watermark(path, opened))
    except FileNotFoundError:
        return None


def _watermark(path: str, file: Any) -> str | None:
    """The latest value of the table's watermark column, from the file's statistics."""
    table = TABLES.get(path.split("/")[1])
    if table is None or table.watermark is None or LOG in path:
        return None
    try:
        metadata = pq.read_metadata(file)
    except (OSError, pa.ArrowException):
        # The file is damaged. The comparison of its hash reports that.
        return None
    column = metadata.schema.to_arrow_schema().get_field_index(table.watermark)
    found = [metadata.row_group(group).column(column).statistics for group in range(metadata.num_row_groups)]
    latest = [each.max for each in found if each is not None and each.has_min_max]
    return max(latest).isoformat() if latest else None
