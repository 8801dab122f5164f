"""Pages: the Jinja environment, what every template gets, and answers that a browser may cache.

    return render(request, "loans.html", rows=rows)

Templates get `lender`, `person`, `nav`, `theme`, `language` and `number_locale`, the filters of formats.py, and the
functions of template_functions.py, which macros know too.
"""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import BaseLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lending_pipelines.portal.policy import Action, allows
from lending_pipelines.portal.scope import NOBODY, Person
from lending_pipelines.portal.web.formats import Formats
from lending_pipelines.portal.web.fragment_cache import FragmentCache
from lending_pipelines.portal.web.template_functions import install

if TYPE_CHECKING:
    from lending_pipelines.portal.portal import Portal

THEMES = ("light", "dark")
THEME_COOKIE = "theme"


@dataclass(frozen=True)
class Section:
    """A section of the navigation. It is shown to people who may do its action."""

    title: str
    path: str
    action: Action


SECTIONS: list[Section] = []
"""The sections in order. routes/__init__.py fills it from the routes."""


def render(request: Request, template: str, status_code: int = 200, **context: Any) -> HTMLResponse:
    """The page of a template, for the person of the request."""
    return HTMLResponse(rendered(request, template, **context), status_code)


def rendered(request: Request, template: str, **context: Any) -> str:
    """The HTML of a template, for the person of the request."""
    portal: Portal = request.app.state.portal
    person: Person = getattr(request.state, "person", NOBODY)
    return _environment(portal).get_template(template).render(**_shared(request, portal, person), **context)


def json_script(value: Any) -> Markup:
    """A value as JSON in an attribute in single quotes or in a script element: it can end neither."""
    text = json.dumps(value, separators=(",", ":"), default=str)
    return Markup(text.translate({ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026", ord("'"): "\\u0027"}))


def not_modified(request: Request, etag: str) -> Response | None:
    """The answer 304 if the browser has cached what the ETag identifies; None if the page must be made."""
    known = {each.strip().removeprefix("W/").strip('"') for each in request.headers.get("if-none-match", "").split(",")}
    return Response(status_code=304, headers=cached(etag)) if etag in known else None


def cached(etag: str) -> dict[str, str]:
    """The headers of an answer that only the person's browser may cache, and must revalidate before each use."""
    return {"ETag": f'W/"{etag}"', "Cache-Control": "private, no-cache"}


def url(request: Request, path: str) -> str:
    """The path as seen by the browser, behind a proxy that serves the portal under another path."""
    portal: Portal = request.app.state.portal
    return f"{portal.root_path}{path}"


def path_of(request: Request) -> str:
    """The request's path within the portal, without the proxy's path."""
    return within_portal(request, request.url.path)


def within_portal(request: Request, path: str) -> str:
    """The path of a URL of the portal, without the proxy's path."""
    portal: Portal = request.app.state.portal
    return path.removeprefix(portal.root_path) or "/"


def is_api(request: Request) -> bool:
    """Whether the request is to the API."""
    path = path_of(request)
    return path == "/api" or path.startswith("/api/")


def environment_of(formats: Formats, root_path: str = "", loader: BaseLoader | None = None) -> Environment:
    """The environment of the templates: escaped, strict about names, with the lender's formats and the functions."""
    environment = Environment(
        loader=loader or PackageLoader("lending_pipelines.portal"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(formats.filters())
    environment.filters["json_script"] = json_script
    environment.globals["cached"] = FragmentCache()
    install(environment, root_path)
    return environment


def _environment(portal: "Portal") -> Environment:
    if portal.templates is None:
        portal.templates = environment_of(portal.formats, portal.root_path)
    return portal.templates


def _shared(request: Request, portal: "Portal", person: Person) -> Mapping[str, Any]:
    """What every template gets."""
    theme = request.cookies.get(THEME_COOKIE, "")
    signed_in = bool(person.account_id)
    return {
        "lender": {"name": portal.lender.name, "logo": _logo(portal)},
        "person": person if signed_in else None,
        "nav": _navigation(request, person) if signed_in else [],
        "theme": theme if theme in THEMES else "",
        "language": "en",
        "number_locale": portal.formats.for_charts(),
    }


def _navigation(request: Request, person: Person) -> list[dict[str, Any]]:
    """The sections that the person may open; the current one has the longest path that begins the request's."""
    here = path_of(request)
    within = [each.path for each in SECTIONS if here == each.path or here.startswith(f"{each.path}/")]
    current = max(within, key=len, default=None)
    return [
        {"title": each.title, "url": url(request, each.path), "current": each.path == current}
        for each in SECTIONS
        if allows(person, each.action)
    ]


def _logo(portal: "Portal") -> str | None:
    """The lender's logo as a data URL."""
    logo = portal.lender.logo
    if logo is None:
        return None
    kind = "svg+xml" if portal.lender.logo_format == "svg" else "png"
    return f"data:image/{kind};base64,{b64encode(logo).decode()}"
