"""The password and the sessions of the person who is signed in."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from lending_pipelines.portal.access import Access, cookie_name, is_secure, require
from lending_pipelines.portal.auth.rate_limits import SIGN_INS_OF_AN_ACCOUNT
from lending_pipelines.portal.auth.security import address
from lending_pipelines.portal.web.pages import Section, render, url
from lending_pipelines.register.accounts import Accounts
from lending_pipelines.register.passwords import LONGEST, PasswordRefused, hash_password, matches
from lending_pipelines.register.sessions import Sessions, hashed

router = APIRouter(include_in_schema=False)

PAGE = Section("Password and sessions", "/me", "self.edit")
"""Not a section of the navigation: it is in the menu of the account."""

Self = Annotated[Access, Depends(require(PAGE.action))]
Password = Annotated[str, Form(max_length=LONGEST + 1)]


@router.get("/me")
def me(request: Request, access: Self) -> Response:
    """The page."""
    return _page(request, access, {})


@router.post("/me/password")
def change_password(request: Request, access: Self, current: Password, new: Password, again: Password) -> Response:
    """Change the password. All sessions end, and this browser gets a new one."""
    access.portal.limits.hit(SIGN_INS_OF_AN_ACCOUNT, "attempts", access.person.username)
    with access.register() as session:
        accounts = Accounts(session)
        account = accounts.get(access.person.username)
        faults = {}
        if not matches(current, account.password_hash):
            faults["current"] = "this is not your password"
        if new != again:
            faults["again"] = "write the new password twice"
        if not faults:
            try:
                accounts.set_password_hash(account, hash_password(new, account.username))
            except PasswordRefused as error:
                faults["new"] = str(error)
        if not faults:
            browser = request.headers.get("user-agent", "")
            cookie = Sessions(session).start(account.account_id, address(request), browser)
    if faults:
        access.audit("failed", action="set_password", reason="; ".join(sorted(faults)))
        return _page(request, access, faults)
    access.audit("allowed", action="set_password")
    response = RedirectResponse(url(request, "/me"), 303)
    response.set_cookie(cookie_name(request), cookie, secure=is_secure(request), httponly=True, samesite="lax")
    return response


@router.post("/me/sessions")
def end_others(request: Request, access: Self) -> Response:
    """End the other sessions."""
    with access.register() as session:
        ended = Sessions(session).end_others(access.person.account_id, _cookie(request))
    access.audit("allowed", reason=f"{ended} other sessions ended")
    return RedirectResponse(url(request, "/me"), 303)


def _page(request: Request, access: Access, faults: dict[str, str]) -> Response:
    with access.reading() as session:
        account = Accounts(session).get(access.person.username)
        sessions = Sessions(session).open(account.account_id)
        here = hashed(_cookie(request))
        rows = [
            {
                "address": each.address,
                "browser": each.browser,
                "created_at": each.created_at,
                "seen_at": each.seen_at,
                "state": "this browser" if each.session_hash == here else "open",
            }
            for each in sessions
        ]
        return render(
            request,
            "me.html",
            422 if faults else 200,
            account=account,
            sessions=rows,
            faults=faults,
            has_password=account.password_hash is not None,
        )


def _cookie(request: Request) -> str:
    return request.cookies.get(cookie_name(request), "")
