"""The code server starts over gRPC as deploy/ starts it, and its workspace file loads the definitions from it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from servers import answers, free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
BIN = Path(sys.executable).parent


@pytest.fixture
def environment(postgres_url, empty_home, tmp_path):
    """What the processes of compose.yaml are given, on this machine."""
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "dagster.yaml").symlink_to(DEPLOY / "dagster.yaml")
    return os.environ | {
        "DAGSTER_HOME": str(tmp_path / "dagster"),
        "DAGSTER_POSTGRES_URL": postgres_url,
        "LENDING_CODE_HOST": "127.0.0.1",
        "LENDING_CODE_PORT": str(free_port()),
        # As in a container, where only the image's programs are.
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }


@pytest.fixture
def code_server(environment):
    """The process of the service `code`, answering."""
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    there = {"0.0.0.0": "127.0.0.1", "4000": environment["LENDING_CODE_PORT"]}
    service = compose["services"]["code"]
    command = [there.get(word, word) for word in service["command"]]
    healthcheck = [there.get(word, word) for word in service["healthcheck"]["test"][1:]]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as server:
        deadline = time.monotonic() + 120
        # The check is a process that takes seconds of CPU time: it waits for the server's port.
        port = int(environment["LENDING_CODE_PORT"])
        while not answers(port) or subprocess.run(healthcheck, env=environment, capture_output=True).returncode:
            assert server.poll() is None, "the code server ended"
            assert time.monotonic() < deadline, "the code server does not answer"
            time.sleep(0.2)
        yield server
        server.terminate()


def test_the_workspace_loads_from_the_code_server(code_server, environment):
    command = [BIN / "dagster", "job", "list", "-w", DEPLOY / "workspace.yaml"]
    listed = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert listed.returncode == 0, listed.stderr
    assert "Repository __repository__" in listed.stdout
    assert {"Job: sync", "Job: daily_close"} <= set(listed.stdout.splitlines())
