"""The tokens of integrations: listed, made, revoked by administrators."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from lending_pipelines.portal.access import Access, Denied, require
from lending_pipelines.portal.routes.api.documented import answers, json_answer, page_of, schema_of
from lending_pipelines.portal.routes.api.idempotency import Key, id_of
from lending_pipelines.portal.web.problems import Problem, fault
from lending_pipelines.register.account_models import ApiToken
from lending_pipelines.register.accounts import Accounts
from lending_pipelines.register.api_tokens import LONGEST_DAYS, ApiTokens, TokenScope
from lending_pipelines.register.database import RegisterError

router = APIRouter(prefix="/tokens", tags=["tokens"])

Editor = Annotated[Access, Depends(require("tokens.edit"))]
TokenId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
Ids = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(min_length=1, max_length=1000)]


class NewToken(BaseModel):
    """What a token is for, and what it is limited to; without limits it may do all that its account may."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200, pattern=r"\S", description="What the token is for.")
    account: str | None = Field(None, max_length=200, description="The username it acts for; by default your own.")
    days: int = Field(90, ge=1, le=LONGEST_DAYS, description="How many days it is valid.")
    actions: list[Annotated[str, Field(max_length=100)]] = Field(
        [], max_length=100, description="What it may do, such as portfolios.read. Empty: all that the account may do."
    )
    branches: Ids | None = None
    officers: Ids | None = None
    portfolios: Ids | None = None
    investors: Ids | None = None


class TokenShown(BaseModel):
    """A token without its secret."""

    token_id: str
    name: str
    account: str
    scope: dict[str, Any]
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


class TokenMade(TokenShown):
    """A token with its secret, which is shown once."""

    token: str = Field(description="Keep it: it is not stored, and not shown again.")


_EXAMPLE = {
    "token_id": "0d5f3c",
    "name": "Data warehouse",
    "account": "warehouse",
    "scope": {"actions": ["portfolios.read"]},
    "created_at": "2025-04-01T08:00:00Z",
    "expires_at": "2025-06-30T08:00:00Z",
    "used_at": None,
    "revoked_at": None,
}


@router.get(
    "",
    summary="List the tokens of integrations",
    operation_id="list_tokens",
    response_class=Response,
    responses=answers(
        json_answer(
            "The tokens, the latest first.",
            page_of(schema_of(TokenShown)),
            {"data": [_EXAMPLE], "next": None, "previous": None},
        ),
        401,
        403,
    ),
)
def listed(access: Editor) -> Response:
    """Every token, also those that are expired or revoked. Their secrets are not stored."""
    with access.reading() as session:
        data = [_shown(token, username) for token, username in ApiTokens(session).all()]
    return JSONResponse({"data": data, "next": None, "previous": None})


@router.post(
    "",
    summary="Make a token",
    operation_id="make_token",
    status_code=201,
    response_class=Response,
    responses=answers(
        json_answer("The token.", schema_of(TokenMade), _EXAMPLE | {"token": "lending_…"}),
        400,
        401,
        403,
        409,
        422,
        status=201,
    ),
)
def make(access: Editor, sent: NewToken, key: Key = None) -> Response:
    """Makes a token for an account. Repeated with the same Idempotency-Key, it gives the same token a new secret."""
    if access.person.actions is not None or any(grant.scope.restricted for grant in access.grants):
        raise Denied("a limited token cannot make tokens: sign in")
    limits = {name: ids for name in ("branches", "officers", "portfolios", "investors") if (ids := getattr(sent, name))}
    try:
        scope = TokenScope.checked(sent.actions, limits)
    except RegisterError as error:
        raise Problem(422, str(error), [fault("actions", ", ".join(sent.actions), str(error))]) from None
    with access.register() as session:
        try:
            account = Accounts(session).get(sent.account or access.person.username)
        except RegisterError as error:
            raise Problem(422, str(error), [fault("account", sent.account, str(error))]) from None
        try:
            token, value = ApiTokens(session).create(
                account.account_id, sent.name, scope, sent.days, id_of(access, key)
            )
        except RegisterError as error:
            raise Problem(409, str(error)) from None
        access.audit(
            "allowed", resource=f"token {token.token_id} of {account.username}", reason="made", session=session
        )
        content = _shown(token, account.username) | {"token": value}
    return JSONResponse(content, 201)


@router.delete(
    "/{token_id}",
    summary="Revoke a token",
    operation_id="revoke_token",
    status_code=204,
    response_class=Response,
    responses=answers({"description": "The token no longer works."}, 401, 403, 404, 422, status=204),
)
def revoke(access: Editor, token_id: TokenId) -> Response:
    """Ends a token, and the access tokens that were made with it."""
    with access.register() as session:
        try:
            token = ApiTokens(session).revoke(token_id)
        except RegisterError as error:
            raise Problem(404, str(error)) from None
        access.audit("allowed", resource=f"token {token.token_id}", reason="revoked", session=session)
    return Response(status_code=204)


def _shown(token: ApiToken, username: str) -> dict[str, Any]:
    shown = TokenShown(
        token_id=token.token_id,
        name=token.name,
        account=username,
        scope=token.scope,
        created_at=token.created_at,
        expires_at=token.expires_at,
        used_at=token.used_at,
        revoked_at=token.revoked_at,
    )
    return shown.model_dump(mode="json")
