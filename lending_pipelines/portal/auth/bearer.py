"""Finds the account of a bearer token: a token of an integration, or an access token. Only the API accepts them."""

from typing import TYPE_CHECKING

from fastapi import Request

from lending_pipelines.portal.auth.access_tokens import TokenRefused, family_of
from lending_pipelines.register.api_tokens import PREFIX, ApiTokens, account_of_token
from lending_pipelines.register.refresh_tokens import account_of_family
from lending_pipelines.register.sessions import SignedIn
from lending_pipelines.register.types import utc_now

if TYPE_CHECKING:
    from lending_pipelines.portal.portal import Portal


def bearer_token(request: Request) -> str | None:
    """The token of the header Authorization; None without one. Raises TokenRefused for another scheme."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise TokenRefused("write the header Authorization as: Bearer, a blank, and the token")
    return token.strip()


def account_of(portal: "Portal", token: str) -> SignedIn:
    """The account of a token, with what it is limited to. Raises TokenRefused."""
    now = utc_now()
    if not token.startswith(PREFIX):
        account_id, family_id = family_of(portal.keys, portal.issuer, token)
        with portal.register.reading() as connection:
            found = account_of_family(connection, family_id, now)
        if found is None or found.account_id != account_id:
            raise TokenRefused("the token was revoked")
        return found
    with portal.register.reading() as connection:
        found = account_of_token(connection, token, now)
    if found is None:
        raise TokenRefused("the token is unknown, revoked or expired")
    if found.seen_long_ago:
        with portal.register.session() as session:
            ApiTokens(session).touch(found.credential)
    return found
