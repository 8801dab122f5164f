"""Signing in by OpenID Connect: discovery, the code flow with PKCE, the ID token, and the roles that its claims give.

What happens to the account is in sign_in.py; the pages are in routes/oidc.py.
"""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import jwt
from authlib.integrations.httpx_client import OAuth2Client
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lending_pipelines.bounds import Name, read_toml
from lending_pipelines.errors import LendingError, first_of
from lending_pipelines.register.accounts import RoleGiven
from lending_pipelines.register.sessions import secret
from lending_pipelines.settings import Settings

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
"""The accepted signature algorithms of ID tokens: neither those with a shared secret, nor `none`."""

_SCOPE = "openid profile email"
_KEPT_SECONDS = 3600
"""The seconds for which the provider's documents are cached."""
_TIMEOUT = 10.0
_CLAIMS = ["iss", "sub", "aud", "exp", "iat"]


class OidcRefused(Exception):
    """The provider's answer is not accepted. The message is for the audit log."""


@dataclass(frozen=True)
class Attempt:
    """A sign-in that was sent to the provider. A cookie keeps it until the provider sends the browser back."""

    state: str
    nonce: str
    verifier: str
    after: str

    @classmethod
    def new(cls, after: str) -> "Attempt":
        """A new attempt; `after` is the path to open after the sign-in."""
        return cls(secret(), secret(), secret(), after)

    def as_text(self) -> str:
        """The value of the cookie."""
        return json.dumps([self.state, self.nonce, self.verifier, self.after])

    @classmethod
    def of(cls, text: str) -> "Attempt | None":
        """The attempt of a cookie; None if it is damaged."""
        try:
            parts = json.loads(text)
        except ValueError:
            return None
        is_whole = isinstance(parts, list) and len(parts) == 4 and all(isinstance(each, str) and each for each in parts)
        return cls(*parts) if is_whole else None


@dataclass(frozen=True)
class Identity:
    """The person as the provider identifies them. `email` is None unless the provider has verified it."""

    subject: str
    username: str
    name: str
    email: str | None
    claims: Mapping[str, Any]


class RoleRule(BaseModel):
    """A value of the claim, and the role that it gives. `{name}` in its scope is the claim of that name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: Name
    role: Name
    scope: dict[Name, Any] = {}

    def given(self, claims: Mapping[str, Any]) -> RoleGiven:
        """The role with the scope of these claims. Raises OidcRefused when a claim is missing."""
        try:
            return RoleGiven.checked(self.role, {key: _filled(value, claims) for key, value in self.scope.items()})
        except (KeyError, LendingError) as error:
            raise OidcRefused(f"the scope of the role {self.role} cannot be filled from the claims: {error}") from error


class RoleRules(BaseModel):
    """How the claims give roles: the name of the claim, which holds a text or a list of texts, and the rules."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_alias=True)

    claim: Name = "roles"
    rules: tuple[RoleRule, ...] = Field(alias="rule")

    @classmethod
    def load(cls, file: str) -> "RoleRules":
        """The rules of a TOML file. Raises LendingError that names the fault."""
        content = read_toml(file, "the file LENDING_OIDC_ROLES")
        try:
            found = cls.model_validate(content)
        except ValidationError as error:
            faults = first_of([f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()])
            raise LendingError(
                f"LENDING_OIDC_ROLES: {file}: write tables [[rule]] with value and role; missing or wrong: {faults}"
            ) from error
        for rule in found.rules:
            RoleGiven.checked(rule.role, rule.scope)
        return found

    def roles(self, claims: Mapping[str, Any]) -> list[RoleGiven]:
        """The roles that the claims give; of several rules for one role the first applies."""
        found = claims.get(self.claim, [])
        values = [found] if isinstance(found, str) else found if isinstance(found, list) else []
        given: dict[str, RoleGiven] = {}
        for rule in self.rules:
            if rule.value in values and rule.role not in given:
                given[rule.role] = rule.given(claims)
        return list(given.values())


class Provider:
    """The provider of the settings. Its configuration and keys are read when they are first needed."""

    def __init__(self, settings: Settings) -> None:
        """Raises LendingError when the settings are incomplete or the rules of roles are wrong."""
        missing = [
            name
            for name, value in (
                ("LENDING_OIDC_CLIENT_ID", settings.oidc_client_id),
                ("LENDING_OIDC_CLIENT_SECRET", settings.oidc_client_secret),
            )
            if not value
        ]
        if missing:
            raise LendingError(f"LENDING_OIDC_ISSUER is set: set {' and '.join(missing)} too")
        self._issuer = settings.oidc_issuer
        self._client_id, self._client_secret = settings.oidc_client_id, settings.oidc_client_secret
        self.rules = RoleRules.load(settings.oidc_roles_file) if settings.oidc_roles_file else None
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, Any]] = {}

    def address(self, attempt: Attempt, redirect_uri: str) -> str:
        """The address of the provider's sign-in page. Raises OidcRefused when the provider cannot be reached."""
        with self._client(redirect_uri) as client:
            address, _ = client.create_authorization_url(
                self._endpoint("authorization_endpoint"),
                state=attempt.state,
                code_verifier=attempt.verifier,
                nonce=attempt.nonce,
            )
        return str(address)

    def identity(self, attempt: Attempt, code: str, redirect_uri: str) -> Identity:
        """The person who signed in, by the code that the provider returned. Raises OidcRefused."""
        try:
            with self._client(redirect_uri) as client:
                token = client.fetch_token(
                    self._endpoint("token_endpoint"),
                    code=code,
                    code_verifier=attempt.verifier,
                    grant_type="authorization_code",
                )
        except OidcRefused:
            raise
        except Exception as error:
            raise OidcRefused(f"the provider gives no token for the code: {error}") from error
        if "id_token" not in token:
            raise OidcRefused("the provider gives no token for the code")
        claims = self._claims(str(token["id_token"]))
        if claims.get("nonce") != attempt.nonce:
            raise OidcRefused("the ID token belongs to another sign-in: its nonce differs")
        email = str(claims["email"]) if claims.get("email") and claims.get("email_verified") is True else None
        username = str(claims.get("preferred_username") or claims.get("email") or claims["sub"])
        return Identity(f"{self._issuer} {claims['sub']}", username, str(claims.get("name") or username), email, claims)

    def _client(self, redirect_uri: str) -> OAuth2Client:
        return OAuth2Client(
            self._client_id,
            self._client_secret,
            scope=_SCOPE,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            timeout=_TIMEOUT,
        )

    def _claims(self, id_token: str) -> dict[str, Any]:
        """The claims of an ID token: signed by the provider, for this client, and valid now."""
        try:
            header = jwt.get_unverified_header(id_token)
            return jwt.decode(
                id_token,
                self._key(header.get("kid")),
                algorithms=ALGORITHMS,
                audience=self._client_id,
                issuer=self._issuer,
                leeway=30,
                options={"require": _CLAIMS},
            )
        except (jwt.PyJWTError, ValueError) as error:
            raise OidcRefused(f"the ID token is not accepted: {error}") from error

    def _key(self, kid: str | None) -> jwt.PyJWK:
        """The provider's key of that id. For an unknown id, the keys are read again: there may be a new one."""
        for again in (False, True):
            keys = jwt.PyJWKSet.from_dict(self._read(self._endpoint("jwks_uri"), again)).keys
            found = [key for key in keys if key.key_id == kid] if kid is not None else keys
            if len(found) == 1:
                return found[0]
        raise OidcRefused(f"the provider has no key {kid!r}")

    def _endpoint(self, name: str) -> str:
        """An address in the provider's configuration. Raises OidcRefused when the configuration lacks it."""
        address = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        configuration = self._read(address)
        if configuration.get("issuer") != self._issuer:
            raise OidcRefused(f"{address} names the issuer {configuration.get('issuer')!r}, not {self._issuer!r}")
        if not isinstance(configuration.get(name), str):
            raise OidcRefused(f"{address} has no {name}")
        return str(configuration[name])

    def _read(self, address: str, again: bool = False) -> dict[str, Any]:
        """A JSON document of the provider, which is kept for an hour."""
        with self._lock:
            at, document = self._kept.get(address, (0.0, None))
            if document is None or again or time.monotonic() - at > _KEPT_SECONDS:
                try:
                    answer = httpx2.get(address, timeout=_TIMEOUT)
                    answer.raise_for_status()
                    document = answer.json()
                except (httpx2.HTTPError, ValueError) as error:
                    raise OidcRefused(f"{address} cannot be read: {error}") from error
                self._kept[address] = (time.monotonic(), document)
        return dict(document)


def _filled(value: Any, claims: Mapping[str, Any]) -> Any:
    """A value of a scope with claims in the place of their names in braces. Raises KeyError for a missing claim."""
    if isinstance(value, list):
        return [_filled(each, claims) for each in value]
    if isinstance(value, str) and value.startswith("{") and value.endswith("}"):
        return claims[value[1:-1]]
    return value
