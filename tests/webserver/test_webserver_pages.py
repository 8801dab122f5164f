"""The UI's pages as a browser draws them: whose home, the runs of commands, why a run failed, and a report's file."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import dagster as dg
import pytest
from browsing import chromium
from homes import LAST, Home, lending
from playwright.sync_api import Page, expect
from servers import answers, free_port

WITHIN = 60_000
"""How many milliseconds the scripts of a page may take to show what is waited for."""


@pytest.fixture
def page(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """A page of a browser whose addresses are those of the UI's web server on the closed home."""
    monkeypatch.setenv("LENDING_NAME", "Harbour & Sons")
    port = free_port()
    command = ["-m", "lending_pipelines.webserver", "-m", "lending_pipelines.definitions", "-p", str(port)]
    server = subprocess.Popen([sys.executable, *command], env=os.environ | home.environment)
    try:
        with chromium() as browser:
            deadline = time.monotonic() + 90
            while not answers(port):
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)
            size = {"width": 1400, "height": 1000}
            with browser.new_context(base_url=f"http://127.0.0.1:{port}", viewport=size) as context:
                yield context.new_page()
    finally:
        server.terminate()
        server.wait(timeout=60)


def test_the_pages_of_a_home(page: Page, home: Home) -> None:
    home.servicing(
        "UPDATE transactions SET type = 'gift' WHERE transaction_id = (SELECT MIN(transaction_id) FROM transactions)"
    )
    assert lending("sync", "--full").returncode == 1
    made = lending("report", "trial_balance", "--format", "csv")
    assert made.returncode == 0, made.stderr

    shown = page.locator("#root")
    page.goto("/runs")
    # The runs that commands started, with the failed one and the days of the close.
    for text in ("daily_close", "sync", "report_trial_balance", "Failure"):
        expect(shown).to_contain_text(text, timeout=WITHIN)
    assert page.locator("#lending-home").text_content() == f"Harbour & Sons{home.folder}"
    assert page.locator("#lending-home span").text_content() == str(home.folder)

    with dg.DagsterInstance.get() as instance:
        (failed,) = instance.get_runs(dg.RunsFilter(job_name="sync", statuses=[dg.DagsterRunStatus.FAILURE]))
    page.goto(f"/runs/{failed.run_id}")
    expect(shown).to_contain_text("transactions.type: 1 rows have a value that is not one of", timeout=WITHIN)

    page.goto("/assets/reports/trial_balance")
    links = page.locator('a[href^="/exports/reports/trial_balance/"][href$=".csv"]')
    expect(links.first).to_be_visible(timeout=WITHIN)
    (link,) = {each.get_attribute("href") for each in links.all()}
    assert LAST.isoformat() in link
