"""What docs/portal.md says about OWASP ASVS: its tests exist, and those of points that no other file tests."""

import re
from pathlib import Path

import pytest
from fastapi import APIRouter, Depends
from fastapi.testclient import TestClient
from people import PASSWORD, People

from lending_pipelines.portal import app as app_module
from lending_pipelines.portal.access import require
from lending_pipelines.portal.app import create_app
from lending_pipelines.register import AuditLog

ROOT = Path(__file__).parents[2]


def test_every_test_that_the_table_names_exists():
    table = (ROOT / "docs/portal.md").read_text().partition("## OWASP ASVS")[2]
    named = set(re.findall(r"`(test_\w+)`", table))
    written = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)
    }
    assert len(named) > 30
    assert named - written == set()
    # Every point has a test.
    rows = [line for line in table.splitlines() if re.match(r"\| \d", line)]
    assert [line for line in rows if "`test_" not in line] == []


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}])
def test_another_sites_page_gets_a_problem_from_the_api(people: People, headers):
    answer = people.sign_in("admin").post("/api/v1/reports", json={}, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    assert answer.json()["detail"] == "This request comes from another site's page and was refused."
    assert "content-security-policy" in answer.headers


def test_no_other_origin_may_read_an_answer(people: People):
    browser = people.sign_in("admin")
    for path in ("/today", "/api/v1/snapshots"):
        answer = browser.get(path, headers={"origin": "https://evil.example"})
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        assert browser.options(path, headers=asked).status_code == 405


@pytest.mark.parametrize("method", ["TRACE", "PUT", "DELETE", "PATCH"])
def test_a_method_that_a_route_does_not_have_is_refused(people: People, method):
    assert people.sign_in("admin").request(method, "/loans").status_code == 405


def test_downloads_of_an_account_are_limited(app, people: People, portal_home):
    browser = people.sign_in("auditor")
    asked = "/api/v1/snapshots?format=csv"
    answers = [browser.get(asked).status_code for _ in range(31)]
    app.state.portal.limits.reset()
    assert answers == [200] * 30 + [429]
    with portal_home.register() as session:
        recorded = AuditLog(session).recent(account="auditor", outcome="allowed", limit=30)
    assert all(entry.rows and entry.sha256 for entry in recorded)


def test_an_unexpected_error_shows_a_reference_and_nothing_else(portal_settings, monkeypatch, caplog):
    router = APIRouter()

    def fails() -> None:
        raise ValueError("the secret of the database")

    for path in ("/fails", "/api/fails"):
        router.get(path, dependencies=[Depends(require("public"))])(fails)
    monkeypatch.setattr(app_module, "ROUTERS", (*app_module.ROUTERS, router))
    app = create_app(portal_settings)
    browser = TestClient(app, raise_server_exceptions=False)
    for path in ("/fails", "/api/fails"):
        answer = browser.get(path)
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text
        reference = next(word for word in caplog.messages[-1].split() if word.endswith(")")).rstrip(")")
        assert reference in answer.text
    app.state.portal.close()


def test_neither_passwords_nor_sessions_are_logged(people: People, caplog, portal_home):
    caplog.set_level("DEBUG")
    browser = people.sign_in("auditor")
    people.nobody().post("/sign-in", data={"name": "auditor", "password": "a wrong password 123"})
    browser.get("/today")
    with portal_home.register() as session:
        audited = " ".join(str(vars(entry)) for entry in AuditLog(session).recent(limit=20))
    for secret in (PASSWORD, "a wrong password 123", browser.cookies["lending"]):
        assert secret not in caplog.text
        assert secret not in audited
