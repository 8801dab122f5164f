"""`python -m lending_pipelines.webserver.dev PORTAL_PORT`: `dagster dev` with this web server, and the portal."""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from subprocess import Popen, TimeoutExpired
from typing import Any

from dagster._cli import dev

from lending_pipelines.processes import restrict_files
from lending_pipelines.settings import Settings

_start = dev.open_ipc_subprocess


def _start_own(parts: Sequence[str], **kwargs: Any) -> Popen[Any]:
    """Start a process of `dagster dev`; its web server is started from this package."""
    return _start(["lending_pipelines.webserver" if part == "dagster_webserver" else part for part in parts], **kwargs)


@contextmanager
def _portal(port: str) -> Iterator[None]:
    """Run the portal in a separate process, which ends with the block."""
    process = Popen([sys.executable, "-m", "lending_pipelines.portal", "--port", port])
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except TimeoutExpired:
            process.kill()


def main() -> None:
    """Run the web server, the daemon, the code server and the portal until Ctrl-C or SIGTERM."""
    # A script starts a background process with SIGINT ignored, and Dagster handles SIGTERM like SIGINT.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    dev.open_ipc_subprocess = _start_own
    restrict_files(Settings.from_environment().umask)
    with _portal(sys.argv.pop(1)):
        dev.dev_command()


if __name__ == "__main__":
    main()
