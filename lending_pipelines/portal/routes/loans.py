"""Loans: search, filters, sorting and pages of the loans on the last closed day, and the details of one loan."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from operator import itemgetter
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.lake.scoped_lake import ScopedLake
from lending_pipelines.portal.queries import loans as queries
from lending_pipelines.portal.queries.names import names
from lending_pipelines.portal.views.loan_tapes import tapes_with
from lending_pipelines.portal.web import filters
from lending_pipelines.portal.web.charts import WebChart
from lending_pipelines.portal.web.errors import NotFound
from lending_pipelines.portal.web.figures import figure
from lending_pipelines.portal.web.fragment_cache import key_of
from lending_pipelines.portal.web.pages import Section, render
from lending_pipelines.reports import loan_account
from lending_pipelines.reports.book import Chart
from lending_pipelines.reports.columns import lake_columns

router = APIRouter(include_in_schema=False)

SECTION = Section("Loans", "/loans", "loans.read")
Reader = Annotated[Access, Depends(require(SECTION.action))]

SORTED = (
    "loan_id",
    "principal_outstanding",
    "past_due_amount",
    "days_past_due",
    "annual_rate",
    "next_due_on",
    "disbursed_on",
)
"""The columns by which a list can be sorted."""

TABS = ("overview", "payments", "changes", "tapes", "known")
"""The views of one loan."""

STATUSES = ("active", "closed", "charged_off")

_MONTHS = 24


@router.get("/loans")
def loans(
    request: Request,
    access: Reader,
    q: filters.Text = None,
    status: filters.Text = None,
    bucket: filters.Text = None,
    currency: filters.Text = None,
    branch: filters.Text = None,
    product: filters.Text = None,
    program: filters.Text = None,
    portfolio: filters.Text = None,
    officer: filters.Text = None,
    investor: filters.Text = None,
    vintage: filters.Text = None,
    sort: filters.Text = None,
    after: filters.Cursor = None,
) -> Response:
    """A page of the loans that match."""
    lake = access.lake
    order = filters.sort_of(sort, SORTED, "-principal_outstanding", ("loan_id",))
    others = filters.given(
        bucket=bucket,
        currency=currency,
        branch=branch,
        product=product,
        program=program,
        portfolio=portfolio,
        officer=officer,
        investor=investor,
        vintage=vintage,
        search=q.lower() if q else None,
    )
    wanted = filters.given(**others, status=status)
    context: dict[str, Any] = {"page": None, "counts": {}, "totals": [], "found": 0}
    if lake.last_day is not None:
        counts = lake.rows(queries.counted, tuple(others), day=lake.last_day, **others)
        shown = [row for row in counts if status in (None, row["status"])]
        context = {
            "page": lake.page(
                queries.matching, tuple(wanted), sort=order, cursor=after or None, day=lake.last_day, **wanted
            ),
            "counts": _by_status(counts),
            "totals": _by_currency(shown),
            "found": sum(row["loans"] for row in shown),
        }
    labels = _names(lake)
    return render(
        request,
        "loans.html",
        key=key_of(request, lake),
        query=request.query_params,
        sort=order.text,
        day=lake.last_day,
        names=labels,
        buckets=access.portal.conventions.buckets,
        **context,
    )


@router.get("/loans/{loan_id}")
def loan(
    request: Request,
    access: Reader,
    loan_id: str,
    tab: filters.Text = None,
    personal: filters.Text = None,
    known: filters.Day = None,
) -> Response:
    """One loan, on the last day on which the person may see it."""
    chosen = filters.one_of("tab", tab, TABS, TABS[0])
    lake = access.lake_with_borrowers if personal else access.lake
    row = _position(lake, loan_id)
    if row is None:
        raise NotFound("There is no such loan, or you may not see it.")
    day = row["business_date"]
    views = {
        "overview": _overview,
        "payments": lambda *given: {"payments": lake.rows(queries.payments, loan_id=loan_id)},
        "changes": _changes,
        "tapes": _tapes,
        "known": lambda *given: _known(access, lake, loan_id, known),
    }
    return render(
        request,
        "loan.html",
        query=request.query_params,
        row=row,
        day=day,
        is_last=day == lake.last_day,
        terms=lake.row(queries.terms, loan_id=loan_id),
        names=_names(lake),
        tab=chosen,
        tabs_shown=[each for each in TABS if each != "tapes" or access.may("tapes.read")],
        may_show=access.may("personal.show") and not lake.shown.borrowers,
        **views[chosen](access, lake, row),
    )


def _position(lake: ScopedLake, loan_id: str) -> Mapping[str, Any] | None:
    """The loan's position on the last day; for a loan that left the scope, on the last one on which it was in it."""
    if lake.last_day is None:
        return None
    found = lake.row(queries.position, loan_id=loan_id, day=lake.last_day)
    if found is None and (last := lake.row(queries.last_day, loan_id=loan_id)):
        return lake.row(queries.position, loan_id=loan_id, day=last["business_date"])
    return found


def _overview(access: Access, lake: ScopedLake, row: Mapping[str, Any]) -> dict[str, Any]:
    """The schedule, the history and the owners."""
    loan_id, day = row["loan_id"], row["business_date"]
    ends = filters.month_ends(lake.days("loan_positions"), day, _MONTHS)
    history = lake.result(queries.history, loan_id=loan_id, since=ends[0].replace(day=1))
    by_day = {each["business_date"]: each for each in history.rows}
    return {
        "schedule": _schedule(lake.rows(queries.schedule, loan_id=loan_id, day=day), row),
        "strip": [(end, by_day[end]["days_past_due"] if end in by_day else None) for end in ends],
        "chart": _balance(history, row["currency"]),
        "owners": lake.rows(queries.owners, loan_id=loan_id),
        "memberships": lake.rows(queries.memberships, loan_id=loan_id),
        "officers": lake.rows(queries.officers, loan_id=loan_id),
    }


def _balance(history: Any, currency: str) -> WebChart:
    title = f"Balance over time, {currency}"
    columns = lake_columns("loan_positions", "business_date", "principal_outstanding", "past_due_amount")
    chart = Chart(title, title, "line", "business_date", ("principal_outstanding", "past_due_amount"))
    return figure(history, chart, columns)


def _schedule(rows: Sequence[Mapping[str, Any]], position: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The installments with their status by the position's oldest unpaid due date; those that are not paid first.

    When the principal is repaid, what the loan does not owe of the schedule has ended.
    """
    day, oldest, open_ = position["business_date"], position["oldest_due_on"], position["status"] == "active"
    owed = loan_account.owed(position)

    def status(due_on: date, through: Decimal) -> str:
        if owed is not None and through > owed:
            return "ended"
        if due_on > day:
            return "scheduled" if open_ else "ended"
        if oldest is not None and due_on >= oldest:
            return "past due" if due_on < day else "due"
        return "paid" if open_ or position["status"] == "closed" else "ended"

    found, through = [], Decimal(0)
    for row in sorted(rows, key=itemgetter("due_on", "number")):
        through += row["principal"] + row["interest"]
        found.append({**row, "status": status(row["due_on"], through), "currency": position["currency"]})
    return sorted(found, key=lambda row: row["status"] == "paid")


def _changes(access: Access, lake: ScopedLake, row: Mapping[str, Any]) -> dict[str, Any]:
    return {"modifications": lake.rows(queries.modifications, loan_id=row["loan_id"])}


def _tapes(access: Access, lake: ScopedLake, row: Mapping[str, Any]) -> dict[str, Any]:
    """The tapes that list the loan. Raises Denied when the role may not see tapes."""
    loan_id = row["loan_id"]
    spans = lake.rows(queries.memberships, loan_id=loan_id)
    owners = lake.rows(queries.owners, loan_id=loan_id)
    return {"tapes": tapes_with(access, spans, owners, row["disbursed_on"])}


def _known(access: Access, lake: ScopedLake, loan_id: str, until: date | None) -> dict[str, Any]:
    """What was recorded about the loan, and when: all of it, or what was known at the end of a day."""
    kinds = tuple(kind for kind in queries.KINDS if lake.has(kind))
    zone = ZoneInfo(access.portal.settings.timezone)

    def local(instant: datetime) -> date:
        return instant.replace(tzinfo=UTC).astimezone(zone).date()

    events = [
        {**event, "known_on": local(event["posted_at"])} for event in lake.rows(queries.known, kinds, loan_id=loan_id)
    ]
    shown = [event for event in events if until is None or event["known_on"] <= until]
    late = [event for event in shown if event["known_on"] - event["effective_on"] > timedelta(days=1)]
    return {"events": shown, "all_events": len(events), "late": len(late), "until": until}


def _names(lake: ScopedLake) -> dict[str, dict[str, str]]:
    """The names of branches, products, officers and portfolios by id."""
    return {kind: names(lake, kind) for kind in ("branch", "product", "officer", "portfolio")}


def _by_status(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    found = dict.fromkeys(STATUSES, 0)
    for row in rows:
        found[row["status"]] = found.get(row["status"], 0) + row["loans"]
    return found


def _by_currency(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The balance and number of loans by currency, the largest first."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        own = found.setdefault(row["currency"], {"currency": row["currency"], "balance": 0, "loans": 0})
        own["balance"] += row["balance"]
        own["loans"] += row["loans"]
    return sorted(found.values(), key=lambda own: -own["balance"])
