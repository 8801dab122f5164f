"""Ledger: the trial balance down to accounts, entries and loans; and control accounts beside the loans."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.lake.keyset import Sort
from lending_pipelines.portal.queries import ledger as queries
from lending_pipelines.portal.web import filters
from lending_pipelines.portal.web.errors import NotFound
from lending_pipelines.portal.web.pages import Section, render

router = APIRouter(include_in_schema=False)

SECTION = Section("Ledger", "/ledger", "ledger.read")

Reader = Annotated[Access, Depends(require("ledger.read"))]
Cursor = Annotated[str | None, Query(alias="after", max_length=4000)]

Rows = Sequence[Mapping[str, Any]]

_SORTS = ("entry_date", "debit", "credit", "loan_id", "posted_at")
_TREND = 60


@router.get("/ledger")
def trial_balance(request: Request, access: Reader, day: filters.Day = None) -> Response:
    """The trial balance of a closed day."""
    days, day = _days(access, "trial_balance", day)
    rows: Rows = ()
    totals: Rows = ()
    if day:
        before = max((each for each in days if each < day), default=day)
        rows = access.lake.rows(queries.trial_balance, day=day, before=before)
        totals = access.lake.rows(queries.totals, day=day)
    return render(request, "ledger.html", rows=rows, totals=totals, day=day, days=days, query=request.query_params)


@router.get("/ledger/accounts/{account_code}")
def account(
    request: Request,
    access: Reader,
    account_code: str,
    currency: str = "",
    day: filters.Day = None,
    sort: str = "-entry_date",
    after: Cursor = None,
) -> Response:
    """An account: its balance over time, and its entries up to a day."""
    days, day = _days(access, "trial_balance", day)
    history = access.lake.rows(queries.account, code=account_code, currency=currency)
    shown = next((row for row in history if row["business_date"] == day), None)
    if shown is None or day is None:
        raise NotFound(f"There is no account {account_code} in {currency} on that day.")
    column = sort.lstrip("-")
    if column not in _SORTS:
        sort, column = "-entry_date", "entry_date"
    order = Sort(column, ("entry_id", "line_no"), sort.startswith("-"))
    page = access.lake.page(queries.entries, sort=order, cursor=after, code=account_code, currency=currency, day=day)
    upto = [row for row in history if row["business_date"] <= day][:_TREND]
    return render(
        request,
        "ledger_account.html",
        account=shown,
        trend=[row["balance"] for row in reversed(upto)],
        page=page,
        day=day,
        days=days,
        sort=sort,
        query=request.query_params,
    )


@router.get("/ledger/entries/{entry_id}")
def entry(request: Request, access: Reader, entry_id: str) -> Response:
    """An entry with its lines."""
    lines = access.lake.rows(queries.entry, entry_id=entry_id)
    if not lines:
        raise NotFound("There is no such entry.")
    sums: dict[str, tuple[Decimal, Decimal]] = {}
    for line in lines:
        debit, credit = sums.get(line["currency"], (Decimal(0), Decimal(0)))
        sums[line["currency"]] = (debit + line["debit"], credit + line["credit"])
    totals = [
        {"account_code": "Total", "currency": currency, "debit": debit, "credit": credit}
        for currency, (debit, credit) in sorted(sums.items())
    ]
    balanced = all(debit == credit for debit, credit in sums.values())
    return render(request, "ledger_entry.html", lines=lines, entry=lines[0], totals=totals, balanced=balanced)


@router.get("/ledger/tie-outs")
def tie_outs(request: Request, access: Reader, day: filters.Day = None) -> Response:
    """The control accounts of a closed day beside the loans."""
    days, day = _days(access, "ledger_tieouts", day)
    found = access.lake.rows(queries.tie_outs, day=day) if day else ()
    rows = [{**row, "state": "ties" if row["difference"] == 0 else "break"} for row in found]
    breaks = sum(row["difference"] != 0 for row in rows)
    return render(
        request, "ledger_tie_outs.html", rows=rows, breaks=breaks, day=day, days=days, query=request.query_params
    )


@router.get("/ledger/tie-outs/{control}/{currency}")
def tie_out(request: Request, access: Reader, control: str, currency: str, day: filters.Day = None) -> Response:
    """A control account: the loans of its break on a day, and the difference on all days."""
    days, day = _days(access, "ledger_tieouts", day)
    history = access.lake.rows(queries.tie_out, control=control, currency=currency)
    shown = next((row for row in history if row["business_date"] == day), None)
    if shown is None:
        raise NotFound("There is no such control account on that day.")
    loans: list[Mapping[str, Any]] = json.loads(shown["loans"])
    return render(
        request,
        "ledger_tie_out.html",
        tie_out=shown,
        loans=[{**loan, "currency": currency} for loan in loans],
        trend=[row["difference"] for row in reversed(history[:_TREND])],
        history=history[:_TREND],
        day=day,
        days=days,
        query=request.query_params,
    )


def _days(access: Access, table: str, day: date | None) -> tuple[list[date], date | None]:
    """The closed days, the latest first, and the day to show: the given one, or the last. Raises NotFound."""
    days = sorted(access.lake.days(table), reverse=True)
    if day is not None and day not in days:
        raise NotFound(f"{day} is not closed. The last closed day is {days[0] if days else 'not there yet'}.")
    return days, day or (days[0] if days else None)
