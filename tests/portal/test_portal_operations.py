"""Data health and Generate: what is fresh, which runs there were, and a close that is started and followed."""

import re
import time
from datetime import timedelta
from html import unescape
from uuid import uuid4

import pytest
from homes import FIRST, LAST, OPEN, Home
from people import People

from lending_pipelines.portal.views import closes
from lending_pipelines.processes import this_process
from lending_pipelines.register import AuditLog, CloseSummaries
from lending_pipelines.settings import Settings
from lending_pipelines.tables import SERVICING

HOSTILE = "<script>alert('close')</script>"


def texts(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_freshness_names_every_table_with_its_last_day_and_rows(people: People, book):
    page = texts(people.sign_in("controller").get("/data-health").text)
    for name in ("loan_positions", "ledger_tieouts", "platform_activity"):
        assert re.search(rf"{name} Stale {LAST} ", page), name
    for name in ("loans", "journal_lines", "gateway_payments"):
        about = re.escape(SERVICING[name].description)
        assert re.search(rf"{name} {about} Synced {len(book.home.rows(name)):,} ", page), name
    assert "are not closed: run `lending close --from 2025-03-15" in page


def test_findings_of_the_close_and_changed_days_are_shown_as_text(own_people: People, own_home: Home):
    changed = "closed day 2025-03-01 no longer agrees with the transactions: 1 loan"
    with own_home.register() as session:
        findings = [
            {"severity": "error", "subject": "loans.key_is_unique", "text": HOSTILE},
            {"severity": "warning", "subject": "restatements.restatement_due", "text": changed},
        ]
        CloseSummaries(session).save(LAST, "failed", findings, "run")
    page = own_people.sign_in("admin").get("/data-health").text
    assert HOSTILE not in page
    assert HOSTILE in unescape(page)
    assert f"Closed days have changed since they were closed {changed}" in texts(page)


def test_the_last_runs_are_those_that_dagster_recorded(people: People, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    page = texts(people.sign_in("auditor").get("/data-health/runs").text)
    assert re.search(rf"Daily close \w{{8}} Succeeded {FIRST} to {LAST} ", page)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"first": "x", "last": "2025-03-14"}, "write a date like 2025-03-31"),
        ({"first": "2025-03-15", "last": "2025-03-14"}, "is before the first day"),
        ({"first": "2025-03-14", "last": "2199-01-01"}, "has not ended"),
        ({"first": "2025-03-14", "last": "2025-03-14", "manager": "S0000"}, "no single manager is named"),
        ({"first": "2025-03-14", "last": "2025-03-14", "manager": HOSTILE}, "no single manager is named"),
    ],
)
def test_a_close_with_wrong_values_is_not_started(own_people: People, own_home, data, told):
    answer = own_people.sign_in("admin").post("/generate", data=data)
    assert answer.status_code == 422
    assert told in unescape(answer.text)
    assert HOSTILE not in answer.text
    assert closes.recent(settings_of(own_home), 10) == []


def settings_of(home: Home) -> Settings:
    return Settings.from_environment({"LENDING_HOME": str(home.folder)})


def test_only_administrators_start_closes(people: People):
    for name in ("controller", "auditor", "manager"):
        assert people.sign_in(name).post("/generate", data={}).status_code == 403


def test_a_close_is_started_once_and_followed_to_its_end(own_people: People, own_home: Home, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    browser = own_people.sign_in("admin")
    data = {"first": str(OPEN), "last": str(OPEN), "once": uuid4().hex}
    answers = [browser.post("/generate", data=data) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]
    (link,) = {answer.headers["location"] for answer in answers}
    other = browser.post("/generate", data={**data, "once": uuid4().hex})
    assert (other.status_code, "is running: wait until it has ended" in other.text) == (422, True)
    deadline = time.monotonic() + 300
    # An answer with events ends after seconds, and the browser asks again.
    while "event: done" not in (events := browser.get(f"{link}/events").text):
        assert time.monotonic() < deadline, events
    page = re.sub(r"^data: ", "", events.rpartition("event: status")[2], flags=re.M)
    assert "The close has ended" in page
    shown = texts(page)
    assert re.search(r"Succeeded (\d+) of \1 steps", shown)
    assert f"Closing {OPEN} to {OPEN}" in shown
    assert OPEN in {row["business_date"] for row in own_home.rows("loan_positions", OPEN, OPEN)}
    # The page of the portal that was open follows the lake. No request waits for that.
    while f"Closed: {FIRST} to {OPEN}" not in (shown := texts(browser.get("/generate").text)):
        assert time.monotonic() < deadline, shown
        time.sleep(0.1)
    with own_home.register() as session:
        entries = [each.resource for each in AuditLog(session).recent(account="admin", action="generate.run")]
    assert entries.count(f"close {OPEN} to {OPEN}") == 2


def test_a_close_whose_portal_was_killed_is_still_followed(own_home: Home):
    settings, folder = settings_of(own_home), own_home.folder / "portal" / "closes" / uuid4().hex
    folder.mkdir(parents=True)
    (folder / "output").write_bytes(b"Closing\n\xff")
    request = (
        f'{{"by": "admin", "first": "{LAST}", "last": "{LAST}", "manager": "", "force": true,'
        f' "started_at": "2025-03-15T01:00:00+00:00", "process": "%s"}}'
    )
    (folder / "request.json").write_text(request % this_process())
    assert closes.find(settings, folder.name).status == "running"
    host = this_process().partition(":")[0]
    (folder / "request.json").write_text(request % f"{host}:{2**22 + 1}")
    found = closes.find(settings, folder.name)
    assert (found.status, found.output, found.last - found.first) == ("unknown", "Closing\n\ufffd", timedelta(0))
    for name in ("..", "../../x", "0" * 31, "Z" * 32):
        assert closes.find(settings, name) is None
