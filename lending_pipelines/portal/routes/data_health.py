"""Data health: how fresh each table is, failed checks, the last runs, and reported days that changed since."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.queries import data_health as queries
from lending_pipelines.portal.views import dagster_runs
from lending_pipelines.portal.views.close_state import close_state
from lending_pipelines.portal.web.pages import Section, render
from lending_pipelines.tables import DERIVED, SERVICING

router = APIRouter(include_in_schema=False)

SECTION = Section("Data health", "/data-health", "data_health.read")

Reader = Annotated[Access, Depends(require("data_health.read"))]

_RUNS = 25
_RESTATED = "restatements.restatement_due"
"""The subject of the finding on closed days that differ from what is known now."""


@router.get("/data-health")
def data_health(request: Request, access: Reader) -> Response:
    """The page. The browser loads the part with the runs afterwards."""
    state = close_state(access, lender_wide=access.lender_wide)
    restated = [each for each in state.findings if each.subject == _RESTATED]
    checks = [each for each in state.findings if each.subject != _RESTATED]
    return render(
        request,
        "data_health.html",
        state=state,
        findings=checks,
        restated=restated,
        daily=_daily(access),
        servicing=_servicing(access),
    )


@router.get("/data-health/runs")
def runs(request: Request, access: Reader) -> Response:
    """The last runs, with links into Dagster."""
    settings = access.portal.settings
    rows = [
        {
            "run_id": run.run_id,
            "job": run.job,
            "days": run.first if run.first == run.last else f"{run.first} to {run.last}",
            "status": run.status,
            "started_at": run.started_at,
            "seconds": run.seconds,
            "link": dagster_runs.link(settings, run.run_id),
        }
        for run in dagster_runs.recent(settings, _RUNS)
    ]
    return render(request, "data_health_runs.html", rows=rows, linked=bool(settings.ui_url))


def _daily(access: Access) -> list[dict[str, Any]]:
    """The daily tables: the last day, when it was made, and whether it is the last one that has ended."""
    ended = access.portal.last_ended()
    lake = access.lake
    made = {row["table_name"]: row for row in lake.rows(queries.last_days)} if lake.has("closed_days") else {}
    rows = []
    for name in (name for name, table in DERIVED.items() if table.daily):
        found = made.get(name, {})
        last: date | None = found.get("last")
        rows.append(
            {
                "table": name,
                "about": DERIVED[name].description,
                "last": last,
                "closed_at": found.get("closed_at"),
                "days": found.get("days"),
                "thinned": found.get("thinned"),
                "behind": (ended - last).days if last else None,
                "state": "not made" if last is None else "fresh" if last >= ended else "stale",
            }
        )
    return rows


def _servicing(access: Access) -> list[dict[str, Any]]:
    """The servicing tables: when the last sync that changed them was, and the last posting that they have."""
    rows = []
    for name, table in SERVICING.items():
        found: dict[str, Any] = {}
        if access.lake.has(name):
            query = queries.posted_until if table.watermark == "posted_at" else queries.size
            found = dict(access.lake.row(query, name) or {})
        rows.append(
            {
                "table": name,
                "about": table.description,
                "changed_at": access.lake.written_at(name),
                "posted_until": found.get("posted_until"),
                "rows": found.get("rows"),
                "state": "synced" if access.lake.has(name) else "never synced",
            }
        )
    return rows
