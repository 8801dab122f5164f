"""`lending people`, and what the scopes of a role may be."""

import re

import pytest
from fastapi.testclient import TestClient
from homes import lending

from lending_pipelines.portal.app import create_app
from lending_pipelines.portal.scope import Scope, resolved
from lending_pipelines.register import Accounts, AuditLog, RegisterError, RoleGiven
from lending_pipelines.settings import Settings


def test_a_person_is_added_invited_changed_and_disabled(empty_home):
    added = lending(
        "people", "add", "Erin", "--name", "Erin Holt", "--role", "manager:S7", "--limit", "branches=B1, B2"
    )
    assert added.returncode == 0, added.stderr
    link = re.search(r"http://127.0.0.1:8000(/welcome/\S+)", added.stdout)[1]
    app = create_app(Settings.from_environment())
    with TestClient(app, follow_redirects=False) as browser:
        later = lending("people", "invite", "erin").stdout
        # The earlier link stops working.
        assert browser.get(link).status_code == 404
        link = re.search(r"http://127.0.0.1:8000(/welcome/\S+)", later)[1]
        assert "erin" in browser.get(link).text
        assert browser.post(link, data={"password": "a sentence that nobody guesses"}).status_code == 303
        assert browser.get("/today").status_code == 200
        assert lending("people", "role", "erin", "--role", "investor:F1,F2").stdout == (
            'erin: investor {"investors": ["F1", "F2"]}\n'
        )
        assert "investor" in browser.get("/today").text.lower()
        assert lending("people", "disable", "ERIN").returncode == 0
        assert browser.get("/today").status_code == 303
    listed = lending("people").stdout.splitlines()[1]
    assert re.match(r'erin +Erin Holt +- +investor \{"investors": \["F1", "F2"\]\} +disabled', listed)
    with empty_home.register() as session:
        entries = AuditLog(session).recent(action="people.edit")
        assert [each.reason for each in reversed(entries)] == ["added", "link made", "roles set", "disabled"]
        assert {each.resource for each in entries} == {"account erin"}


def test_a_token_of_an_integration_is_made_listed_and_revoked(empty_home):
    lending("people", "add", "erin", "--role", "auditor")
    limits = ("--action", "portfolios.read", "--limit", "branches=B1,B2")
    made = lending("people", "token", "add", "erin", "warehouse", "--days", "30", *limits)
    assert made.returncode == 0, made.stderr
    first, _, value = made.stdout.splitlines()
    token_id = re.match(r"Token (\w{8}) of erin is valid until ", first)[1]
    (row,) = lending("people", "token").stdout.splitlines()[1:]
    assert re.match(rf"{token_id} +erin +warehouse +actions=portfolios.read; branches=B1,B2 +valid +[-\d]+ +-", row)
    assert value not in row
    headers = {"authorization": f"Bearer {value}"}
    with TestClient(create_app(Settings.from_environment())) as program:
        assert program.get("/api/v1/alerts", headers=headers).status_code == 403
        assert program.get("/api/v1/snapshots", headers=headers).status_code not in (401, 403)
        assert lending("people", "token", "revoke", token_id).stdout == f"Token {token_id} (warehouse) is revoked.\n"
        assert program.get("/api/v1/snapshots", headers=headers).status_code == 401
    assert " revoked " in lending("people", "token").stdout
    with empty_home.register() as session:
        entries = AuditLog(session).recent(action="tokens.edit")
    assert [each.reason for each in reversed(entries)] == ["made", "revoked"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", "nobody", "warehouse"], "there is no account 'nobody'"),
        (["add", "erin", "warehouse", "--action", "portfolio.read"], "portfolios.read"),
        (["add", "erin", "warehouse", "--limit", "branch=B1"], "did you mean 'branches'?"),
        (["revoke", "0000"], "0000"),
    ],
)
def test_a_wrong_token_is_refused_and_nothing_is_made(empty_home, arguments, message):
    lending("people", "add", "erin", "--role", "auditor")
    done = lending("people", "token", *arguments)
    assert (done.returncode, message in done.stderr) == (1, True), done.stderr
    assert lending("people", "token").stdout == ""


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--role", "boss"], "there is no role 'boss'"),
        (["--role", "manager"], "scope of the role manager: manager is missing"),
        (["--role", "investor"], "investors is missing"),
        (["--role", "admin:X"], "the role admin has no id after a colon"),
        (["--role", "auditor", "--limit", "branches"], "write a dimension and ids"),
        (["--role", "auditor", "--limit", "branch=B1"], "branch is not part of it; did you mean 'branches'?"),
        (["--role", "admin", "--limit", "branches=B1"], "branches is not part of it"),
    ],
)
def test_wrong_roles_are_refused_and_nothing_is_added(empty_home, arguments, fault):
    done = lending("people", "add", "x", *arguments)
    assert done.returncode == 1
    assert fault in done.stderr
    assert lending("people").stdout == ""


def test_an_unknown_or_second_account_is_refused(empty_home):
    lending("people", "add", "erin", "--role", "admin")
    assert "account 'erin' already exists" in lending("people", "add", "ERIN", "--role", "admin").stderr
    assert "there is no account 'erni': did you mean 'erin'?" in lending("people", "disable", "erni").stderr


@pytest.mark.parametrize(
    ("role", "scope", "expected"),
    [
        ("auditor", {}, Scope()),
        ("controller", {"branches": ["B1"]}, Scope(branches=frozenset(["B1"]))),
        ("manager", {"manager": "S7"}, Scope(officers=frozenset(["S7", "S8"]))),
        ("loan_officer", {"officer": "S8"}, Scope(officers=frozenset(["S8"]))),
        ("investor", {"investors": ["F"]}, Scope(investors=frozenset(["F"]))),
        ("user", {"borrower": "C1"}, Scope(borrower=frozenset(["C1"]))),
        # What is stored without the limit that a role must have covers nothing.
        ("manager", {}, Scope(officers=frozenset())),
        ("loan_officer", {}, Scope(officers=frozenset())),
        ("investor", {}, Scope(investors=frozenset())),
        ("user", {}, Scope(borrower=frozenset())),
    ],
)
def test_the_scope_of_a_role(role, scope, expected):
    assert resolved(role, scope, {"S7": frozenset(["S7", "S8"])}.__getitem__) == expected


def test_a_role_is_given_once(empty_home):
    twice = [RoleGiven.checked("auditor", {}), RoleGiven.checked("auditor", {"branches": ["B1"]})]
    with empty_home.register() as session, pytest.raises(RegisterError, match="a role is given twice"):
        Accounts(session).create("x", "X", twice)
