"""Today: whether last night's close is good, what needs action, and what changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from lending_pipelines.close_summary import Finding, missing_days, ordered, tape_summary
from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.errors import answer
from lending_pipelines.portal.pages import Section, render, url
from lending_pipelines.portal.queries import today as queries
from lending_pipelines.portal.scope import Grant
from lending_pipelines.portal.scoped_register import covered_alerts
from lending_pipelines.register.close_summaries import CloseSummaries

router = APIRouter(include_in_schema=False)

SECTION = Section("Today", "/", "today.read")

_SHOWN = 12
_LEVELS = {"portfolios": "portfolio", "branches": "branch", "investors": "investor"}


@dataclass(frozen=True)
class CloseState:
    """Whether the last close is good: `verdict` is good, warnings or failed; findings are errors first."""

    verdict: str
    day: date | None
    made_at: datetime | None
    findings: Sequence[Finding]


@router.get("/")
def home(request: Request, access: Annotated[Access, Depends(require("home.open"))]) -> Response:
    """The first page of a person: the first section of their navigation."""
    if access.may(SECTION.action):
        return RedirectResponse(url(request, "/today"), 303)
    return answer(request, 404, "There is no page for your role yet.")


@router.get("/today")
def today(request: Request, access: Annotated[Access, Depends(require(SECTION.action))]) -> Response:
    """The page."""
    lender_wide = any(not grant.scope.restricted for grant in access.grants)
    lake = access.lake
    days = {"day": lake.last_day, "before": lake.day_before or lake.last_day}
    level, changes = _changes(access, days)
    return render(
        request,
        "today.html",
        close=_close_state(access, lender_wide),
        breaks=lake.rows(queries.breaks, day=lake.last_day) if lender_wide and lake.last_day else (),
        alerts=_alerts(access)[:_SHOWN] if access.may("alerts.read") else None,
        level=level,
        changes=changes[:_SHOWN],
        totals=lake.rows(queries.changes_of_scopes, "all", **days) if lender_wide and lake.last_day else (),
        day_before=lake.day_before,
    )


def _changes(access: Access, days: Mapping[str, Any]) -> tuple[str, Sequence[Mapping[str, Any]]]:
    """What is compared with the day before, and the numbers: of the level that the person's scope is made of."""
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


def _close_state(access: Access, lender_wide: bool) -> CloseState:
    """The state of the close: what it recorded itself, and what has become late since."""
    lake, portal = access.lake, access.portal
    now = datetime.now(UTC).astimezone(ZoneInfo(portal.settings.timezone))
    yesterday = now.date() - timedelta(days=1)
    findings = missing_days(lake.days(), yesterday)
    with access.reading() as session:
        made = CloseSummaries(session).latest()
    if lender_wide:
        tapes, _ = tape_summary(portal.register, lake.last_day)
        recorded = [Finding(**each) for each in made.findings] if made else []
        findings += [
            each for each in recorded if each.subject != "closed days" and not each.subject.startswith("tape ")
        ]
        findings += tapes
    severities = {each.severity for each in findings}
    verdict = "failed" if "error" in severities else "warnings" if "warning" in severities else "good"
    return CloseState(verdict, lake.last_day, made.made_at if made else None, ordered(findings))
