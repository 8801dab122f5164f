"""Signing in by a real OpenID Connect provider on loopback: roles by claims, and every forged answer refused."""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from fastapi.testclient import TestClient
from joserfc.jwk import RSAKey
from oidc_provider import CLIENT_ID, CLIENT_SECRET, OidcProvider, oidc_provider

from lending_pipelines.errors import LendingError
from lending_pipelines.portal.app import create_app
from lending_pipelines.portal.auth.oidc import RoleRules
from lending_pipelines.register import Accounts, AuditLog, RoleGiven
from lending_pipelines.settings import Settings

RULES = """
claim = "groups"
[[rule]]
value = "admins"
role = "admin"
[[rule]]
value = "leaders"
role = "manager"
scope = { manager = "{staff_id}" }
"""
ERIN = {"preferred_username": "erin", "name": "Erin Holt", "email": "erin@example.com", "email_verified": True}


@pytest.fixture
def provider() -> Iterator[OidcProvider]:
    with oidc_provider(**ERIN, groups=["leaders", "other"], staff_id="S7") as provider:
        yield provider


@pytest.fixture
def browser(provider, tmp_path) -> Iterator[TestClient]:
    """A browser on a portal whose provider gives roles by rules."""
    (tmp_path / "roles.toml").write_text(RULES)
    yield from _browser(provider, tmp_path, str(tmp_path / "roles.toml"))


@pytest.fixture
def invited(provider, tmp_path) -> Iterator[TestClient]:
    """A browser on a portal without rules: only people with an account sign in."""
    yield from _browser(provider, tmp_path, None)


def _browser(provider, folder, roles) -> Iterator[TestClient]:
    settings = replace(
        Settings.from_environment({"LENDING_HOME": str(folder / "home")}),
        oidc_issuer=provider.issuer,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret=CLIENT_SECRET,
        oidc_name="Harbour ID",
        oidc_roles_file=roles,
    )
    with TestClient(create_app(settings), follow_redirects=False) as browser:
        yield browser


def go(browser: TestClient, after: str = "/today", **changed: str) -> httpx2.Response:
    """Sign in as the provider's person: to the provider, and back with these parameters changed."""
    sent = browser.get("/sign-in/oidc", params={"next": after})
    assert sent.status_code == 303, sent.text
    back = httpx2.get(sent.headers["location"], follow_redirects=False).headers["location"]
    assert back.startswith("http://testserver/sign-in/oidc/callback?")
    parameters = {name: value for name, (value,) in parse_qs(urlsplit(back).query).items()}
    return browser.get("/sign-in/oidc/callback", params=parameters | changed)


def reason(browser: TestClient) -> str:
    """Why the last sign-in was refused, by the audit log."""
    with browser.app.state.portal.register.session() as session:
        return AuditLog(session).recent(action="sign_in", outcome="failed", limit=1)[0].reason


def account(browser: TestClient, name: str = "erin"):
    with browser.app.state.portal.register.session() as session:
        found = Accounts(session).get(name)
        return found, [(each.role, each.scope) for each in Accounts(session).roles(found.account_id)]


def test_the_claims_give_the_roles_at_each_sign_in(browser, provider):
    assert "Harbour ID" in browser.get("/sign-in").text
    assert go(browser).headers["location"] == "/today"
    assert browser.get("/today").status_code == 200
    found, roles = account(browser)
    assert (found.name, found.email, found.password_hash) == ("Erin Holt", "erin@example.com", None)
    assert found.subject == f"{provider.issuer} 1"
    assert roles == [("manager", {"manager": "S7"})]
    # Another name of the same person, with other groups.
    provider.person |= {"preferred_username": "erin.holt", "groups": "admins"}
    assert go(browser).status_code == 303
    assert account(browser)[1] == [("admin", {})]
    provider.person["groups"] = []
    assert go(browser).status_code == 401
    assert reason(browser) == "the claims of erin.holt give no role"


def test_without_rules_a_person_with_an_account_signs_in_by_the_verified_address(invited, provider):
    assert go(invited).status_code == 401
    assert reason(invited) == "erin has no account"
    with invited.app.state.portal.register.session() as session:
        Accounts(session).create("eh", "Erin", [RoleGiven.checked("auditor", {})], email="ERIN@example.com")
    provider.person["email_verified"] = False
    assert go(invited).status_code == 401
    provider.person["email_verified"] = True
    assert go(invited).status_code == 303
    assert account(invited, "eh")[0].subject == f"{provider.issuer} 1"
    # Somebody else who has the address later is somebody else.
    provider.person["sub"] = "2"
    assert go(invited).status_code == 401


def test_an_account_with_a_password_is_not_taken_over(browser, provider):
    with browser.app.state.portal.register.session() as session:
        Accounts(session).create(
            "erin", "Erin", [RoleGiven.checked("admin", {})], email="erin@example.com", password_hash="x"
        )
    assert go(browser).status_code == 401
    assert reason(browser) == "the username erin is that of another account"


def test_a_disabled_account_does_not_sign_in(browser):
    assert go(browser).status_code == 303
    with browser.app.state.portal.register.session() as session:
        Accounts(session).set_active(Accounts(session).get("erin"), False)
    assert go(browser).status_code == 401
    assert reason(browser) == "the account is disabled"


def test_an_id_token_with_a_wrong_claim_is_refused(browser, provider):
    for forged, why in (
        ({"nonce": "other"}, "its nonce differs"),
        ({"aud": "another client"}, "Audience doesn't match"),
        ({"iss": "https://evil.example"}, "Invalid issuer"),
        ({"exp": 1}, "expired"),
        ({"exp": None}, 'missing the "exp" claim'),
        ({"nonce": None}, "its nonce differs"),
    ):
        provider.forged = forged
        assert go(browser).status_code == 401, forged
        assert why in reason(browser), forged
        assert browser.get("/today").status_code == 303, forged


def test_an_id_token_with_another_signature_is_refused_and_a_new_key_is_not(browser, provider):
    provider.signs_with = RSAKey.generate_key(2048, {"kid": "one"})
    assert go(browser).status_code == 401
    assert "Signature verification failed" in reason(browser)
    provider.signs_with = RSAKey.generate_key(2048, {"kid": "two"})
    assert go(browser).status_code == 401
    assert "has no key 'two'" in reason(browser)
    provider.published.append(provider.signs_with)
    assert go(browser).status_code == 303


def test_an_answer_that_belongs_to_no_sign_in_of_the_browser_is_refused(browser):
    assert go(browser, state="other").status_code == 401
    assert "belongs to no sign-in of this browser" in reason(browser)
    assert go(browser, code="other").status_code == 401
    assert "gives no token" in reason(browser)
    assert go(browser, error="access_denied").status_code == 401
    assert reason(browser) == "the provider refuses: access_denied"
    browser.cookies.clear()
    assert browser.get("/sign-in/oidc/callback", params={"code": "x", "state": "y"}).status_code == 401


def test_a_sign_in_goes_on_within_the_site_only(browser):
    assert go(browser, after="//evil.example").headers["location"] == "/"


def test_a_provider_that_does_not_answer_is_said(browser, provider):
    browser.app.state.portal.oidc._issuer = "http://127.0.0.1:9"
    answer = browser.get("/sign-in/oidc")
    assert answer.status_code == 503
    assert "cannot be reached" in answer.text


def test_without_a_provider_there_is_no_such_page(people):
    assert people.nobody().get("/sign-in/oidc").status_code == 404
    assert people.nobody().get("/sign-in/oidc/callback").status_code == 404


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x", "cannot be read"),
        ("claim = 'x'", "write tables"),
        ("[[rule]]\nvalue = 'a'\nrole = 'boss'", "there is no role 'boss'"),
        ("[[rule]]\nvalue = 'a'\nrole = 'manager'", "manager is missing"),
    ],
)
def test_wrong_rules_are_said_at_the_start(tmp_path, text, fault):
    (tmp_path / "roles.toml").write_text(text)
    with pytest.raises(LendingError, match=fault):
        RoleRules.load(str(tmp_path / "roles.toml"))


def test_incomplete_settings_are_said_at_the_start(tmp_path):
    settings = Settings.from_environment(
        {"LENDING_HOME": str(tmp_path), "LENDING_OIDC_ISSUER": "https://id.example.com"}
    )
    with pytest.raises(LendingError, match="set LENDING_OIDC_CLIENT_ID and LENDING_OIDC_CLIENT_SECRET too"):
        create_app(settings)
