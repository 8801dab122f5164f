"""`python -m lending_pipelines.webserver.dev`: `dagster dev` with this web server in place of Dagster's."""

import signal
from collections.abc import Sequence
from subprocess import Popen
from typing import Any

from dagster._cli import dev

_start = dev.open_ipc_subprocess


def _start_own(parts: Sequence[str], **kwargs: Any) -> Popen[Any]:
    """Start a process of `dagster dev`; its web server is started from this package."""
    return _start(["lending_pipelines.webserver" if part == "dagster_webserver" else part for part in parts], **kwargs)


def main() -> None:
    """Run the web server, the daemon and the code server until Ctrl-C or SIGTERM."""
    # A script starts a background process with SIGINT ignored, and Dagster handles SIGTERM like SIGINT.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    dev.open_ipc_subprocess = _start_own
    dev.dev_command()


if __name__ == "__main__":
    main()
