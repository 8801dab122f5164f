"""Errors as answers: pages for people, problem+json (RFC 9457) under /api. No answer shows a traceback."""

import logging
from urllib.parse import quote, urlsplit
from uuid import uuid4

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from lending_pipelines.errors import LendingError
from lending_pipelines.portal.access import Denied, NotSignedIn
from lending_pipelines.portal.auth.rate_limits import TooOften
from lending_pipelines.portal.lake.scoped_lake import NotMade
from lending_pipelines.portal.web.pages import is_api, path_of, render, url, within_portal
from lending_pipelines.portal.web.problems import Problem, invalid, problem

_LOGGER = logging.getLogger(__name__)


class NotFound(Exception):
    """There is no such thing, or the person may not see it: both answers are the same."""


def add_error_handlers(app: FastAPI) -> None:
    """Answer the exceptions of routes."""
    app.add_exception_handler(NotSignedIn, _not_signed_in)
    app.add_exception_handler(Denied, lambda request, error: answer(request, 403, str(error)))
    app.add_exception_handler(NotFound, lambda request, error: answer(request, 404, str(error)))
    app.add_exception_handler(TooOften, _too_often)
    app.add_exception_handler(NotMade, lambda request, error: answer(request, 404, str(error)))
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(LendingError, lambda request, error: answer(request, 400, str(error)))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def answer(request: Request, status: int, text: str = "", reference: str | None = None) -> Response:
    """An error as a page, or as problem+json under /api."""
    if not is_api(request):
        context = {"status": status, "title": None, "text": text or None, "reference": reference}
        return render(request, "error.html", status, **context)
    return problem(status, text, reference=reference)


def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return (
        problem(error.status, str(error), error.errors)
        if is_api(request)
        else answer(request, error.status, str(error))
    )


def _not_signed_in(request: Request, error: Exception) -> Response:
    if is_api(request):
        response = answer(request, 401, str(error) or "send a token: Authorization: Bearer …")
        response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"' if str(error) else "Bearer"
        return response
    here = _page_of(request)
    after = f"?next={quote(here, safe='')}" if here != "/" else ""
    target = url(request, f"/sign-in{after}")
    if request.headers.get("hx-request"):
        return Response(status_code=401, headers={"HX-Redirect": target})
    return RedirectResponse(target, 303)


def _page_of(request: Request) -> str:
    """The page to come back to after the sign-in: the requested one, or that of the form that was sent."""
    if request.method == "GET":
        return path_of(request) + (f"?{request.url.query}" if request.url.query else "")
    sent_from = urlsplit(request.headers.get("referer", ""))
    if sent_from.netloc != request.url.netloc:
        return "/"
    return within_portal(request, sent_from.path) + (f"?{sent_from.query}" if sent_from.query else "")


def _too_often(request: Request, error: Exception) -> Response:
    assert isinstance(error, TooOften)
    response = answer(request, 429, str(error))
    response.headers["Retry-After"] = str(error.seconds)
    return response


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if is_api(request):
        return invalid(request, error)
    faults = [f"{'.'.join(str(part) for part in each['loc'][1:])}: {each['msg']}" for each in error.errors()]
    return answer(request, 422, "; ".join(faults))


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = answer(request, error.status_code)
    response.headers.update(error.headers or {})
    return response


def _unexpected(request: Request, error: Exception) -> Response:
    reference = uuid4().hex[:12]
    _LOGGER.error("%s %s failed (reference %s)", request.method, request.url.path, reference, exc_info=error)
    try:
        return answer(request, 500, reference=reference)
    except Exception:
        return PlainTextResponse(f"Something went wrong. Reference: {reference}", 500)
