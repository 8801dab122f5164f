"""Closes that are started in the portal: `lending close` in a separate process, which continues if the portal ends.

Each has a folder in LENDING_HOME: request.json has the request, output has what the command printed, and exit
has its exit status.
"""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from lending_pipelines.errors import LendingError
from lending_pipelines.processes import is_gone, process_id
from lending_pipelines.register.types import utc_now
from lending_pipelines.settings import Settings

_LENDING = "from lending_pipelines.cli import main; main()"
_OUTPUT_BYTES = 60_000
"""The number of last bytes of the output that are shown."""


class CloseRefused(LendingError):
    """A close is not started."""


@dataclass(frozen=True)
class StartedClose:
    """A close and how far it is: `status` is running, succeeded, failed, or unknown if its end was not recorded."""

    close_id: str
    by: str
    first: date
    last: date
    manager: str
    force: bool
    started_at: datetime
    process: str
    status: str
    output: str


def start(
    settings: Settings, close_id: str, by: str, first: date, last: date, manager: str, *, force: bool
) -> StartedClose:
    """Start a close. With an id that was used before, nothing is started, and that close is returned.

    Raises:
        CloseRefused: Another close that was started here is running, or this one is being started.
    """
    if found := find(settings, close_id):
        return found
    if running := next((each for each in recent(settings, 20) if each.status == "running"), None):
        raise CloseRefused(f"the close of {running.first} to {running.last} is running: wait until it has ended")
    folder = _folder(settings) / close_id
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise CloseRefused("this close is being started") from None
    command = [sys.executable, "-c", _LENDING, "close", "--from", str(first), "--to", str(last)]
    command += ["--force"] * force + (["--manager", manager] if manager else [])
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LENDING_HOME": str(settings.home)},
            # Ctrl-C in the portal's terminal ends the portal, not the close.
            start_new_session=True,
        )
    request = {
        "by": by,
        "first": str(first),
        "last": str(last),
        "manager": manager,
        "force": force,
        "started_at": utc_now().isoformat(),
        "process": process_id(process.pid),
    }
    _write(folder / "request.json", json.dumps(request))
    threading.Thread(target=lambda: _write(folder / "exit", str(process.wait())), daemon=True).start()
    return _read(folder)


def find(settings: Settings, close_id: str) -> StartedClose | None:
    """The close of that id, if there is one."""
    if not re.fullmatch(r"[0-9a-f]{32}", close_id):
        return None
    folder = _folder(settings) / close_id
    return _read(folder) if (folder / "request.json").exists() else None


def recent(settings: Settings, limit: int) -> list[StartedClose]:
    """The latest closes first."""
    found = sorted(_folders(settings), key=lambda each: (each / "request.json").stat().st_mtime, reverse=True)
    return [_read(each) for each in found[:limit]]


def _folders(settings: Settings) -> Iterator[Path]:
    return (each.parent for each in _folder(settings).glob("*/request.json"))


def _folder(settings: Settings) -> Path:
    return settings.home / "portal" / "closes"


def _read(folder: Path) -> StartedClose:
    """The close of a folder, with its status."""
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    output = (folder / "output").read_bytes()[-_OUTPUT_BYTES:].decode(errors="replace")
    ended = folder / "exit"
    if ended.exists():
        status = "succeeded" if ended.read_text(encoding="utf-8") == "0" else "failed"
    else:
        status = "unknown" if is_gone(request["process"]) else "running"
    dates = {name: date.fromisoformat(request[name]) for name in ("first", "last")}
    started = datetime.fromisoformat(request["started_at"])
    return StartedClose(
        folder.name,
        request["by"],
        dates["first"],
        dates["last"],
        request["manager"],
        request["force"],
        started,
        request["process"],
        status,
        output,
    )


def _write(file: Path, text: str) -> None:
    """Write a file atomically: a reader sees all of it or none."""
    part = file.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(file)
