"""Signing in and out, and choosing a password by a one-time link."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.orm import Session

from lending_pipelines.portal.access import Access, cookie_name, is_secure, require
from lending_pipelines.portal.auth.rate_limits import SIGN_INS_OF_AN_ACCOUNT, SIGN_INS_OF_AN_ADDRESS
from lending_pipelines.portal.auth.security import address, safe_path
from lending_pipelines.portal.auth.sign_in import SignInRefused, choose_password, link_account, password_account
from lending_pipelines.portal.web.pages import render, url
from lending_pipelines.register.account_models import Account
from lending_pipelines.register.audit_log import AuditLog
from lending_pipelines.register.passwords import LONGEST, PasswordRefused
from lending_pipelines.register.sessions import OneTimeLinks, Sessions
from lending_pipelines.register.types import utc_now

router = APIRouter(include_in_schema=False)

Public = Annotated[Access, Depends(require("public"))]
Name = Annotated[str, Form(max_length=200)]
Password = Annotated[str, Form(max_length=LONGEST)]
Next = Annotated[str | None, Form(alias="next", max_length=2000)]

_REFUSED = "The name or the password is wrong. After several attempts, wait 15 minutes."
_USED = "This link was used already or is too old. Ask your administrator for a new one."


@router.get("/sign-in")
def sign_in_page(request: Request, access: Public, next: str | None = None) -> Response:
    """The form."""
    if access.person.account_id:
        return RedirectResponse(url(request, safe_path(next)), 303)
    return sign_in_form(request, access, safe_path(next))


@router.post("/sign-in")
def sign_in(request: Request, access: Public, name: Name, password: Password, after: Next = None) -> Response:
    """Check the password and start a session; the previous session ends, against session fixation."""
    access.portal.limits.hit(SIGN_INS_OF_AN_ADDRESS, "sign-ins", address(request))
    access.portal.limits.hit(SIGN_INS_OF_AN_ACCOUNT, "sign-ins", name.strip().casefold())
    refused: SignInRefused | None = None
    with access.register() as session:
        try:
            account = password_account(session, name, password, utc_now())
        except SignInRefused as error:
            refused = error
        else:
            return signed_in(request, session, account, safe_path(after))
        AuditLog(session).add(name, "sign_in", "failed", address=address(request), reason=str(refused))
    return sign_in_form(request, access, safe_path(after), 401, name=name, error=_REFUSED)


@router.post("/sign-out")
def sign_out(request: Request, access: Public) -> Response:
    """End the session."""
    response = RedirectResponse(url(request, "/sign-in"), 303)
    if cookie := request.cookies.get(cookie_name(request)):
        with access.register() as session:
            Sessions(session).end(cookie)
            if access.person.account_id:
                AuditLog(session).add(access.person.username, "sign_out", "allowed", address=address(request))
        response.delete_cookie(cookie_name(request), secure=is_secure(request), httponly=True, samesite="lax")
    return response


@router.get("/welcome/{link}")
def welcome(request: Request, access: Public, link: str) -> Response:
    """The form of a one-time link. Opening the link does not use it, because mail programs open links too."""
    with access.reading() as session:
        found = OneTimeLinks(session).find(link)
        name = link_account(session, found) if found else None
    if found is None:
        return _used(request)
    return render(request, "set_password.html", name=name, error=None)


@router.post("/welcome/{link}")
def set_password(request: Request, access: Public, link: str, password: Password) -> Response:
    """Use the link, set the password and sign in."""
    access.portal.limits.hit(SIGN_INS_OF_AN_ADDRESS, "sign-ins", address(request))
    try:
        with access.register() as session:
            account = choose_password(session, link, password)
            if account is not None:
                AuditLog(session).add(account.username, "set_password", "allowed", address=address(request))
                return signed_in(request, session, account, "/")
    except PasswordRefused as error:
        with access.reading() as session:
            found = OneTimeLinks(session).find(link)
            name = link_account(session, found) if found else None
        return render(request, "set_password.html", 422, name=name, error=str(error))
    return _used(request)


def sign_in_form(request: Request, access: Access, after: str, status_code: int = 200, **shown: str) -> Response:
    """The page with the form."""
    settings = access.portal.settings
    after_oidc = f"{url(request, '/sign-in/oidc')}?next={quote(after, safe='')}"
    providers = ((settings.oidc_name, after_oidc),) if settings.oidc_issuer else ()
    context = {"name": "", "error": None, "providers": providers, **shown}
    return render(request, "sign_in.html", status_code, next=after, **context)


def _used(request: Request) -> Response:
    """The page of a link that does not work."""
    context = {"status": 404, "title": "This link no longer works", "text": _USED, "reference": None}
    return render(request, "error.html", 404, **context)


def signed_in(request: Request, session: Session, account: Account, path: str) -> Response:
    """Start a session of the account, and redirect to the path."""
    sessions = Sessions(session)
    if before := request.cookies.get(cookie_name(request)):
        sessions.end(before)
    value = sessions.start(account.account_id, address(request), request.headers.get("user-agent", ""))
    AuditLog(session).add(account.username, "sign_in", "allowed", address=address(request))
    response = RedirectResponse(url(request, path), 303)
    response.set_cookie(cookie_name(request), value, secure=is_secure(request), httponly=True, samesite="lax")
    return response
