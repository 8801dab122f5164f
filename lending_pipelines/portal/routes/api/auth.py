"""Access tokens and the refresh tokens that go with them: made, renewed, revoked."""

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Depends, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.auth.access_tokens import VALID, access_token
from lending_pipelines.portal.auth.rate_limits import SIGN_INS_OF_AN_ACCOUNT, SIGN_INS_OF_AN_ADDRESS
from lending_pipelines.portal.auth.security import address
from lending_pipelines.portal.auth.sign_in import SignInRefused, password_account
from lending_pipelines.portal.routes.api.documented import answers, json_answer, schema_of
from lending_pipelines.portal.web.problems import Problem
from lending_pipelines.register.accounts import Accounts
from lending_pipelines.register.api_tokens import account_of_token
from lending_pipelines.register.audit_log import AuditLog
from lending_pipelines.register.passwords import LONGEST
from lending_pipelines.register.refresh_tokens import UNUSED_VALID, Refreshed, RefreshRefused, RefreshTokens
from lending_pipelines.register.types import new_id, utc_now

router = APIRouter(prefix="/auth", tags=["auth"])

Public = Annotated[Access, Depends(require("public"))]
Secret = Annotated[str, Field(min_length=1, max_length=500)]

_REFUSED = "The credentials are wrong, revoked or expired."


class _Grant(BaseModel):
    """The base of the request bodies: unknown fields are rejected."""

    model_config = ConfigDict(extra="forbid")


class ByToken(_Grant):
    """The token of an integration."""

    grant_type: Literal["api_token"]
    token: Secret


class ByPassword(_Grant):
    """The username, or email, and the password of an account."""

    grant_type: Literal["password"]
    username: str = Field(min_length=1, max_length=200)
    password: str = Field(min_length=1, max_length=LONGEST)


class ByRefresh(_Grant):
    """A refresh token, which works once."""

    grant_type: Literal["refresh_token"]
    refresh_token: Secret


class Revocation(_Grant):
    """The refresh token whose family ends."""

    refresh_token: Secret


class Tokens(BaseModel):
    """An access token, and the refresh token for the next one."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int = Field(description="Seconds.")
    refresh_token: str
    refresh_expires_in: int = Field(description="Seconds; at most 30 days after the first token of the family.")


Grant = Annotated[ByToken | ByPassword | ByRefresh, Body(discriminator="grant_type")]

_EXAMPLE = Tokens(access_token="eyJ…", expires_in=900, refresh_token="rK3…", refresh_expires_in=604_800).model_dump()


@router.post(
    "/token",
    summary="Get an access token",
    operation_id="get_access_token",
    response_class=Response,
    responses=answers(json_answer("The tokens.", schema_of(Tokens), _EXAMPLE), 400, 401, 422, 429),
)
def get_token(request: Request, access: Public, grant: Grant) -> Response:
    """Takes the token of an integration, a password, or a refresh token, which is used up and replaced.

    A refresh token that is used twice ends its family: all tokens that came from the same sign-in.
    """
    access.portal.limits.hit(SIGN_INS_OF_AN_ADDRESS, "sign-ins", address(request))
    if isinstance(grant, ByPassword):
        access.portal.limits.hit(SIGN_INS_OF_AN_ACCOUNT, "sign-ins", grant.username.strip().casefold())
    refused: Exception
    # A refusal is counted and recorded, so the transaction is committed in any case.
    with access.register() as session:
        try:
            found = _begun(access, session, grant)
        except (SignInRefused, RefreshRefused) as error:
            refused = error
            who = grant.username if isinstance(grant, ByPassword) else "nobody"
            _audit(session, request, who, "failed", f"{grant.grant_type}: {error}")
        else:
            return _tokens(request, access, session, found, grant.grant_type)
    raise Problem(401, _REFUSED) from refused


@router.post(
    "/revoke",
    summary="End a family of tokens",
    operation_id="revoke_tokens",
    status_code=204,
    response_class=Response,
    responses=answers({"description": "The refresh token and its family no longer work."}, 400, 422, 429, status=204),
)
def revoke(request: Request, access: Public, sent: Revocation) -> Response:
    """Ends the family of a refresh token: its refresh tokens and access tokens. Unknown tokens are over already."""
    access.portal.limits.hit(SIGN_INS_OF_AN_ADDRESS, "sign-ins", address(request))
    with access.register() as session:
        account_id = RefreshTokens(session).revoke(sent.refresh_token)
        if account_id is not None and (account := Accounts(session).by_id(account_id)):
            _audit(session, request, account.username, "allowed", "family revoked")
    return Response(status_code=204)


def _begun(access: Access, session: Session, grant: ByToken | ByPassword | ByRefresh) -> Refreshed:
    """The family with its next refresh token. Raises SignInRefused or RefreshRefused."""
    tokens = RefreshTokens(session)
    if isinstance(grant, ByRefresh):
        return tokens.use(grant.refresh_token)
    if isinstance(grant, ByPassword):
        account = password_account(session, grant.username, grant.password, utc_now())
        return tokens.begin(account.account_id, {})
    found = account_of_token(session.connection(), grant.token, utc_now())
    if found is None:
        raise SignInRefused("the token is unknown, revoked or expired")
    return tokens.begin(found.account_id, found.token_scope or {}, found.credential)


def _tokens(request: Request, access: Access, session: Session, found: Refreshed, how: str) -> Response:
    """The response with a new access token and the next refresh token. It is recorded in the audit log."""
    account = Accounts(session).by_id(found.family.account_id)
    assert account is not None
    now, jti = utc_now(), new_id()
    family = found.family
    value = access_token(access.portal.keys, access.portal.issuer, account.account_id, family.family_id, jti, now)
    _audit(session, request, account.username, "allowed", how)
    made = Tokens(
        access_token=value,
        expires_in=int(VALID.total_seconds()),
        refresh_token=found.token,
        refresh_expires_in=int(min(UNUSED_VALID, family.expires_at - now).total_seconds()),
    )
    return JSONResponse(made.model_dump())


def _audit(session: Session, request: Request, who: str, outcome: Literal["allowed", "failed"], reason: str) -> None:
    AuditLog(session).add(
        who, "sign_in", outcome, address=address(request), resource=str(request.url.path), reason=reason
    )
