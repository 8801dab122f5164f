"""Today: whether last night's close is good, what needs action, and what changed."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.queries import today as queries
from lending_pipelines.portal.scope import Grant
from lending_pipelines.portal.scoped_register import covered_alerts
from lending_pipelines.portal.views.close_state import close_state
from lending_pipelines.portal.web.errors import answer
from lending_pipelines.portal.web.pages import SECTIONS, Section, render, url

router = APIRouter(include_in_schema=False)

SECTION = Section("Today", "/today", "today.read")

_SHOWN = 12
_LEVELS = {"portfolios": "portfolio", "branches": "branch", "investors": "investor"}


@router.get("/")
def home(request: Request, access: Annotated[Access, Depends(require("home.open"))]) -> Response:
    """The first page of a person: the first section of their navigation."""
    if first := next((each for each in SECTIONS if access.may(each.action)), None):
        return RedirectResponse(url(request, first.path), 303)
    return answer(request, 404, "There is no page for your role yet.")


@router.get("/today")
def today(request: Request, access: Annotated[Access, Depends(require(SECTION.action))]) -> Response:
    """The page."""
    lake, lender_wide = access.lake, access.lender_wide
    days = {"day": lake.last_day, "before": lake.day_before or lake.last_day}
    level, changes = _changes(access, days)
    return render(
        request,
        "today.html",
        close=close_state(access, lender_wide=lender_wide),
        breaks=lake.rows(queries.breaks, day=lake.last_day) if lender_wide and lake.last_day else (),
        alerts=_alerts(access)[:_SHOWN] if access.may("alerts.read") else None,
        level=level,
        changes=changes[:_SHOWN],
        totals=lake.rows(queries.changes_of_scopes, "all", **days) if lender_wide and lake.last_day else (),
        day_before=lake.day_before,
    )


def _changes(access: Access, days: Mapping[str, Any]) -> tuple[str, Sequence[Mapping[str, Any]]]:
    """The level of the person's scope, and the numbers of that level beside those of the day before."""
    level = _level(access.grants)
    if access.lake.last_day is None:
        return level, ()
    if level == "manager":
        return level, access.lake.rows(queries.changes_of_managers, **days)
    return level, access.lake.rows(queries.changes_of_scopes, level, **days)


def _level(grants: Sequence[Grant]) -> str:
    """The level at which the sums of the close are covered by the first grant."""
    restricted = grants[0].scope.restricted
    if not restricted:
        return "portfolio"
    return _LEVELS.get(restricted[0], "manager")


def _alerts(access: Access) -> list[Any]:
    with access.reading() as session:
        return covered_alerts(session, access.grants, ("open",))
