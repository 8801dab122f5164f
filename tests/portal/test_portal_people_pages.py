"""The pages of people: accounts and roles by administrators, the audit log, the own password and sessions."""

import re
from html import unescape

import pytest
from people import PASSWORD, People

from lending_pipelines.register import Accounts, AuditLog

HOSTILE = "<img src=x onerror=alert(1)>"


def roles_of(home, username: str) -> dict:
    with home.register() as session:
        accounts = Accounts(session)
        return {each.role: each.scope for each in accounts.roles(accounts.get(username).account_id)}


def test_an_invited_person_gets_a_link_that_works_once_and_the_scope_that_was_given(own_people: People, own_home, book):
    admin = own_people.sign_in("admin")
    data = {
        "username": "erin",
        "name": HOSTILE,
        "email": "erin@example.com",
        "role-manager": "true",
        "manager-manager": book.leader,
    }
    page = admin.post("/people/new", data=data)
    assert page.status_code == 200
    assert HOSTILE not in page.text
    link = re.search(r"http://testserver(/welcome/[\w-]+)", page.text)[1]
    assert roles_of(own_home, "erin") == {"manager": {"manager": book.leader}}
    assert link not in admin.get("/people/accounts/erin").text
    other = own_people.nobody()
    assert other.post(link, data={"password": PASSWORD}).status_code == 303
    assert other.get("/today").status_code == 200
    assert other.post(link, data={"password": PASSWORD}).status_code == 404
    assert HOSTILE not in admin.get("/people").text
    # Disabling ends the session at once.
    assert admin.post("/people/accounts/erin/disable").status_code == 303
    assert other.get("/today").status_code == 303
    assert admin.post("/people/accounts/erin/enable").status_code == 303


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"username": "", "role-admin": "true"}, "write a name without spaces"),
        ({"username": "two words", "role-admin": "true"}, "write a name without spaces"),
        ({"username": "ADMIN", "role-admin": "true"}, "already exists"),
        ({"username": "x", "email": "nobody", "role-admin": "true"}, "write an address"),
        ({"username": "x"}, "at least one role"),
        ({"username": "x", "role-manager": "true"}, "name the team leader"),
        ({"username": "x", "role-manager": "true", "manager-manager": "S0000000004"}, "there is no team leader"),
        ({"username": "x", "role-investor": "true", "investor-investors": "Harbor Income Fund"}, "Harbour Income Fund"),
        ({"username": "x", "role-user": "true", "user-borrower": "nobody"}, "there is no borrower"),
        ({"username": "x", "role-auditor": "true", "auditor-branches": HOSTILE}, "there is no branch"),
    ],
)
def test_wrong_accounts_are_refused_at_the_field(own_people: People, own_home, data, told):
    answer = own_people.sign_in("admin").post("/people/new", data=data)
    assert answer.status_code == 422
    assert told in unescape(answer.text)
    assert HOSTILE not in answer.text
    with own_home.register() as session:
        assert Accounts(session).find("x") is None


def test_roles_are_replaced_and_apply_from_the_next_request(own_people: People, own_home):
    admin, officer = own_people.sign_in("admin"), own_people.sign_in("officer")
    assert officer.get("/ledger").status_code == 403
    form = unescape(admin.get("/people/accounts/officer/roles").text)
    assert f'value="{roles_of(own_home, "officer")["loan_officer"]["officer"]}"' in form
    assert admin.post("/people/accounts/officer/roles", data={"role-controller": "true"}).status_code == 303
    assert officer.get("/ledger").status_code == 200
    with own_home.register() as session:
        entry = AuditLog(session).recent(account="admin", action="people.edit", limit=1)[0]
    assert (entry.resource, entry.reason) == ("account officer", "roles set: controller")


def test_an_administrator_cannot_lock_themselves_out(own_people: People, own_home):
    admin = own_people.sign_in("admin")
    assert admin.post("/people/accounts/admin/roles", data={"role-auditor": "true"}).status_code == 422
    assert admin.post("/people/accounts/admin/disable").status_code == 400
    assert roles_of(own_home, "admin") == {"admin": {}}


@pytest.mark.parametrize(
    "path", ["/people/new", "/people/accounts/customer/roles", "/people/accounts/customer/disable"]
)
def test_an_auditor_reads_and_changes_nothing(own_people: People, path):
    auditor = own_people.sign_in("auditor")
    assert auditor.get("/people").status_code == 200
    assert auditor.post(path, data={"username": "x", "role-admin": "true"}).status_code == 403


def test_the_audit_log_is_filtered_and_shows_hostile_text_as_text(own_people: People):
    own_people.nobody().post("/sign-in", data={"name": HOSTILE, "password": "wrong"})
    admin = own_people.sign_in("admin")
    page = admin.get("/people/audit?outcome=failed&action=sign_in")
    assert HOSTILE not in page.text
    assert HOSTILE in unescape(page.text)
    assert "there is no such account" in page.text
    assert HOSTILE not in unescape(admin.get("/people/audit?account=admin").text)
    assert "No entry matches" in admin.get("/people/audit?since=2199-01-01").text


@pytest.mark.parametrize(
    "query", ["after=0", "after=x", "since=x", "outcome=x", "action=%00", "account=%27%20OR%201=1", f"after={10**30}"]
)
def test_bad_filters_are_no_server_errors(own_people: People, query):
    assert own_people.sign_in("admin").get(f"/people/audit?{query}").status_code in (200, 400, 422)


def test_a_changed_password_ends_all_other_sessions(own_people: People):
    here, there = own_people.sign_in("controller"), own_people.sign_in("controller")
    new = "another sentence for me alone"
    data = {"current": "wrong", "new": new, "again": new}
    assert "this is not your password" in here.post("/me/password", data=data).text
    data["current"] = PASSWORD
    assert here.post("/me/password", data={**data, "again": "other"}).status_code == 422
    assert here.post("/me/password", data={**data, "new": "short", "again": "short"}).status_code == 422
    cookie = here.cookies["lending"]
    assert here.post("/me/password", data=data).status_code == 303
    assert here.cookies["lending"] != cookie
    assert here.get("/me").status_code == 200
    assert there.get("/me").status_code == 303
    assert own_people.sign_in("controller", new).post("/me/sessions").status_code == 303
    assert here.get("/me").status_code == 303


def test_a_token_is_shown_once_and_revoked(own_people: People, own_home):
    admin = own_people.sign_in("admin")
    made = admin.post("/people/accounts/auditor/tokens", data={"name": HOSTILE, "days": "30", "actions": "loans.read"})
    secret = re.search(r"<code>(lending_[\w-]+)</code>", made.text)[1]
    page = admin.get("/people/accounts/auditor").text
    assert (secret in page, HOSTILE in page) == (False, False)
    link = re.search(r'action="([^"]+/revoke)"', page)[1]
    assert admin.post(link.replace("auditor", "customer")).status_code == 404
    assert own_people.sign_in("auditor").post(link).status_code == 403
    assert admin.post(link).status_code == 303
    assert "Revoked" in admin.get("/people/accounts/auditor").text


@pytest.mark.parametrize(
    "data", [{"name": ""}, {"days": "x"}, {"days": "0"}, {"days": "9999"}, {"actions": "loan.read"}]
)
def test_a_token_with_wrong_values_is_refused(own_people: People, data):
    sent = {"name": "x", "days": "30", **data}
    assert own_people.sign_in("admin").post("/people/accounts/auditor/tokens", data=sent).status_code == 400
