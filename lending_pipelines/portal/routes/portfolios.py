"""Portfolios: cards and trends of every scope of loans, and for one of them its aging, roll rates, losses and loans."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from lending_pipelines.metrics.scopes import DIMENSIONS
from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.queries import portfolios as queries
from lending_pipelines.portal.web import filters
from lending_pipelines.portal.web.charts import WebChart
from lending_pipelines.portal.web.errors import NotFound
from lending_pipelines.portal.web.figures import figure
from lending_pipelines.portal.web.fragment_cache import key_of
from lending_pipelines.portal.web.pages import Section, render
from lending_pipelines.reports.book import Chart, ReportColumn
from lending_pipelines.reports.columns import lake_columns
from lending_pipelines.tables.derived import TRANSITION_EXITS

router = APIRouter(include_in_schema=False)

SECTION = Section("Portfolios", "/portfolios", "portfolios.read")
Reader = Annotated[Access, Depends(require(SECTION.action))]

LEVELS = ("portfolio", "program", "product", "branch", "investor", "vintage")
"""The levels by which loans can be grouped, besides all loans."""

RANGES = {"30": 30, "90": 90, "365": 365}
"""The ranges of trends in days."""

_RANGE = "90"


@dataclass(frozen=True)
class _Shown:
    """A chart of a scope: its title, a note, and the columns of portfolio_snapshots that it draws."""

    title: str
    note: str
    columns: tuple[str, ...] = ()
    is_money: bool = False


_CHARTS = {
    "balance": _Shown("Balance", "Principal outstanding", ("total_balance",), is_money=True),
    "aging": _Shown("Aging", "Principal outstanding by days past due"),
    "par": _Shown("Portfolio at risk", "Share of the balance that is late", ("par_30", "par_60", "par_90")),
    "returns": _Shown("Internal rate of return", "Per year, of all cash flows to the day", ("irr",)),
}

_RESTRICTED = {"portfolios": "portfolio", "branches": "branch", "investors": "investor"}
_CARDS = 6
_TREND_DAYS = 30
MONTHS = 36
"""The last age of a pool that is shown, in months on book."""
_DAY = ReportColumn("business_date", "Business date", "date")


@router.get("/portfolios")
def portfolios(request: Request, access: Reader, level: filters.Text = None) -> Response:
    """The scopes of a level: the largest as cards, all of them in a table."""
    levels = _levels(access)
    chosen = filters.one_of("level", level, LEVELS, levels[0] if levels else LEVELS[0])
    lake = access.lake
    rows: Sequence[Mapping[str, Any]] = ()
    totals: Sequence[Mapping[str, Any]] = ()
    trends: Mapping[tuple[str, str], Mapping[str, list[Any]]] = {}
    if lake.last_day is not None:
        days = {"day": lake.last_day, "before": lake.day_before or lake.last_day}
        rows = lake.rows(queries.of_level, chosen, **days)
        totals = lake.rows(queries.of_level, "all", **days)
        trends = _trends(access, chosen) | _trends(access, "all")
    return render(
        request,
        "portfolios.html",
        key=key_of(request, lake),
        query=request.query_params,
        day=lake.last_day,
        day_before=lake.day_before,
        level=chosen,
        levels=levels,
        rows=[{**row, **trends.get((row["scope_id"], row["currency"]), {})} for row in rows],
        totals=[{**row, **trends.get((row["scope_id"], row["currency"]), {})} for row in totals],
        most_cards=_CARDS,
    )


@router.get("/portfolios/{level}/{scope_id}")
def portfolio(
    request: Request,
    access: Reader,
    level: str,
    scope_id: str,
    currency: filters.Text = None,
    days: filters.Text = None,
) -> Response:
    """One scope in one of its currencies."""
    lake = access.lake
    rows, row, since = _chosen(access, level, scope_id, currency, days)
    of_it = {"scope_id": scope_id, "currency": row["currency"]}
    moved = lake.rows(queries.transitions, level, **of_it, day=lake.last_day)
    late = lake.rows(queries.most_past_due, level, **_own(level, scope_id), currency=row["currency"], day=lake.last_day)
    return render(
        request,
        "portfolio.html",
        query=request.query_params,
        day=lake.last_day,
        since=since,
        level=level,
        row=row,
        currencies=[each["currency"] for each in rows],
        ranges=RANGES,
        number=RANGES[days or _RANGE],
        rolls=_roll_rates(moved, access.portal.conventions.buckets),
        late=late,
        loans_filter={} if level == "all" else {level: scope_id},
        vintages=level != "vintage" and _sees_all_losses(access),
        why_no_vintages=not _sees_all_losses(access),
    )


@router.get("/portfolios/{level}/{scope_id}/charts/{chart}")
def chart(
    request: Request,
    access: Reader,
    level: str,
    scope_id: str,
    chart: str,
    currency: filters.Text = None,
    days: filters.Text = None,
) -> Response:
    """One chart of a scope, as a part of the page that loads after it."""
    note = _CHARTS[filters.found("chart", chart, _CHARTS)].note
    _, row, since = _chosen(access, level, scope_id, currency, days)
    of_it = {"scope_id": scope_id, "currency": row["currency"], "since": since}
    drawn = _aging(access, level, of_it) if chart == "aging" else _line(access, level, of_it, chart)
    return render(request, "figure.html", chart=drawn, note=note)


@router.get("/portfolios/{level}/{scope_id}/vintages")
def losses(request: Request, access: Reader, level: str, scope_id: str, currency: filters.Text = None) -> Response:
    """The triangle of losses by vintage and age, as a part of the page that loads after it."""
    lake = access.lake
    if not _sees_all_losses(access) or not _rows_of(access, level, scope_id) or lake.last_day is None:
        raise NotFound("There are no such losses, or your scope does not cover all of them.")
    shape = level, MONTHS, access.portal.conventions
    found = lake.rows(queries.losses_by_age, *shape, day=lake.last_day, **_own(level, scope_id))
    rows = [row for row in found if currency in (None, row["currency"])]
    # Computed only if the fragment is not cached.
    triangle = partial(_triangle, rows)
    return render(request, "portfolio_vintages.html", key=key_of(request, lake), triangle=triangle, day=lake.last_day)


def _levels(access: Access) -> list[str]:
    """The levels whose sums the person's scope may cover."""
    scopes = [grant.scope.restricted for grant in access.grants]
    if () in scopes:
        return list(LEVELS)
    return sorted({_RESTRICTED[each[0]] for each in scopes if len(each) == 1 and each[0] in _RESTRICTED})


def _sees_all_losses(access: Access) -> bool:
    """Whether loans are in the scope for their complete life, with all losses: only the branch never changes."""
    return any(set(grant.scope.restricted) <= {"branches"} for grant in access.grants)


def _rows_of(access: Access, level: str, scope_id: str) -> Sequence[Mapping[str, Any]]:
    """The snapshots of a scope on the last day, a row per currency. Raises NotFound for an unknown level."""
    lake = access.lake
    if level != "all" and level not in DIMENSIONS:
        raise NotFound("There is no such level.")
    if lake.last_day is None:
        return ()
    return lake.rows(queries.one, level, scope_id=scope_id, day=lake.last_day, before=lake.day_before or lake.last_day)


def _chosen(
    access: Access, level: str, scope_id: str, currency: str | None, days: str | None
) -> tuple[Sequence[Mapping[str, Any]], Mapping[str, Any], date]:
    """The snapshots of the last day, the one in the currency, and the first day of the range. Raises NotFound."""
    lake = access.lake
    number = RANGES[filters.one_of("days", days, RANGES, _RANGE)]
    rows = _rows_of(access, level, scope_id)
    row = filters.in_currency(rows, currency)
    if row is None or lake.last_day is None:
        raise NotFound("There are no such loans, or your scope does not cover all of them.")
    return rows, row, filters.range_start(lake.days("portfolio_snapshots"), lake.last_day, number)


def _own(level: str, scope_id: str) -> dict[str, str]:
    """The scope_id as a parameter of queries on loans; those on all loans have none."""
    return {} if level == "all" else {"scope_id": scope_id}


def _trends(access: Access, level: str) -> dict[tuple[str, str], dict[str, list[Any]]]:
    """The balances and PAR 30 of the last days by scope_id and currency."""
    lake = access.lake
    assert lake.last_day is not None
    since = filters.range_start(lake.days("portfolio_snapshots"), lake.last_day, _TREND_DAYS)
    found: dict[tuple[str, str], dict[str, list[Any]]] = defaultdict(lambda: {"balances": [], "pars": []})
    for row in lake.rows(queries.trends, level, since=since):
        own = found[row["scope_id"], row["currency"]]
        own["balances"].append(row["total_balance"])
        own["pars"].append(row["par_30"])
    return dict(found)


def _line(access: Access, level: str, of_it: Mapping[str, Any], name: str) -> WebChart:
    """A chart of numbers of a scope by day."""
    shown = _CHARTS[name]
    title = f"{shown.title}, {of_it['currency']}" if shown.is_money else shown.title
    history = access.lake.result(queries.history, level, **of_it)
    chart = Chart(title, title, "line", _DAY.name, shown.columns)
    return figure(history, chart, (_DAY, *lake_columns("portfolio_snapshots", *shown.columns)))


def _aging(access: Access, level: str, of_it: Mapping[str, Any]) -> WebChart:
    """The balance of a scope by bucket and day."""
    aging = access.lake.result(queries.aging, level, **of_it)
    buckets = access.portal.conventions.buckets
    columns = (_DAY, *(ReportColumn(bucket, bucket.capitalize(), "money") for bucket in buckets))
    chart = Chart(f"Aging, {of_it['currency']}", "Aging", "stacked", _DAY.name, buckets)
    return figure(aging, chart, columns, _stacked(aging.rows, buckets))


def _stacked(rows: Sequence[Mapping[str, Any]], buckets: Sequence[str]) -> list[dict[str, Any]]:
    """A row per day with the principal of every bucket. The table has no empty buckets: those are 0."""
    by_day: dict[date, dict[str, Any]] = {}
    for row in rows:
        day = by_day.setdefault(row["business_date"], dict.fromkeys(buckets, 0))
        day[row["bucket"]] = row["principal_outstanding"]
    days = sorted(by_day)
    # Leave out days if there are more than a screen has room for, but never the last day.
    step = max(1, len(days) // 30)
    return [{"business_date": day, **by_day[day]} for day in sorted(days[::-1][::step])]


def _roll_rates(rows: Sequence[Mapping[str, Any]], buckets: Sequence[str]) -> dict[str, Any]:
    """The matrix of roll rates by balance: a row per bucket at the start, a column per bucket or exit at the end."""
    order = [*buckets, *TRANSITION_EXITS]
    ends = [each for each in order if any(row["to_bucket"] == each for row in rows)]
    by_start: dict[str, dict[str, Any]] = {}
    for row in rows:
        cells = by_start.setdefault(row["from_bucket"], {"start": row["from_bucket"].capitalize(), "loans": 0})
        cells[row["to_bucket"]] = row["balance_rate"]
        cells["loans"] += row["loan_count"]
    starts = [by_start[each] for each in order if each in by_start]
    return {
        "since": rows[0]["from_date"] if rows else None,
        "ends": ends,
        "rows": [{**dict.fromkeys(ends), **cells} for cells in starts],
    }


def _triangle(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each currency: the ages that are shown, and a row per pool with its cumulative net loss at every age."""
    currencies: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        pools = currencies[row["currency"]]
        pool = pools.setdefault(
            row["pool"], {"pool": row["pool"], "currency": row["currency"], "original": row["original_principal"]}
        )
        pool[f"m{row['months_on_book']}"] = row["net_loss_rate"]
    found = []
    for currency, pools in currencies.items():
        oldest = max(int(name[1:]) for pool in pools.values() for name in pool if name[1:].isdigit())
        step = 1 if oldest <= 12 else 3
        ages = list(range(0, oldest + 1, step))
        blank = {f"m{age}": None for age in ages}
        shown = [blank | pool for pool in pools.values()]
        most = max((pool[name] for pool in shown for name in blank if pool[name] is not None), default=0)
        found.append({"currency": currency, "ages": ages, "rows": shown, "most": most})
    return found
