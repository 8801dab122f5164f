"""`lending ui`: Dagster's web server and daemon for this home, and the portal, on this machine only."""

import os
import socket
import sys
from typing import Annotated

import typer

from lending_pipelines.errors import LendingError
from lending_pipelines.settings import Settings
from lending_pipelines.settings_file import VARIABLE, find_settings_file

HOST = "127.0.0.1"
_PORTS_TRIED = 100
"""The number of ports that are tried to suggest a free one."""

_MESSAGE = "Function `dev_command` is superseded"
"""The beginning of Dagster's warning that another command replaces `dagster dev`."""


def ui(
    port: Annotated[int, typer.Option(min=1, max=65_535, help=f"Port on {HOST}.")] = 3000,
    portal_port: Annotated[int, typer.Option(min=1, max=65_535, help=f"Port of the portal on {HOST}.")] = 8000,
) -> None:
    """Start Dagster's UI and the portal on 127.0.0.1.

    Dagster's UI has no sign-in: put a proxy in front of it to share it. The portal has one.
    """
    _require_free(port, "--port")
    _require_free(portal_port, "--portal-port")
    from lending_pipelines.run_origin import MODULE
    from lending_pipelines.runs import instance_home

    settings = Settings.from_environment()
    instance_home(settings)
    if file := find_settings_file(os.environ):
        os.environ[VARIABLE] = str(file)
    whose = f"{settings.lender_name}, {settings.home}" if settings.lender_name else str(settings.home)
    typer.echo(f"Dagster for {whose}: http://{HOST}:{port} (ready in a few seconds, Ctrl-C ends it)")
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (os.environ.get("PYTHONWARNINGS"), f"ignore:{_MESSAGE}")))
    dev = ["lending_pipelines.webserver.dev", str(portal_port), "-m", MODULE, "-h", HOST, "-p", str(port)]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", *dev, "--log-level", "warning"])


def _require_free(port: int, option: str) -> None:
    """Raise LendingError when the port is in use. The message suggests a free port for the option."""
    if _is_free(port):
        return
    free = next((each for each in range(port + 1, min(port + _PORTS_TRIED, 65536)) if _is_free(each)), None)
    advice = f"run `lending ui {option} {free}`" if free else f"choose another with {option}"
    raise LendingError(f"port {port} on {HOST} is taken, perhaps by another `lending ui`: {advice}")


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except (OSError, OverflowError):
            return False
    return True
