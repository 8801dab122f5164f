"""People: the accounts with their roles, scopes, sessions and tokens, and the audit log. Administrators edit."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.orm import Session

from lending_pipelines.bounds import day_from
from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.lake.scoped_lake import NotMade
from lending_pipelines.portal.queries import people as queries
from lending_pipelines.portal.views.role_form import Known, boxes, roles_from, sent_of
from lending_pipelines.portal.web.errors import NotFound
from lending_pipelines.portal.web.forms import Posted
from lending_pipelines.portal.web.pages import Section, render, url
from lending_pipelines.register.account_models import Account, ApiToken, AuditOutcome, LinkPurpose
from lending_pipelines.register.accounts import Accounts, RoleGiven
from lending_pipelines.register.actions import ACTIONS
from lending_pipelines.register.api_tokens import ApiTokens, TokenScope
from lending_pipelines.register.audit_log import AuditLog
from lending_pipelines.register.database import RegisterError
from lending_pipelines.register.investors import Investors
from lending_pipelines.register.portfolios import Portfolios
from lending_pipelines.register.sessions import OneTimeLinks, Sessions
from lending_pipelines.register.types import utc_now

router = APIRouter(include_in_schema=False)

SECTION = Section("People", "/people", "people.read")

Reader = Annotated[Access, Depends(require("people.read"))]
Editor = Annotated[Access, Depends(require("people.edit"))]
TokenEditor = Annotated[Access, Depends(require("tokens.edit"))]

_PAGE = 50
_OUTCOMES: tuple[AuditOutcome, ...] = get_args(AuditOutcome)


@router.get("/people")
def people(request: Request, access: Reader) -> Response:
    """The accounts."""
    now = utc_now()
    with access.reading() as session:
        accounts = Accounts(session)
        rows = [
            {
                "username": account.username,
                "name": account.name,
                "email": account.email,
                "roles": "; ".join(_role_words(each.role, each.scope) for each in accounts.roles(account.account_id)),
                "state": _state(account, now),
                "signed_in_at": account.signed_in_at,
            }
            for account in accounts.all()
        ]
    return render(request, "people.html", rows=rows, may_edit=access.may("people.edit"))


@router.get("/people/audit")
def audit_log(
    request: Request,
    access: Reader,
    account: str = "",
    action: str = "",
    outcome: str = "",
    since: str = "",
    after: Annotated[int | None, Query(ge=1, le=2**62)] = None,
) -> Response:
    """The audit log, the latest entries first."""
    day = _day(since)
    with access.reading() as session:
        found = AuditLog(session).recent(
            account=account.strip() or None,
            action=action or None,
            outcome=next((each for each in _OUTCOMES if each == outcome), None),
            since=datetime.combine(day, time.min, UTC) if day else None,
            before=after,
            limit=_PAGE + 1,
        )
        rows = [
            {
                "entry_id": each.entry_id,
                "at": each.at,
                "account": each.account,
                "action": each.action,
                "outcome": each.outcome,
                "resource": each.resource,
                "reason": each.reason,
                "scope": "; ".join(_scope_words(part) for part in each.scope or ()),
                "rows": each.rows,
                "sha256": each.sha256,
                "address": each.address,
            }
            for each in found
        ]
    return render(
        request,
        "people_audit.html",
        rows=rows[:_PAGE],
        next=rows[_PAGE - 1]["entry_id"] if len(rows) > _PAGE else None,
        query=request.query_params,
        account=account,
        action=action,
        outcome=outcome,
        since=since if day else "",
        actions=[("", "All actions"), *((each, each) for each in (*ACTIONS, "sign_in", "sign_out", "set_password"))],
    )


@router.get("/people/new")
def new(request: Request, access: Editor) -> Response:
    """The form of a new account."""
    return _form(request, access, None, {}, {})


@router.post("/people/new")
def create(request: Request, access: Editor, sent: Posted) -> Response:
    """Add an account and show the link by which its person chooses a password."""
    given, faults = _roles(access, sent)
    username, name, email = (sent.get(each, "").strip() for each in ("username", "name", "email"))
    if not username or len(username) > 100 or any(letter.isspace() for letter in username):
        faults["username"] = "write a name without spaces, of at most 100 characters"
    if email and ("@" not in email or any(letter.isspace() for letter in email)):
        faults["email"] = "write an address like erin@example.com"
    if not faults:
        try:
            with access.register() as session:
                username = Accounts(session).create(username, name or username, given, email=email or None).username
        except RegisterError as error:
            faults["username"] = str(error)
        else:
            return _link(request, access, username, "added")
    return _form(request, access, None, sent, faults)


@router.get("/people/accounts/{username}")
def person(request: Request, access: Reader, username: str) -> Response:
    """An account: its roles, sessions and what it did last."""
    with access.reading() as session:
        account = _account(session, username)
        accounts = Accounts(session)
        roles = [(each.role, each.scope) for each in accounts.roles(account.account_id)]
        return render(
            request,
            "people_person.html",
            account=account,
            state=_state(account, utc_now()),
            roles=[_role_words(role, scope) for role, scope in roles],
            tokens=[_token(token) for token, _ in ApiTokens(session).all(account.account_id)],
            may_edit_tokens=access.may("tokens.edit"),
            sessions=Sessions(session).open(account.account_id),
            entries=AuditLog(session).recent(account=account.username, limit=20),
            may_edit=access.may("people.edit"),
            own=account.account_id == access.person.account_id,
        )


@router.get("/people/accounts/{username}/roles")
def edit_roles(request: Request, access: Editor, username: str) -> Response:
    """The form of an account's roles."""
    with access.reading() as session:
        account = _account(session, username)
        sent = sent_of([(each.role, each.scope) for each in Accounts(session).roles(account.account_id)])
    return _form(request, access, account, sent, {})


@router.post("/people/accounts/{username}/roles")
def save_roles(request: Request, access: Editor, username: str, sent: Posted) -> Response:
    """Replace the roles of an account."""
    given, faults = _roles(access, sent)
    with access.reading() as session:
        account = _account(session, username)
    if account.account_id == access.person.account_id and "admin" not in {each.role for each in given}:
        faults["role-admin"] = "another administrator has to take this role from you"
    if faults:
        return _form(request, access, account, sent, faults)
    with access.register() as session:
        Accounts(session).set_roles(_account(session, username), given)
    words = "; ".join(_role_words(each.role, each.scope) for each in given)
    access.audit("allowed", resource=f"account {username}", reason=f"roles set: {words}")
    return RedirectResponse(url(request, f"/people/accounts/{username}"), 303)


@router.post("/people/accounts/{username}/invite")
def invite(request: Request, access: Editor, username: str) -> Response:
    """Show a new link by which the person chooses a password."""
    return _link(request, access, username, "link made")


@router.post("/people/accounts/{username}/disable")
def disable(request: Request, access: Editor, username: str) -> Response:
    """Forbid the account to sign in, and end its sessions."""
    with access.register() as session:
        account = _account(session, username)
        if account.account_id == access.person.account_id:
            raise RegisterError("another administrator has to disable your account")
        Accounts(session).set_active(account, False)
    return _done(request, access, username, "disabled")


@router.post("/people/accounts/{username}/enable")
def enable(request: Request, access: Editor, username: str) -> Response:
    """Allow the account to sign in again."""
    with access.register() as session:
        Accounts(session).set_active(_account(session, username), True)
    return _done(request, access, username, "enabled")


@router.post("/people/accounts/{username}/sign-out")
def sign_out(request: Request, access: Editor, username: str) -> Response:
    """End the account's sessions."""
    with access.register() as session:
        Accounts(session).end_sessions(_account(session, username))
    return _done(request, access, username, "signed out")


@router.post("/people/accounts/{username}/tokens")
def new_token(request: Request, access: TokenEditor, username: str, sent: Posted) -> Response:
    """Make a token for an integration that acts for the account, and show it once."""
    days = sent.get("days", "").strip()
    if not (days.isascii() and days.isdecimal() and len(days) < 6):
        raise RegisterError(f"the number of days is {days!r}: write a whole number")
    actions = [part.strip() for part in sent.get("actions", "").split(",") if part.strip()]
    with access.register() as session:
        account = _account(session, username)
        scope = TokenScope.checked(actions)
        token, secret = ApiTokens(session).create(account.account_id, sent.get("name", ""), scope, int(days))
    access.audit("allowed", resource=f"token {token.token_id} of {account.username}", reason="made")
    return render(request, "people_token.html", account=account, token=token, secret=secret)


@router.post("/people/accounts/{username}/tokens/{token_id}/revoke")
def revoke_token(request: Request, access: TokenEditor, username: str, token_id: str) -> Response:
    """End a token of the account."""
    with access.register() as session:
        account = _account(session, username)
        if token_id not in {token.token_id for token, _ in ApiTokens(session).all(account.account_id)}:
            raise NotFound("There is no such token.")
        ApiTokens(session).revoke(token_id)
    access.audit("allowed", resource=f"token {token_id}", reason="revoked")
    return RedirectResponse(url(request, f"/people/accounts/{username}"), 303)


def _done(request: Request, access: Access, username: str, what: str) -> Response:
    access.audit("allowed", resource=f"account {username}", reason=what)
    return RedirectResponse(url(request, f"/people/accounts/{username}"), 303)


def _link(request: Request, access: Access, username: str, what: str) -> Response:
    """The page with a new one-time link, which is shown once."""
    with access.register() as session:
        account = _account(session, username)
        purpose: LinkPurpose = "password_reset" if account.password_hash else "invitation"
        secret = OneTimeLinks(session).create(purpose, account.account_id)
    access.audit("allowed", resource=f"account {account.username}", reason=what)
    base = access.portal.settings.portal_url.rstrip("/") or str(request.base_url).rstrip("/")
    return render(request, "people_link.html", account=account, link=f"{base}/welcome/{secret}")


def _form(
    request: Request, access: Access, account: Account | None, sent: Mapping[str, str], faults: dict[str, str]
) -> Response:
    return render(
        request,
        "people_form.html",
        422 if faults else 200,
        account=account,
        values={name: sent.get(name, "") for name in ("username", "name", "email")},
        boxes=boxes(sent, _known(access), faults),
        faults=faults,
    )


def _roles(access: Access, sent: Mapping[str, str]) -> tuple[list[RoleGiven], dict[str, str]]:
    """The roles of a posted form, and its faults by field."""

    def has_borrower(borrower: str) -> bool:
        try:
            return bool(access.lake_with_borrowers.rows(queries.borrower, borrower_id=borrower))
        except NotMade:
            return True

    return roles_from(sent, _known(access), has_borrower)


def _known(access: Access) -> Known:
    """The ids that can be in scopes, with their names."""
    lake = access.lake
    known = {
        key: {row["id"]: row["name"] for row in lake.rows(query)} if lake.has(table) else {}
        for key, query, table in (("branches", queries.branches, "branches"), ("officers", queries.staff, "staff"))
    }
    with access.reading() as session:
        known["portfolios"] = {each.portfolio_id: each.name for each in Portfolios(session).all()}
        known["investors"] = {each.investor_id: each.name for each in Investors(session).all()}
    return known


def _account(session: Session, username: str) -> Account:
    account = Accounts(session).find(username)
    if account is None:
        raise NotFound("There is no such account.")
    return account


def _state(account: Account, now: datetime) -> str:
    if not account.active:
        return "disabled"
    if account.locked_until and account.locked_until > now:
        return "locked"
    return "active" if account.password_hash or account.subject else "invited"


def _token(token: ApiToken) -> dict[str, Any]:
    state = "revoked" if token.revoked_at else "expired" if token.expires_at <= utc_now() else "active"
    return {
        "token_id": token.token_id,
        "name": token.name,
        "state": state,
        "actions": ", ".join(token.scope.get("actions", ())) or "all of the account",
        "expires_at": token.expires_at,
        "used_at": token.used_at,
    }


def _role_words(role: str, scope: Mapping[str, Any]) -> str:
    """A role with its scope, such as `manager (manager S01)`."""
    parts = [f"{key} {', '.join(value) if isinstance(value, list) else value}" for key, value in scope.items()]
    return f"{role.replace('_', ' ')} ({'; '.join(parts)})" if parts else role.replace("_", " ")


def _scope_words(part: Any) -> str:
    return _role_words(part.get("role", ""), {key: value for key, value in part.items() if key != "role"})


def _day(text: str) -> date | None:
    try:
        return day_from(text)
    except ValueError:
        return None
