"""The gallery's web server: its pages, a search, a stream of events, under the content policy of the portal."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined

from lending_pipelines.portal import static_files
from lending_pipelines.portal.gallery import charts, data, formats
from lending_pipelines.portal.look import install

POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
"""The strictest content policy that the pages work under."""

PAGES = (
    "components",
    "forms",
    "charts",
    "states",
    "today",
    "loans",
    "loan",
    "managers",
    "sign_in",
    "set_password",
    "error",
)
"""The pages of the gallery, each at its name."""

_HERE = Path(__file__).parent


def create_gallery() -> FastAPI:
    """The gallery as an application."""
    app = FastAPI(openapi_url=None)
    app.include_router(static_files.router)
    environment = _environment()

    @app.middleware("http")
    async def content_policy(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers["Content-Security-Policy"] = POLICY
        return response

    @app.get("/search", response_class=HTMLResponse)
    def search(q: str) -> str:
        found = [result for result in data.RESULTS if q.lower() in f"{result['title']} {result['subtitle']}".lower()]
        return environment.get_template("search.html").render(results=found[:12], q=q)

    @app.get("/events")
    async def events() -> StreamingResponse:
        return StreamingResponse(_progress(environment), media_type="text/event-stream")

    @app.get("/", response_class=HTMLResponse)
    @app.get("/{page}", response_class=HTMLResponse)
    def page(request: Request, page: str = "today") -> str:
        if page not in PAGES:
            raise HTTPException(404)
        template = environment.get_template(f"{page}.html")
        theme = request.cookies.get("theme", "system")
        return template.render(**context(page, theme), query=request.query_params, **_content(page, request))

    return app


def context(page: str, theme: str = "system") -> dict[str, Any]:
    """What every page gets: the lender, the person, the sections, the theme."""
    sections = [
        {"title": title, "url": url, "current": url == f"/{page}", "count": 4 if title == "Alerts" else None}
        for title, url in data.SECTIONS
    ]
    signed_in = None if page in ("sign_in", "set_password") else data.PERSON
    return {"lender": data.LENDER, "person": signed_in, "nav": sections, "theme": theme}


def _environment() -> Environment:
    folders = [_HERE / "templates", _HERE.parent / "templates"]
    loader = ChoiceLoader([FileSystemLoader(folder) for folder in folders])
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(formats.FILTERS)
    install(environment)
    return environment


def _content(page: str, request: Request) -> dict[str, Any]:
    if page == "loans":
        return data.loans(request.query_params)
    if page == "charts":
        return {"charts": charts.charts()}
    if page == "error":
        return {"status": 500, "reference": "9f2c-41"}
    names = ("today", "loan", "managers", "components")
    content: dict[str, Any] = getattr(data, page)() if page in names else {}
    return content | ({"charts": charts.charts()} if page in names else {})


async def _progress(environment: Environment) -> AsyncIterator[str]:
    macro = environment.from_string(
        '{% from "components/data.html" import progress %}{{ progress("Closing 28 Nov", done, note=done ~ " %") }}'
    )
    for done in range(0, 101, 25):
        text = macro.render(done=done).replace("\n", " ")
        yield f"event: progress\ndata: {text}\n\n"
        await asyncio.sleep(0.1)
    yield "event: done\ndata: done\n\n"
