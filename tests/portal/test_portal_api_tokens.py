"""Tokens of integrations, access tokens and refresh tokens: what they allow, and everything that is refused."""

import base64
import json
import os
import stat
from datetime import timedelta

import jwt
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from people import PASSWORD, People

from lending_pipelines.portal.auth.access_tokens import AUDIENCE, access_token
from lending_pipelines.portal.auth.signing_keys import KeysUnusable, SigningKeys
from lending_pipelines.register import Accounts, ApiTokens, AuditLog, TokenScope
from lending_pipelines.register.account_models import ApiToken, RefreshToken, TokenFamily
from lending_pipelines.register.types import utc_now
from lending_pipelines.settings import Settings

API = "/api/v1"


@pytest.fixture
def nobody(app, people: People):
    app.state.portal.limits.reset()
    return people.nobody()


@pytest.fixture
def make(portal_home):
    """Makes a token of an account."""

    def make(username="auditor", days=30, actions=(), **limits):
        with portal_home.register() as session:
            account = Accounts(session).get(username)
            return ApiTokens(session).create(account.account_id, "test", TokenScope.checked(actions, limits), days)

    return make


def bearer(value):
    return {"authorization": f"Bearer {value}"}


def granted(browser, **grant):
    answer = browser.post(f"{API}/auth/token", json=grant)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refreshed(browser, grant):
    """The answer to the refresh token of a grant."""
    sent = {"grant_type": "refresh_token", "refresh_token": grant["refresh_token"]}
    return browser.post(f"{API}/auth/token", json=sent)


def test_a_token_acts_for_its_account_and_is_stored_as_a_hash(nobody, make, portal_home):
    token, value = make()
    assert nobody.get(f"{API}/trial-balance", headers=bearer(value)).status_code == 200
    with portal_home.register() as session:
        stored = session.get(ApiToken, token.token_id)
        assert value not in str(vars(stored))
    # Pages are for people.
    assert nobody.get("/today", headers=bearer(value)).status_code == 303


def test_a_token_never_allows_more_than_its_account_or_its_scope(nobody, make, book):
    _, limited = make(actions=["portfolios.read"])
    assert nobody.get(f"{API}/snapshots", headers=bearer(limited)).status_code == 200
    denied = nobody.get(f"{API}/trial-balance", headers=bearer(limited))
    assert (denied.status_code, denied.json()["detail"]) == (403, "the token does not allow ledger.read")
    # A token for an action that the account's role does not have.
    _, more = make("officer", actions=["ledger.read"])
    assert nobody.get(f"{API}/trial-balance", headers=bearer(more)).status_code == 403
    # Of a branch only, although the auditor sees all.
    branch = book.last[0]["branch_id"]
    _, one = make(branches=[branch])
    rows = nobody.get(f"{API}/positions?limit=1000", headers=bearer(one)).json()["data"]
    assert {row["loan_id"] for row in rows} == {row["loan_id"] for row in book.last if row["branch_id"] == branch}
    # The team of a manager, as far as it is within the limits: nobody.
    _, none = make("manager", officers=[book.officer])
    assert nobody.get(f"{API}/positions", headers=bearer(none)).json()["data"] == []


def test_a_revoked_an_expired_and_a_disabled_accounts_token_are_refused(nobody, make, portal_home):
    token, value = make()
    with portal_home.register() as session:
        ApiTokens(session).revoke(token.token_id)
    assert nobody.get(f"{API}/snapshots", headers=bearer(value)).status_code == 401
    token, value = make()
    with portal_home.register() as session:
        session.get(ApiToken, token.token_id).expires_at = utc_now() - timedelta(seconds=1)
    assert nobody.get(f"{API}/snapshots", headers=bearer(value)).status_code == 401
    _, value = make("controller")
    with portal_home.register() as session:
        Accounts(session).set_active(Accounts(session).get("controller"), False)
    try:
        assert nobody.get(f"{API}/snapshots", headers=bearer(value)).status_code == 401
    finally:
        with portal_home.register() as session:
            Accounts(session).set_active(Accounts(session).get("controller"), True)


@pytest.mark.parametrize("header", ["Bearer", "Bearer nothing", "Basic YTpi", "lending_x", "Bearer a.b.c"])
def test_a_wrong_header_is_refused_and_says_why(nobody, header):
    answer = nobody.get(f"{API}/snapshots", headers={"authorization": header})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert "token" in answer.json()["detail"]


def test_administrators_make_list_and_revoke_tokens(people: People, nobody, portal_home):
    admin = people.sign_in("admin")
    sent = {"name": "Warehouse", "account": "auditor", "days": 7, "actions": ["portfolios.read"]}
    made = admin.post(f"{API}/tokens", json=sent, headers={"idempotency-key": "one"})
    assert made.status_code == 201, made.text
    # Repeated, because the answer was lost: one token, with a new secret.
    again = admin.post(f"{API}/tokens", json=sent, headers={"idempotency-key": "one"}).json()
    assert again["token_id"] == made.json()["token_id"]
    assert nobody.get(f"{API}/snapshots", headers=bearer(made.json()["token"])).status_code == 401
    assert nobody.get(f"{API}/snapshots", headers=bearer(again["token"])).status_code == 200
    assert [each["name"] for each in admin.get(f"{API}/tokens").json()["data"]].count("Warehouse") == 1
    assert (
        admin.post(
            f"{API}/tokens", json=sent | {"days": 8, "name": "x"}, headers={"idempotency-key": "one"}
        ).status_code
        == 409
    )
    assert admin.delete(f"{API}/tokens/{again['token_id']}").status_code == 204
    assert nobody.get(f"{API}/snapshots", headers=bearer(again["token"])).status_code == 401
    wrong = admin.post(f"{API}/tokens", json=sent | {"actions": ["portfolio.read"]})
    assert wrong.status_code == 422
    assert "did you mean 'portfolios.read'" in wrong.text
    assert people.sign_in("auditor").post(f"{API}/tokens", json=sent).status_code == 403


def test_a_limited_token_makes_no_tokens(nobody, make):
    _, value = make("admin", actions=["tokens.edit"])
    answer = nobody.post(f"{API}/tokens", json={"name": "more"}, headers=bearer(value))
    assert answer.status_code == 403


def test_an_access_token_comes_from_a_password_a_token_and_a_refresh_token(nobody, make):
    first = granted(nobody, grant_type="password", username="auditor", password=PASSWORD)
    assert nobody.get(f"{API}/snapshots", headers=bearer(first["access_token"])).status_code == 200
    _, value = make(actions=["portfolios.read"])
    second = granted(nobody, grant_type="api_token", token=value)
    assert nobody.get(f"{API}/snapshots", headers=bearer(second["access_token"])).status_code == 200
    assert nobody.get(f"{API}/trial-balance", headers=bearer(second["access_token"])).status_code == 403
    third = granted(nobody, grant_type="refresh_token", refresh_token=second["refresh_token"])
    assert nobody.get(f"{API}/snapshots", headers=bearer(third["access_token"])).status_code == 200
    assert nobody.get(f"{API}/trial-balance", headers=bearer(third["access_token"])).status_code == 403


def test_a_refresh_token_that_is_used_twice_ends_its_family(nobody, portal_home):
    first = granted(nobody, grant_type="password", username="auditor", password=PASSWORD)
    second = granted(nobody, grant_type="refresh_token", refresh_token=first["refresh_token"])
    stolen = nobody.post(
        f"{API}/auth/token", json={"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    )
    assert stolen.status_code == 401
    for grant in (first, second):
        assert nobody.get(f"{API}/snapshots", headers=bearer(grant["access_token"])).status_code == 401
    assert (
        nobody.post(
            f"{API}/auth/token", json={"grant_type": "refresh_token", "refresh_token": second["refresh_token"]}
        ).status_code
        == 401
    )
    with portal_home.register() as session:
        entries = AuditLog(session).recent(action="sign_in", outcome="failed", limit=5)
    assert any("used before" in entry.reason for entry in entries)


def test_a_family_ends_when_it_is_revoked_or_its_token_is(nobody, make, portal_home):
    grant = granted(nobody, grant_type="password", username="auditor", password=PASSWORD)
    assert nobody.post(f"{API}/auth/revoke", json={"refresh_token": grant["refresh_token"]}).status_code == 204
    assert nobody.get(f"{API}/snapshots", headers=bearer(grant["access_token"])).status_code == 401
    token, value = make()
    grant = granted(nobody, grant_type="api_token", token=value)
    with portal_home.register() as session:
        ApiTokens(session).revoke(token.token_id)
    assert nobody.get(f"{API}/snapshots", headers=bearer(grant["access_token"])).status_code == 401
    assert refreshed(nobody, grant).status_code == 401


def test_an_expired_refresh_token_is_refused(nobody, portal_home):
    grant = granted(nobody, grant_type="password", username="auditor", password=PASSWORD)
    with portal_home.register() as session:
        session.execute(sa.update(RefreshToken).values(expires_at=utc_now() - timedelta(seconds=1)))
    assert refreshed(nobody, grant).status_code == 401


@pytest.mark.parametrize(
    "grant",
    [
        {"grant_type": "password", "username": "auditor", "password": "wrong"},
        {"grant_type": "password", "username": "nobody", "password": PASSWORD},
        {"grant_type": "api_token", "token": "lending_x"},
        {"grant_type": "refresh_token", "refresh_token": "x"},
    ],
)
def test_wrong_credentials_get_the_same_answer(nobody, grant):
    answer = nobody.post(f"{API}/auth/token", json=grant)
    assert (answer.status_code, answer.json()["detail"]) == (401, "The credentials are wrong, revoked or expired.")


@pytest.fixture
def family(portal_home):
    with portal_home.register() as session:
        account = Accounts(session).get("auditor")
        found = TokenFamily(account_id=account.account_id, scope={}, expires_at=utc_now() + timedelta(days=1))
        session.add(found)
        session.flush()
        return found


@pytest.fixture
def forge(app, family):
    """Makes an access token with other claims, header, key or algorithm; without any, a right one."""
    keys = app.state.portal.keys
    kid, private = keys.signing()

    def forge(key=private, algorithm="EdDSA", header=None, **claims):
        now = utc_now()
        right = {"iss": "lending-portal", "aud": AUDIENCE, "sub": family.account_id, "fam": family.family_id}
        right |= {"jti": "1", "iat": now, "nbf": now, "exp": now + timedelta(minutes=5)}
        kept = {name: value for name, value in (right | claims).items() if value is not None}
        return jwt.encode(kept, key, algorithm, headers={"kid": kid, "typ": "at+jwt"} | (header or {}))

    return forge


def test_the_right_token_is_taken_within_the_clock_skew(nobody, forge):
    for changed in ({}, {"exp": utc_now() - timedelta(seconds=10)}, {"nbf": utc_now() + timedelta(seconds=10)}):
        assert nobody.get(f"{API}/snapshots", headers=bearer(forge(**changed))).status_code == 200, changed


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": [AUDIENCE, "another"]},
        {"iss": "another"},
        {"sub": "another"},
        {"fam": "another"},
        {"exp": 1_000_000_000},
        {"nbf": 4_000_000_000},
        *({name: None} for name in ("exp", "iat", "nbf", "iss", "aud", "sub", "fam", "jti")),
    ],
)
def test_a_token_with_a_wrong_or_missing_claim_is_refused(nobody, forge, claims):
    assert nobody.get(f"{API}/snapshots", headers=bearer(forge(**claims))).status_code == 401


def test_another_key_an_unknown_kid_and_another_type_are_refused(nobody, forge):
    assert nobody.get(f"{API}/snapshots", headers=bearer(forge(key=Ed25519PrivateKey.generate()))).status_code == 401
    assert nobody.get(f"{API}/snapshots", headers=bearer(forge(header={"kid": "../x"}))).status_code == 401
    assert nobody.get(f"{API}/snapshots", headers=bearer(forge(header={"typ": "JWT"}))).status_code == 401


def test_confused_algorithms_are_refused(app, nobody, forge):
    """`none`, and HS256 with the public key as the secret: what a verifier that trusts the header takes."""
    kid, private = app.state.portal.keys.signing()
    right = forge()
    assert nobody.get(f"{API}/snapshots", headers=bearer(right)).status_code == 200
    payload = right.split(".")[1]

    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    for algorithm in ("none", "None", "NONE"):
        unsigned = f"{part({'alg': algorithm, 'kid': kid, 'typ': 'at+jwt'})}.{payload}."
        assert nobody.get(f"{API}/snapshots", headers=bearer(unsigned)).status_code == 401
    import hashlib
    import hmac

    raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (raw, pem, b""):
        signed = f"{part({'alg': 'HS256', 'kid': kid, 'typ': 'at+jwt'})}.{payload}"
        mac = base64.urlsafe_b64encode(hmac.new(secret, signed.encode(), hashlib.sha256).digest()).decode().rstrip("=")
        assert nobody.get(f"{API}/snapshots", headers=bearer(f"{signed}.{mac}")).status_code == 401
    # One changed letter of the signature.
    head, _, mac = right.rpartition(".")
    changed = mac[:5] + ("A" if mac[5] != "A" else "B") + mac[6:]
    assert nobody.get(f"{API}/snapshots", headers=bearer(f"{head}.{changed}")).status_code == 401


@pytest.fixture
def keys(tmp_path):
    return SigningKeys(Settings.from_environment({"LENDING_HOME": str(tmp_path)}))


def test_keys_are_made_once_and_kept_from_others(keys, tmp_path):
    kid, _ = keys.signing()
    file = tmp_path / "portal_keys.pem"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["portal_keys.pem"]
    assert SigningKeys(Settings.from_environment({"LENDING_HOME": str(tmp_path)})).signing()[0] == kid
    file.chmod(0o644)
    with pytest.raises(KeysUnusable, match="chmod 600"):
        keys.signing()


def test_a_rotated_key_verifies_until_the_next_rotation(keys, tmp_path):
    other = SigningKeys(Settings.from_environment({"LENDING_HOME": str(tmp_path)}))
    first, _ = keys.signing()
    second = other.rotate()
    # The process that did not rotate sees it.
    assert keys.signing()[0] == second != first
    assert keys.verifying(first) is not None
    other.rotate()
    assert keys.verifying(first) is None
    assert stat.S_IMODE((tmp_path / "portal_keys.pem").stat().st_mode) == 0o600


def test_keys_come_from_a_setting_too(keys, tmp_path):
    keys.signing()
    file = tmp_path / "secret.pem"
    file.write_bytes((tmp_path / "portal_keys.pem").read_bytes())
    given = SigningKeys(Settings.from_environment({"LENDING_HOME": "elsewhere", "LENDING_PORTAL_KEYS": str(file)}))
    assert given.signing()[0] == keys.signing()[0]
    with pytest.raises(KeysUnusable, match="LENDING_PORTAL_KEYS"):
        given.rotate()
    file.write_text("nothing")
    os.utime(file, (1, 1))
    with pytest.raises(KeysUnusable, match="no private key"):
        given.signing()


def test_two_tokens_of_a_moment_differ(keys):
    now = utc_now()
    assert len({access_token(keys, "i", "a", "f", jti, now) for jti in "ab"}) == 2
