"""`lending portal`: the web pages and the API for people who do not open Dagster."""

import os
import sys
from typing import Annotated

import typer

from lending_pipelines.cli.arguments import Port
from lending_pipelines.cli.ui import HOST
from lending_pipelines.settings_file import VARIABLE, find_settings_file


def portal(
    host: Annotated[str, typer.Option(help="The address to listen on. Others than this machine need a proxy.")] = HOST,
    port: Port = 8000,
) -> None:
    """Serve the portal: pages and an API with sign-in. At the first start it prints a link that makes an admin."""
    if file := find_settings_file(os.environ):
        os.environ[VARIABLE] = str(file)
    sys.stdout.flush()
    arguments = ["-m", "lending_pipelines.portal", "--host", host, "--port", str(port)]
    os.execv(sys.executable, [sys.executable, *arguments])
