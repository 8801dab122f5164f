"""Generate: closes days on demand, as `lending close` does, and follows the runs. For administrators."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from lending_pipelines.bounds import day_from
from lending_pipelines.errors import did_you_mean
from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.queries import reports as queries
from lending_pipelines.portal.views import closes, dagster_runs
from lending_pipelines.portal.views.report_form import ids_named, suggestions
from lending_pipelines.portal.web.errors import NotFound
from lending_pipelines.portal.web.forms import Posted
from lending_pipelines.portal.web.live import live
from lending_pipelines.portal.web.pages import Section, render, rendered, url

router = APIRouter(include_in_schema=False)

SECTION = Section("Generate", "/generate", "generate.run")

Runner = Annotated[Access, Depends(require("generate.run"))]

_SHOWN = 20


@router.get("/generate")
def generate(request: Request, access: Runner) -> Response:
    """The form, and the closes that were started here."""
    ended = str(access.portal.last_ended())
    return _form(request, access, {"first": ended, "last": ended}, {})


@router.post("/generate")
def start(request: Request, access: Runner, sent: Posted) -> Response:
    """Start the close, or show the form with its errors."""
    managers = _managers(access)
    first, last, faults = _days(sent, access.portal.last_ended())
    manager = sent.get("manager", "").strip()
    if manager:
        ids = ids_named(manager, managers)
        if len(ids) == 1:
            manager = ids[0]
        else:
            known = ids or {*managers, *managers.values()} - {""}
            faults["manager"] = f"no single manager is named {manager!r}; {did_you_mean(manager, known)}"
    if first is None or last is None or faults:
        return _form(request, access, sent, faults)
    once = sent.get("once", "")
    close_id = once if re.fullmatch(r"[0-9a-f]{32}", once) else uuid4().hex
    force = sent.get("force") == "true"
    try:
        started = closes.start(
            access.portal.settings, close_id, access.person.username, first, last, manager, force=force
        )
    except closes.CloseRefused as error:
        return _form(request, access, sent, {"": str(error)})
    access.audit("allowed", resource=f"close {first} to {last}", reason="forced" if force else "started")
    return RedirectResponse(url(request, f"/generate/{started.close_id}"), 303)


@router.get("/generate/{close_id}")
def follow(request: Request, access: Runner, close_id: str) -> Response:
    """A close that was started here. The part of the page that changes is updated until the close has ended."""
    return render(request, "generate_close.html", close=_found(access, close_id))


@router.get("/generate/{close_id}/events")
def events(request: Request, access: Runner, close_id: str) -> Response:
    """The part of the page that changes, as events: the runs with their steps, and what the command printed."""
    _found(access, close_id)

    def look() -> tuple[str, bool]:
        found = _found(access, close_id)
        return rendered(request, "generate_progress.html", **_progress(access, found)), found.status != "running"

    return live(look)


def _progress(access: Access, found: closes.StartedClose) -> dict[str, Any]:
    settings = access.portal.settings
    runs = [
        {"progress": each, "link": dagster_runs.link(settings, each.run.run_id)}
        for each in dagster_runs.of_process(settings, found.process)
    ]
    return {"close": found, "runs": runs}


def _form(request: Request, access: Access, values: Mapping[str, str], faults: dict[str, str]) -> Response:
    days = access.lake.days()
    return render(
        request,
        "generate.html",
        422 if faults else 200,
        values={"manager": "", "force": "", **values},
        faults=faults,
        once=uuid4().hex,
        managers=suggestions(_managers(access)),
        closed=(days[0], days[-1]) if days else None,
        last_ended=access.portal.last_ended(),
        closes=closes.recent(access.portal.settings, _SHOWN),
    )


def _days(sent: Mapping[str, str], ended: date) -> tuple[date | None, date | None, dict[str, str]]:
    """The days of the form, and its faults."""
    faults: dict[str, str] = {}
    days: dict[str, date | None] = {"first": None, "last": None}
    for name in days:
        try:
            days[name] = day_from(sent.get(name, ""))
        except ValueError:
            faults[name] = "write a date like 2025-03-31"
    first, last = days["first"], days["last"]
    if first and last and first > last:
        faults["last"] = f"the last day {last} is before the first day {first}"
    elif last and last > ended:
        faults["last"] = f"{last} has not ended: the last day that has ended is {ended}"
    return first, last, faults


def _managers(access: Access) -> dict[str, str]:
    if not access.lake.has("manager_snapshots"):
        return {}
    return {row["id"]: row["name"] for row in access.lake.rows(queries.manager_names)}


def _found(access: Access, close_id: str) -> closes.StartedClose:
    found = closes.find(access.portal.settings, close_id)
    if found is None:
        raise NotFound("There is no such close.")
    return found
