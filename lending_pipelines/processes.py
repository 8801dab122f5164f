"""Process ids as text (which process works on something, and whether it still runs), temporary folders that name
their process, permissions of new files, and garbage collection.

Process ids are valid on the same machine only.
"""

import atexit
import gc
import os
import re
import socket
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PROCESS_TAG = "lending/process"
"""The run tag with the id of the process that executes the run, for runs without a run launcher."""

_OBJECTS_BETWEEN_COLLECTIONS = 100_000
"""The number of new objects after which a garbage collection starts."""

_STANDARD_ERROR = 2


@cache
def collect_rarely() -> None:
    """Collect garbage less often than Python does by default, and not at the end of the process.

    By default Python starts a collection with every 700 new objects. A close then has 2,000 collections, which take a
    tenth of its CPU time and free little memory.
    """
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    atexit.register(_end_without_collection)


def _end_without_collection() -> None:
    """Leave all objects to the operating system when the process ends.

    Python would collect them several times, which takes 1.7 CPU seconds after a close. DuckDB's bindings would print
    pages about the remaining objects, so standard error is redirected to the null device.
    """
    gc.freeze()
    os.dup2(os.open(os.devnull, os.O_WRONLY), _STANDARD_ERROR)


def restrict_files(mask: int) -> None:
    """Set the umask of this process and its children: new files and folders lack the permissions in the mask."""
    os.umask(mask)


def this_process() -> str:
    """The id of this process: host and pid."""
    return process_id(os.getpid())


def process_id(pid: int) -> str:
    """The id of a process of this machine."""
    return f"{socket.gethostname()}:{pid}"


def temporary_folder(use: str) -> tempfile.TemporaryDirectory[str]:
    """A temporary folder whose name contains its use and the id of this process, so that `left_behind` finds it.

    It is deleted when the process ends, unless the process is killed.
    """
    return tempfile.TemporaryDirectory(prefix=f"lending-{use}-{os.getpid()}-")


def left_behind() -> Iterator[Path]:
    """The temporary folders of this user on this machine whose process has ended."""
    for folder in sorted(Path(tempfile.gettempdir()).glob("lending-*")):
        named = re.fullmatch(r"lending-[a-z-]+-(\d+)-\w+", folder.name)
        ours = folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == os.getuid()
        if named and ours and is_gone(f"{socket.gethostname()}:{named[1]}"):
            yield folder


def is_gone(process: str) -> bool:
    """Whether the process has certainly ended. Processes of other hosts or users count as running."""
    host, _, number = process.rpartition(":")
    if host != socket.gethostname() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
