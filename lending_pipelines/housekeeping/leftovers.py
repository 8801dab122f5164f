"""What killed runs leave behind: temporary folders, partial files, and uncommitted entries of Delta's log."""

import re
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from lending_pipelines.housekeeping.chore import Chore
from lending_pipelines.housekeeping.files import is_older, remove, size_of
from lending_pipelines.places import opened
from lending_pipelines.processes import left_behind

_PARTIAL = re.compile(r"/\.[0-9a-f]{32}\.part$")
"""The temporary name of a file that is being written (places/files.py)."""


def leftover_chores(lake_url: str, exports_url: str, older: datetime) -> list[Chore]:
    """Chores that remove leftovers in the lake and exports from before `older`, and this machine's
    temporary folders.
    """
    in_lake = ["*.part", "_scratch/*/*", "_scratch/*/*/*", "*/_temporary/**", "*/_delta_log/_commit_*.tmp"]
    return [
        _found("Partial files of killed runs in the exports", exports_url, ["**/*.part"], older),
        _found("Partial files of killed runs in the lake", lake_url, in_lake, older),
        _temporary_folders(),
    ]


def _found(subject: str, url: str, patterns: Sequence[str], older: datetime) -> Chore:
    with opened(url) as (filesystem, root):
        matching = {path for pattern in patterns for path in filesystem.glob(f"{root}/{pattern}")}
        paths = [
            path
            for path in sorted(matching)
            if filesystem.isfile(path)
            and (not path.endswith(".part") or _PARTIAL.search(path))
            and is_older(filesystem, path, older)
        ]
        size = size_of(filesystem, paths)

    def do() -> None:
        with opened(url) as (filesystem, _):
            remove(filesystem, paths)

    return Chore(subject, do, files=len(paths), bytes=size)


def _temporary_folders() -> Chore:
    folders = list(left_behind())
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]

    def do() -> None:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)

    return Chore(
        "Temporary folders of killed processes on this machine",
        do,
        files=len(files) + len(folders),
        bytes=sum(map(_size, files)),
        detail=", ".join(str(folder) for folder in folders),
    )


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
