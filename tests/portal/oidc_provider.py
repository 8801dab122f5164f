"""An OpenID Connect provider on loopback: discovery, keys, the code flow with PKCE, and ID tokens, true or forged."""

import base64
import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import uuid4

import uvicorn
from fastapi import FastAPI, Form, Header, Request
from fastapi.responses import JSONResponse, RedirectResponse
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from servers import free_port

CLIENT_ID, CLIENT_SECRET = "portal", "a/secret:of the client"


@cache
def first_key() -> RSAKey:
    """The key of every new provider: to make one takes long."""
    return RSAKey.generate_key(2048, {"kid": "one"})


@dataclass
class OidcProvider:
    """The provider. `person` has the claims of who signs in; `forged` replaces claims of the ID token."""

    issuer: str
    person: dict[str, Any]
    forged: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    signs_with: RSAKey = field(default_factory=first_key)
    published: list[RSAKey] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.published = [self.signs_with]

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/.well-known/openid-configuration")
        def configuration() -> dict[str, Any]:
            return {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
            }

        @app.get("/keys")
        def keys() -> dict[str, Any]:
            self.asked.append("keys")
            return KeySet(self.published).as_dict(private=False)

        @app.get("/authorize")
        def authorize(request: Request) -> RedirectResponse:
            asked = dict(request.query_params)
            assert asked["client_id"] == CLIENT_ID
            assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
            assert "openid" in asked["scope"].split()
            code = uuid4().hex
            self.codes[code] = asked
            return RedirectResponse(
                f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}", 302
            )

        @app.post("/token")
        def token(
            code: Annotated[str, Form()],
            redirect_uri: Annotated[str, Form()],
            code_verifier: Annotated[str, Form()],
            grant_type: Annotated[str, Form()],
            authorization: Annotated[str, Header()],
        ) -> Any:
            asked = self.codes.pop(code, None)
            challenge = base64.urlsafe_b64encode(hashlib.sha256(code_verifier.encode()).digest()).decode().rstrip("=")
            client = base64.b64decode(authorization.removeprefix("Basic ")).decode()
            if (
                asked is None
                or grant_type != "authorization_code"
                or client != f"{CLIENT_ID}:{CLIENT_SECRET}"
                or asked["redirect_uri"] != redirect_uri
                or asked["code_challenge"] != challenge
            ):
                return JSONResponse({"error": "invalid_grant"}, 400)
            now = int(time.time())
            claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
            claims |= self.person | self.forged
            header = {"alg": "RS256", "kid": self.signs_with.kid} | self.header
            id_token = jwt.encode(header, {k: v for k, v in claims.items() if v is not None}, self.signs_with)
            return {"access_token": uuid4().hex, "token_type": "Bearer", "id_token": id_token}

        return app


@contextmanager
def oidc_provider(**person: Any) -> Iterator[OidcProvider]:
    """A running provider."""
    port = free_port()
    provider = OidcProvider(f"http://127.0.0.1:{port}", {"sub": "1", **person})
    server = uvicorn.Server(uvicorn.Config(provider.app(), port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        yield provider
    finally:
        server.should_exit = True
        thread.join(timeout=20)
