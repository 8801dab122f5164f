"""The search of all pages, a fragment for the command palette. Each part finds what its action lets the person see."""

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.lake.scoped_lake import NotMade
from lending_pipelines.portal.policy import allows
from lending_pipelines.portal.queries import search as queries
from lending_pipelines.portal.routes import loans, managers, me, portfolios, reports
from lending_pipelines.portal.views.report_rules import offer
from lending_pipelines.portal.web import filters, pages
from lending_pipelines.portal.web.pages import render
from lending_pipelines.portal.web.template_functions import filled, words
from lending_pipelines.reports.registry import get, report_types

router = APIRouter(include_in_schema=False)

Searcher = Annotated[Access, Depends(require("search.use"))]

Found = tuple[str, str, str, str]
"""The kind, title, subtitle and path of a result."""

Part = Callable[[Access, str], Iterator[Found]]
"""Finds the results of one kind for a text in lower case."""


@router.get("/search")
def search(request: Request, access: Searcher, q: filters.Text = None) -> Response:
    """The results with the text in their id, name or title that the person may open; none without a text."""
    text = (q or "").lower()
    parts = (_loans, _managers, _pages, _portfolios, _reports)
    found = [each for part in parts for each in _made(part, access, text)] if text else []
    results = [
        {"kind": kind, "title": title, "subtitle": subtitle, "url": pages.url(request, path)}
        for kind, title, subtitle, path in found
    ]
    return render(request, "search.html", results=results, q=q or "")


def _made(part: Part, access: Access, text: str) -> list[Found]:
    """The results of a part; none before its tables are made."""
    try:
        return list(part(access, text))
    except NotMade:
        return []


def _loans(access: Access, text: str) -> Iterator[Found]:
    granted = access.for_action(loans.SECTION.action)
    if granted is None or granted.lake.last_day is None:
        return
    money = access.portal.formats.money
    for row in granted.lake.rows(queries.loans, text=text, day=granted.lake.last_day):
        subtitle = f"{words(row['status'])} · {money(row['principal_outstanding'], row['currency'])}"
        yield "loan", row["loan_id"], subtitle, filled("/loans/{loan_id}", row)


def _managers(access: Access, text: str) -> Iterator[Found]:
    granted = access.for_action(managers.SECTION.action)
    if granted is None or granted.lake.last_day is None:
        return
    for row in granted.lake.rows(queries.managers, text=text, day=granted.lake.last_day):
        yield "manager", row["name"], words(row["role"] or ""), filled("/managers/{manager_id}", row)


def _portfolios(access: Access, text: str) -> Iterator[Found]:
    granted = access.for_action(portfolios.SECTION.action)
    if granted is None or granted.lake.last_day is None:
        return
    for row in granted.lake.rows(queries.portfolios, portfolios.LEVELS, text=text, day=granted.lake.last_day):
        yield "portfolio", row["name"], words(row["scope"]), filled("/portfolios/{scope}/{scope_id}", row)


def _reports(access: Access, text: str) -> Iterator[Found]:
    granted = access.for_action(reports.SECTION.action)
    if granted is None:
        return
    titles = {report_type: get(report_type).title for report_type in report_types()}
    for report_type in _having(text, titles):
        if offer(report_type, granted).allowed and granted.may("reports.request"):
            yield "report", titles[report_type], "", filled("/reports/new/{report_type}", report_type=report_type)


def _pages(access: Access, text: str) -> Iterator[Found]:
    sections = {each.path: each for each in (*pages.SECTIONS, me.PAGE) if allows(access.person, each.action)}
    for path in _having(text, {path: each.title for path, each in sections.items()}):
        yield "page", sections[path].title, "", path


def _having(text: str, titles: dict[str, str]) -> Iterable[str]:
    """The keys whose title or key contains the text, titles that begin with it first."""
    found = [key for key, title in titles.items() if text in title.lower() or text in key.lower()]
    return sorted(found, key=lambda key: (not titles[key].lower().startswith(text), titles[key]))[
        : queries.MOST_RESULTS
    ]
