"""Signing in by OpenID Connect: to the provider, and back."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from lending_pipelines.portal.access import Access, is_secure, require
from lending_pipelines.portal.auth.oidc import Attempt, OidcRefused, Provider
from lending_pipelines.portal.auth.rate_limits import SIGN_INS_OF_AN_ADDRESS
from lending_pipelines.portal.auth.security import address, safe_path
from lending_pipelines.portal.auth.sign_in import SignInRefused, oidc_account
from lending_pipelines.portal.routes.sign_in import sign_in_form, signed_in
from lending_pipelines.portal.web.errors import NotFound
from lending_pipelines.register.audit_log import AuditLog

router = APIRouter(include_in_schema=False)

Public = Annotated[Access, Depends(require("public"))]

_REFUSED = "You could not be signed in. Ask your administrator whether you have an account."
_UNREACHABLE = "The sign-in service cannot be reached. Try again in a minute."
_MINUTES = 10


@router.get("/sign-in/oidc")
def to_provider(request: Request, access: Public, next: str | None = None) -> Response:
    """Send the browser to the provider."""
    provider = _provider(access)
    access.portal.limits.hit(SIGN_INS_OF_AN_ADDRESS, "sign-ins", address(request))
    attempt = Attempt.new(safe_path(next))
    try:
        response = RedirectResponse(provider.address(attempt, _callback(request, access)), 303)
    except OidcRefused as error:
        return _refused(request, access, str(error), _UNREACHABLE, 503)
    response.set_cookie(
        _cookie(request),
        attempt.as_text(),
        max_age=60 * _MINUTES,
        secure=is_secure(request),
        httponly=True,
        samesite="lax",
    )
    return response


@router.get("/sign-in/oidc/callback")
def from_provider(request: Request, access: Public, state: str = "", code: str = "", error: str = "") -> Response:
    """Identify the person whom the provider sends back, and start a session."""
    provider = _provider(access)
    attempt = Attempt.of(request.cookies.get(_cookie(request), ""))
    if attempt is None or not state or attempt.state != state:
        return _refused(request, access, "the answer of the provider belongs to no sign-in of this browser")
    if error or not code:
        return _refused(request, access, f"the provider refuses: {error[:200] or 'it sends no code'}")
    try:
        identity = provider.identity(attempt, code, _callback(request, access))
        with access.register() as session:
            account = oidc_account(session, identity, provider.rules)
            response = signed_in(request, session, account, safe_path(attempt.after))
    except (OidcRefused, SignInRefused) as refused:
        return _refused(request, access, str(refused))
    response.delete_cookie(_cookie(request), secure=is_secure(request), httponly=True, samesite="lax")
    return response


def _provider(access: Access) -> Provider:
    if access.portal.oidc is None:
        raise NotFound
    return access.portal.oidc


def _callback(request: Request, access: Access) -> str:
    """The address to which the provider sends the browser back. It is registered with the provider."""
    base = access.portal.settings.portal_url.rstrip("/")
    return f"{base}/sign-in/oidc/callback" if base else f"{request.base_url}sign-in/oidc/callback"


def _cookie(request: Request) -> str:
    return "__Host-lending-oidc" if is_secure(request) else "lending-oidc"


def _refused(request: Request, access: Access, reason: str, shown: str = _REFUSED, status_code: int = 401) -> Response:
    """The sign-in page with an error, and the reason in the audit log."""
    with access.register() as session:
        AuditLog(session).add("oidc", "sign_in", "failed", address=address(request), reason=reason)
    return sign_in_form(request, access, "/", status_code, error=shown)
