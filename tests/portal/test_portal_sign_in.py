"""Signing in and out, one-time links, lockout, limits, other sites' requests, headers and redirects."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from people import PASSWORD, People

from lending_pipelines.portal.app import create_app
from lending_pipelines.portal.auth.security import safe_path
from lending_pipelines.portal.auth.sign_in import first_admin_link
from lending_pipelines.register import Accounts, AuditLog, OneTimeLinks, RoleGiven
from lending_pipelines.register.account_models import Account, AuditEntry, WebSession
from lending_pipelines.register.sessions import IDLE, LONGEST, hashed
from lending_pipelines.register.types import utc_now
from lending_pipelines.settings import Settings

COOKIE = "lending"


@pytest.fixture
def person(portal_home):
    """The username of a new auditor with the usual password."""
    name = f"person{utc_now().timestamp()}"
    with portal_home.register() as session:
        admin = Accounts(session).get("admin")
        given = [RoleGiven.checked("auditor", {})]
        Accounts(session).create(name, "A Person", given, password_hash=admin.password_hash)
    return name


def test_a_session_starts_at_the_sign_in_and_ends_at_the_sign_out(people: People, portal_home):
    browser = people.sign_in("auditor")
    cookie = browser.cookies[COOKIE]
    assert browser.get("/today").status_code == 200
    with portal_home.register() as session:
        stored = session.get(WebSession, hashed(cookie))
        assert stored is not None
        assert cookie not in str(vars(stored))
    assert browser.post("/sign-out").status_code == 303
    browser.cookies.set(COOKIE, cookie)
    assert browser.get("/today").headers["location"] == "/sign-in?next=%2Ftoday"


def test_a_form_that_is_sent_after_the_session_ended_leads_back_to_its_page(people: People):
    browser = people.nobody()
    sent = browser.post("/me/password", data={}, headers={"referer": "http://testserver/me?from=menu"})
    assert (sent.status_code, sent.headers["location"]) == (303, "/sign-in?next=%2Fme%3Ffrom%3Dmenu")
    elsewhere = browser.post("/me/password", data={}, headers={"referer": "http://evil.example/me"})
    assert elsewhere.headers["location"] == "/sign-in"


def test_a_planted_session_is_not_taken_over(people: People):
    attacker = people.sign_in("customer")
    planted = attacker.cookies[COOKIE]
    victim = people.nobody()
    victim.cookies.set(COOKIE, planted, domain="testserver.local")
    victim.post("/sign-in", data={"name": "auditor", "password": PASSWORD})
    assert victim.cookies[COOKIE] != planted
    # The planted session is over.
    assert attacker.get("/today").status_code == 303


@pytest.mark.parametrize(
    ("name", "password"), [("auditor", "wrong"), ("nobody", PASSWORD), ("", PASSWORD), ("auditor", "x" * 201)]
)
def test_a_refused_sign_in_says_the_same_and_is_recorded(people: People, portal_home, name, password):
    browser = people.nobody()
    answer = browser.post("/sign-in", data={"name": name, "password": password})
    assert answer.status_code in (401, 422)
    assert COOKIE not in browser.cookies
    if answer.status_code == 401:
        assert "The name or the password is wrong" in answer.text
        with portal_home.register() as session:
            assert AuditLog(session).recent(action="sign_in", limit=1)[0].outcome == "failed"


def test_wrong_passwords_lock_the_account_for_a_while(app, people: People, portal_home, person):
    browser = people.nobody()
    for _ in range(10):
        app.state.portal.limits.reset()
        assert browser.post("/sign-in", data={"name": person, "password": "wrong"}).status_code == 401
    app.state.portal.limits.reset()
    assert browser.post("/sign-in", data={"name": person, "password": PASSWORD}).status_code == 401
    with portal_home.register() as session:
        account = Accounts(session).get(person)
        assert account.locked_until > utc_now() + timedelta(minutes=14)
        account.locked_until = utc_now() - timedelta(seconds=1)
    assert browser.post("/sign-in", data={"name": person, "password": PASSWORD}).status_code == 303


def test_too_many_sign_ins_of_an_account_wait(app, people: People):
    browser = people.nobody()
    app.state.portal.limits.reset()
    answers = [browser.post("/sign-in", data={"name": "nobody", "password": "x"}) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


def test_what_is_revoked_is_out_at_the_next_request(people: People, portal_home, person):
    browser = people.sign_in(person)
    assert browser.get("/today").status_code == 200
    with portal_home.register() as session:
        Accounts(session).set_roles(Accounts(session).get(person), [RoleGiven.checked("user", {"borrower": "C1"})])
    assert browser.get("/today").status_code == 403
    with portal_home.register() as session:
        Accounts(session).set_active(Accounts(session).get(person), False)
    assert browser.get("/today").status_code == 303
    with portal_home.register() as session:
        Accounts(session).set_active(Accounts(session).get(person), True)
    # Its session stays over.
    assert browser.get("/today").status_code == 303


@pytest.mark.parametrize(("column", "age"), [("seen_at", IDLE), ("expires_at", timedelta())])
def test_a_session_ends_after_an_hour_without_a_request_and_after_twelve(people: People, portal_home, column, age):
    browser = people.sign_in("auditor")
    here = WebSession.session_hash == hashed(browser.cookies[COOKIE])
    with portal_home.register() as session:
        stored = session.scalars(sa.select(WebSession).where(here)).one()
        assert stored.expires_at - stored.created_at == LONGEST
        setattr(stored, column, utc_now() - age - timedelta(seconds=1))
    assert browser.get("/today").status_code == 303


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "same-origin", "origin": "http://testserver"}, 303),
        ({"origin": "http://testserver"}, 303),
        ({}, 303),
    ],
)
def test_another_sites_page_cannot_change_anything(people: People, headers, status):
    browser = people.sign_in("auditor")
    assert browser.post("/sign-out", headers=headers).status_code == status
    assert (browser.get("/today").status_code == 200) == (status == 403)


def test_every_answer_has_the_security_headers(people: People):
    browser = people.sign_in("auditor")
    for answer in (browser.get("/today"), browser.get("/nowhere"), browser.get("/sign-in"), browser.get("/api/v1/x")):
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert {"default-src 'self'", "frame-ancestors 'none'", "object-src 'none'"} <= set(policy.split("; "))
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert "strict-transport-security" not in answer.headers


def test_over_https_cookies_are_secure_and_browsers_stay_with_https(app):
    browser = TestClient(app, base_url="https://portal.example.com", follow_redirects=False)
    app.state.portal.limits.reset()
    answer = browser.post("/sign-in", data={"name": "auditor", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-lending=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert answer.headers["strict-transport-security"].startswith("max-age=63072000")
    assert browser.get("/today").status_code == 200
    browser.close()


@pytest.mark.parametrize(
    ("asked", "goes_to"),
    [
        ("/loans?sort=balance", "/loans?sort=balance"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/x\r\nSet-Cookie: a=b", "/"),
        ("", "/"),
        (None, "/"),
    ],
)
def test_a_sign_in_goes_on_within_the_site_only(app, people: People, asked, goes_to):
    assert safe_path(asked) == goes_to
    app.state.portal.limits.reset()
    data = {"name": "auditor", "password": PASSWORD} | ({"next": asked} if asked is not None else {})
    assert people.nobody().post("/sign-in", data=data).headers["location"] == goes_to


def test_the_first_start_makes_one_admin_by_a_link_that_works_once(tmp_path):
    app = create_app(Settings.from_environment({"LENDING_HOME": str(tmp_path)}))
    portal = app.state.portal
    earlier = first_admin_link(portal.register)
    link = first_admin_link(portal.register)
    with TestClient(app, follow_redirects=False) as browser:
        assert browser.get(f"/welcome/{earlier}").status_code == 404
        assert browser.get(f"/welcome/{link}").status_code == 200
        assert browser.post(f"/welcome/{link}", data={"password": "short"}).status_code == 422
        assert browser.post(f"/welcome/{link}", data={"password": "my name is admin, I am"}).status_code == 422
        assert browser.post(f"/welcome/{link}", data={"password": PASSWORD}).headers["location"] == "/"
        # Without a close there is no data, and the page says so.
        assert "no day is closed yet" in browser.get("/today").text
        assert browser.post(f"/welcome/{link}", data={"password": PASSWORD + "!"}).status_code == 404
        assert first_admin_link(portal.register) is None
        assert browser.get(f"/welcome/{link}").status_code == 404
    with portal.register.session() as session:
        (account,) = Accounts(session).all()
        assert (account.username, [each.role for each in Accounts(session).roles(account.account_id)]) == (
            "admin",
            ["admin"],
        )
        assert account.password_hash.startswith("$argon2id$")


def test_a_link_of_a_password_reset_ends_the_sessions(people: People, portal_home, person):
    browser = people.sign_in(person)
    with portal_home.register() as session:
        account = Accounts(session).get(person)
        link = OneTimeLinks(session).create("password_reset", account.account_id)
    other = people.nobody()
    assert other.post(f"/welcome/{link}", data={"password": "another sentence to remember"}).status_code == 303
    assert browser.get("/today").status_code == 303
    assert other.get("/today").status_code == 200
    people.sign_in(person, "another sentence to remember")


@pytest.mark.parametrize("statement", ["UPDATE audit_log SET account = 'x'", "DELETE FROM audit_log"])
def test_the_audit_log_is_only_added_to(people: People, portal_home, statement):
    people.sign_in("auditor")
    with pytest.raises(sa.exc.DBAPIError, match="append only"), portal_home.register() as session:
        session.execute(sa.text(statement))
    with portal_home.register() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(AuditEntry)) > 0


def test_a_denial_is_recorded_with_who_what_and_why(people: People, portal_home):
    browser = people.sign_in("customer")
    assert browser.get("/today").status_code == 403
    with portal_home.register() as session:
        entry = AuditLog(session).recent(account="customer", outcome="denied", limit=1)[0]
    assert (entry.action, entry.resource, entry.reason) == (
        "today.read",
        "/today",
        "the role user does not allow today.read",
    )
    assert entry.address == "testclient"


def test_the_first_account_has_no_default_password(portal_home):
    with portal_home.register() as session:
        accounts = session.scalars(sa.select(Account)).all()
    assert {
        account.password_hash is None or account.password_hash.startswith("$argon2id$") for account in accounts
    } == {True}


def test_a_name_with_a_character_that_cannot_be_stored_is_refused(people: People):
    browser = people.nobody()
    assert browser.post("/sign-in", data={"name": "admin\0", "password": "x"}).status_code == 400
    answer = browser.post("/api/v1/auth/token", json={"grant_type": "password", "username": "\0", "password": "x"})
    assert (answer.status_code, "NUL" in answer.json()["detail"]) == (400, True)
