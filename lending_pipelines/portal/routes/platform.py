"""Platform: users, loans, tickets, payments, wallets, and revenue by day and month, for administrators."""

from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from lending_pipelines.bounds import day_from
from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.queries import platform as queries
from lending_pipelines.portal.views import platform_view
from lending_pipelines.portal.web.fragment_cache import key_of
from lending_pipelines.portal.web.pages import Section, render

router = APIRouter(include_in_schema=False)

SECTION = Section("Platform", "/platform", "platform.read")

Reader = Annotated[Access, Depends(require("platform.read"))]

RANGES = {"30": "30 days", "90": "90 days", "365": "12 months", "all": "All days"}
"""The ranges that can be chosen, by their number of days."""

_DAYS_SHOWN = 60


@router.get("/platform")
def platform(
    request: Request, access: Reader, range: str = "90", to: str = "", asset: str = "", segment: str = ""
) -> Response:
    """The page."""
    lake = access.lake
    closed = lake.days("platform_activity")
    if not closed:
        return render(request, "platform.html", overview=None, query=request.query_params)
    last = _closed(closed, to)
    chosen = range if range in RANGES else "90"
    first = closed[0] if chosen == "all" else max(closed[0], last - timedelta(days=int(chosen) - 1))
    activity = lake.rows(queries.activity, first=first, last=last)
    segments = [row["segment"] for row in lake.rows(queries.segments)] if lake.has("users") else []
    segment = segment if segment in segments else ""
    every = platform_view.daily(access, first, last, segment, "")
    assets = platform_view.assets(activity, every)
    asset = asset if asset in assets else ""
    days = [row for row in every if asset in ("", row["currency"])]
    return render(
        request,
        "platform.html",
        key=key_of(request, lake),
        overview=platform_view.overview(access, activity, last, segment, asset),
        charts=platform_view.charts(days, activity, segment),
        days=sorted(days, key=lambda row: row["business_date"], reverse=True)[:_DAYS_SHOWN],
        months=platform_view.monthly(days),
        first=first,
        last=last,
        range=chosen,
        ranges=list(RANGES.items()),
        asset=asset,
        assets=assets,
        segment=segment,
        segments=segments,
        query=request.query_params,
    )


def _closed(closed: tuple[date, ...], text: str) -> date:
    """The last closed day up to the date in the text, or the first closed day; the last one if it is not a date."""
    try:
        wanted = day_from(text)
    except ValueError:
        return closed[-1]
    return max((day for day in closed if day <= wanted), default=closed[0])
