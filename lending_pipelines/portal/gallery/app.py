"""The gallery's web server: its pages, a search, a stream of events, under the content policy of the portal."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from jinja2 import ChoiceLoader, Environment, FileSystemLoader

from lending_pipelines.portal.auth.security import SecurityHeaders
from lending_pipelines.portal.gallery import charts, data
from lending_pipelines.portal.web.formats import Formats
from lending_pipelines.portal.web.pages import environment_of
from lending_pipelines.portal.web.static_files import static_response

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
    app.add_middleware(SecurityHeaders)
    loader = ChoiceLoader([FileSystemLoader(folder) for folder in (_HERE / "templates", _HERE.parent / "templates")])
    formats = Formats("en", "UTC")
    environment = environment_of(formats, loader=loader)

    @app.get("/static/{version}/{name}")
    def static(request: Request, version: str, name: str) -> Response:
        response = static_response(version, name, request.headers.get("accept-encoding", ""))
        return response or Response(status_code=404)

    @app.get("/search", response_class=HTMLResponse)
    def search(q: str) -> str:
        found = [result for result in data.RESULTS if q.lower() in f"{result['title']} {result['subtitle']}".lower()]
        return environment.get_template("search.html").render(results=found[:12], q=q)

    @app.get("/events")
    async def events() -> StreamingResponse:
        return StreamingResponse(_progress(environment), media_type="text/event-stream")

    @app.get("/alerts/events")
    def alerts() -> Response:
        return Response("retry: 60000\n\n", media_type="text/event-stream")

    @app.get("/", response_class=HTMLResponse)
    @app.get("/{page}", response_class=HTMLResponse)
    def page(request: Request, page: str = "today") -> str:
        if page not in PAGES:
            raise HTTPException(404)
        template = environment.get_template(f"{page}.html")
        theme = request.cookies.get("theme", "system")
        return template.render(**context(page, theme, formats), query=request.query_params, **_content(page, request))

    return app


def context(page: str, theme: str, formats: Formats) -> dict[str, Any]:
    """What every page gets: the lender, the person, the sections, the theme."""
    sections = [
        {"title": title, "url": url, "current": url == f"/{page}", "count": 4 if title == "Alerts" else None}
        for title, url in data.SECTIONS
    ]
    signed_in = None if page in ("sign_in", "set_password") else data.PERSON
    return {
        "lender": data.LENDER,
        "person": signed_in,
        "nav": sections,
        "theme": theme,
        "number_locale": formats.for_charts(),
    }


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
