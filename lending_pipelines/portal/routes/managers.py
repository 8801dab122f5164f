"""Managers: loan officers and team leaders by health, one of them with history and alerts, and downloads of days."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.lake.scoped_lake import ScopedLake
from lending_pipelines.portal.queries import managers as queries
from lending_pipelines.portal.queries.names import names
from lending_pipelines.portal.scoped_register import covered_alerts, unresolved_of_managers
from lending_pipelines.portal.web import filters
from lending_pipelines.portal.web.errors import NotFound
from lending_pipelines.portal.web.figures import figure
from lending_pipelines.portal.web.fragment_cache import key_of
from lending_pipelines.portal.web.pages import Section, render
from lending_pipelines.portal.web.table_exports import FORMATS, rows_as_file
from lending_pipelines.portal.web.template_functions import words
from lending_pipelines.register.alert_models import Alert
from lending_pipelines.reports.book import Chart
from lending_pipelines.reports.columns import lake_columns
from lending_pipelines.reports.types.manager_performance import DAYS
from lending_pipelines.tables.derived import HEALTH_CATEGORIES

router = APIRouter(include_in_schema=False)

SECTION = Section("Managers", "/managers", "managers.read")
Reader = Annotated[Access, Depends(require(SECTION.action))]

PARTS = ("collection", "default", "growth", "yield")
"""The parts of the health score, in the order of their weights."""

RATES = {
    "collection": "collection_rate",
    "default": "default_rate",
    "growth": "growth_rate",
    "yield": "portfolio_yield",
}
"""The rate from which each part is computed."""

_CHARTS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "score": ("Health score and its parts", "Points of 100", ("health_score", *(f"{part}_score" for part in PARTS))),
    "par": ("Portfolio at risk", "Share of the balance that is 30 and 90 days late", ("par_30", "par_90")),
    "balance": ("Balance", "Principal outstanding", ("total_outstanding",)),
}
"""The charts by name: title, note and columns of manager_snapshots."""

RANGES = {"30": 30, "90": 90, "365": 365}
_RANGE = "30"

SORTED = ("name", "health_score", "active_loans", "active_clients", "total_outstanding", "par_30", "par_90")

PAGE_ROWS = 50
"""The number of managers on a page."""

_TREND_DAYS = 30


@router.get("/managers")
def managers(
    request: Request,
    access: Reader,
    q: filters.Text = None,
    category: filters.Text = None,
    role: filters.Text = None,
    branch: filters.Text = None,
    currency: filters.Text = None,
    sort: filters.Text = None,
    after: filters.Cursor = None,
) -> Response:
    """A page of the managers of the last day that match, and how many of all that match are in each category."""
    lake = access.lake
    order = filters.sort_of(sort, SORTED, "-health_score", ("name", "manager_id", "currency"))
    others = filters.given(role=role, branch=branch, currency=currency, search=q.lower() if q else None)
    wanted = filters.given(**others, category=category)
    branches = names(lake, "branch")
    context: dict[str, Any] = {"rows": []}
    if lake.last_day is not None:
        page = lake.page(
            queries.matching,
            tuple(wanted),
            sort=order,
            cursor=after or None,
            size=PAGE_ROWS,
            day=lake.last_day,
            before=lake.day_before or lake.last_day,
            **wanted,
        )
        counts = lake.rows(queries.counted, tuple(others), day=lake.last_day, **others)
        choices = lake.rows(queries.choices, day=lake.last_day)
        context = {
            "rows": _shown(access, page.rows, lake.last_day, branches),
            "page": page,
            "counts": _by_category(counts),
            "total": sum(row["managers"] for row in counts),
            "found": sum(row["managers"] for row in counts if category in (None, row["health_category"])),
            "roles": sorted({row["role"] for row in choices}),
            "currencies": sorted({row["currency"] for row in choices}),
        }
    return render(
        request,
        "managers.html",
        key=f"{key_of(request, lake)} {[row['alerts'] for row in context['rows']]}",
        query=request.query_params,
        sort=order.text,
        day=lake.last_day,
        branches=branches,
        first=min(lake.days("manager_snapshots"), default=None),
        **context,
    )


@router.get("/managers/export")
def export(
    access: Reader,
    first: filters.Day = None,
    last: filters.Day = None,
    manager: filters.Text = None,
    role: filters.Text = None,
    branch: filters.Text = None,
    format: filters.Text = None,
) -> Response:
    """The managers' numbers of a range of days as a file: a row per manager, currency and closed day."""
    lake = access.lake
    output_format = filters.one_of("format", format, FORMATS, "csv")
    if lake.last_day is None:
        raise NotFound("No day is closed yet.")
    until = last or lake.last_day
    since = first or filters.range_start(lake.days("manager_snapshots"), until, _TREND_DAYS)
    if since > until:
        raise filters.BadFilter(f"first is {since}, after last, {until}: write an earlier day")
    wanted = filters.given(manager_id=manager, role=role, branch_id=branch)
    about = {"First day": f"{since}", "Last day": f"{until}", **{name: str(value) for name, value in wanted.items()}}
    with lake.batches(queries.days, tuple(wanted), first=since, last=until, **wanted) as reader:
        return rows_as_file(access, reader, DAYS, output_format, f"managers_{since}_{until}", "Managers by day", about)


@router.get("/managers/{manager_id}")
def manager(
    request: Request, access: Reader, manager_id: str, currency: filters.Text = None, days: filters.Text = None
) -> Response:
    """One manager: the parts of the score beside the branch and an earlier day, trends, history, team and alerts."""
    lake = access.lake
    rows, row, since = _chosen(lake, manager_id, currency, days)
    earlier = filters.in_currency(lake.rows(queries.one, manager_id=manager_id, day=since), row["currency"])
    branch = None
    if row["branch_id"] is not None:
        branch = lake.row(queries.branch, branch_id=row["branch_id"], currency=row["currency"], day=lake.last_day)
    history = lake.rows(queries.history, manager_id=manager_id, currency=row["currency"], since=since)
    team = lake.rows(queries.team, manager_id=manager_id, day=lake.last_day)
    return render(
        request,
        "manager.html",
        query=request.query_params,
        day=lake.last_day,
        since=since,
        row=row,
        currencies=[each["currency"] for each in rows],
        ranges=RANGES,
        number=RANGES[days or _RANGE],
        parts=_parts(row, branch, earlier, access.portal.conventions.health_weights),
        compared=_compared(row, branch, earlier),
        earlier=earlier,
        branch=branch,
        branches=names(lake, "branch"),
        history=history[::-1],
        team=[each for each in team if each["currency"] == row["currency"]],
        alerts=_alerts(access, manager_id, row["currency"]),
    )


@router.get("/managers/{manager_id}/charts/{chart}")
def chart(
    request: Request,
    access: Reader,
    manager_id: str,
    chart: str,
    currency: filters.Text = None,
    days: filters.Text = None,
) -> Response:
    """One chart of a manager, as a part of the page that loads after it."""
    lake = access.lake
    title, note, names_drawn = _CHARTS[filters.found("chart", chart, _CHARTS)]
    _, row, since = _chosen(lake, manager_id, currency, days)
    history = lake.result(queries.history, manager_id=manager_id, currency=row["currency"], since=since)
    title = f"{title}, {row['currency']}" if chart == "balance" else title
    drawn = Chart(title, title, "line", "business_date", names_drawn)
    columns = lake_columns("manager_snapshots", "business_date", *names_drawn)
    return render(request, "figure.html", chart=figure(history, drawn, columns), note=note)


def _chosen(
    lake: ScopedLake, manager_id: str, currency: str | None, days: str | None
) -> tuple[Sequence[Mapping[str, Any]], Mapping[str, Any], date]:
    """The snapshots of the last day, the one in the currency, and the first day of the range. Raises NotFound."""
    number = RANGES[filters.one_of("days", days, RANGES, _RANGE)]
    rows = lake.rows(queries.one, manager_id=manager_id, day=lake.last_day) if lake.last_day else ()
    row = filters.in_currency(rows, currency)
    if row is None or lake.last_day is None:
        raise NotFound("There is no such manager with loans, or you may not see them.")
    return rows, row, filters.range_start(lake.days("manager_snapshots"), lake.last_day, number)


def _alerts(access: Access, manager_id: str, currency: str) -> list[Alert]:
    """The alerts about a manager."""
    with access.reading() as session:
        found = covered_alerts(session, access.grants, subject=manager_id)
        return [alert for alert in found if (alert.subject_kind, alert.currency) == ("manager", currency)]


def _shown(
    access: Access, rows: Sequence[Mapping[str, Any]], day: date, branches: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The rows of a page with role and branch in words, the scores of the last days, and the number of open alerts."""
    lake = access.lake
    since = filters.range_start(lake.days("manager_snapshots"), day, _TREND_DAYS)
    scores = {(row["manager_id"], row["currency"]): row["scores"] for row in lake.rows(queries.trends, since=since)}
    with access.reading() as session:
        alerts = unresolved_of_managers(session, access.grants, [row["manager_id"] for row in rows])
    return [
        {
            **row,
            "about": ", ".join(filter(None, (words(row["role"]), branches.get(row["branch_id"], row["branch_id"])))),
            "trend": scores.get(key, []),
            "alerts": alerts.get(key, 0),
        }
        for row in rows
        for key in [(row["manager_id"], row["currency"])]
    ]


def _by_category(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """The number of managers by category, the healthiest first."""
    found = {row["health_category"]: row["managers"] for row in rows}
    return {name: found.get(name, 0) for name in reversed(HEALTH_CATEGORIES)}


def _parts(
    row: Mapping[str, Any],
    branch: Mapping[str, Any] | None,
    earlier: Mapping[str, Any] | None,
    weights: Sequence[int],
) -> list[dict[str, Any]]:
    """The four parts of the score: weight, rate and score, with those of the branch and of an earlier day."""
    return [
        {
            "part": part,
            "weight": weight,
            "rate": row[RATES[part]],
            "kind": lake_columns("manager_snapshots", RATES[part])[0].kind,
            "score": row[f"{part}_score"],
            "branch": branch[f"{part}_score"] if branch else None,
            "earlier": earlier[f"{part}_score"] if earlier else None,
        }
        for part, weight in zip(PARTS, weights, strict=True)
    ]


def _compared(
    row: Mapping[str, Any], branch: Mapping[str, Any] | None, earlier: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """Health, delinquency and collection of the manager, the branch and the manager on an earlier day."""
    return [
        {
            "measure": column.label,
            "kind": column.kind,
            "own": row[column.name],
            "branch": branch[column.name] if branch else None,
            "earlier": earlier[column.name] if earlier else None,
        }
        for column in lake_columns("manager_snapshots", "health_score", "par_30", "par_60", "par_90", *RATES.values())
    ]
