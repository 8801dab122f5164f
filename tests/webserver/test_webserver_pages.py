"""The UI's pages as a browser draws them: whose home, the runs of commands, why a run failed, and a report's file."""

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from homes import LAST, Home, lending
from servers import free_port

Draw = Callable[[str], str]


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("needs chromium, which .ci/run installs")
    return found


@pytest.fixture
def draw(home: Home, chromium: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Draw]:
    """Starts the UI's web server on the closed home; gives the elements of a page after its scripts have run."""
    monkeypatch.setenv("LENDING_NAME", "Harbour & Sons")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = ["-m", "lending_pipelines.webserver", "-m", "lending_pipelines.definitions", "-p", str(port)]
    server = subprocess.Popen([sys.executable, *command], env=os.environ | home.environment)

    def page(path: str) -> str:
        browser = [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'browser'}"]
        options = ["--window-size=1400,1000", "--virtual-time-budget=20000", "--dump-dom"]
        done = subprocess.run([*browser, *options, url + path], capture_output=True, text=True, timeout=120)
        return re.sub(r"<(style|script)\b.*?</\1>", "", done.stdout, flags=re.DOTALL)

    try:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{url}/server_info", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None
                time.sleep(0.5)
        yield page
    finally:
        server.terminate()
        server.wait(timeout=60)


def test_the_pages_of_a_home(draw: Draw, home: Home) -> None:
    home.servicing(
        "UPDATE transactions SET type = 'gift' WHERE transaction_id = (SELECT MIN(transaction_id) FROM transactions)"
    )
    assert lending("sync", "--full").returncode == 1
    made = lending("report", "trial_balance", "--format", "csv")
    assert made.returncode == 0, made.stderr

    runs = draw("/runs")
    assert re.search(r'id="lending-home">Harbour &amp; Sons<span>' + re.escape(str(home.folder)), runs)
    # The runs that commands started, with the failed one and the days of the close.
    assert all(job in runs for job in ("daily_close", "sync", "report_trial_balance"))
    assert "Failure" in runs

    with dg.DagsterInstance.get() as instance:
        (failed,) = instance.get_runs(dg.RunsFilter(job_name="sync", statuses=[dg.DagsterRunStatus.FAILURE]))
    log = draw(f"/runs/{failed.run_id}")
    assert "transactions.type: 1 rows have a value that is not one of" in log

    report = draw("/assets/reports/trial_balance")
    (link,) = set(re.findall(r'href="(/exports/reports/trial_balance/[^"]+\.csv)"', report))
    assert LAST.isoformat() in link
