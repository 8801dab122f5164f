"""My account: a customer's wallets, tickets, loans with what is due next, and activity."""

from collections import defaultdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.lake.keyset import Sort
from lending_pipelines.portal.lake.scoped_lake import ScopedLake
from lending_pipelines.portal.queries import account as queries
from lending_pipelines.portal.web.pages import Section, render

router = APIRouter(include_in_schema=False)

SECTION = Section("My account", "/account", "account.read")

Customer = Annotated[Access, Depends(require("account.read"))]
Cursor = Annotated[str | None, Query(alias="after", max_length=4000)]

_ACTIVITY = 30
_WALLETS = ("users", "wallets", "wallet_transactions")


@router.get("/account")
def account(request: Request, access: Customer) -> Response:
    """The page."""
    lake = access.lake
    day = lake.last_day
    has_wallets = all(lake.has(name) for name in _WALLETS)
    loans = lake.rows(queries.loans, day=day) if day else ()
    due = [row for row in loans if row["next_due_on"] is not None]
    return render(
        request,
        "account.html",
        day=day,
        wallets=_wallets(lake) if has_wallets else (),
        tickets=lake.rows(queries.tickets) if lake.has("tickets") and lake.has("users") else (),
        loans=loans,
        next_due=min(due, key=lambda row: row["next_due_on"], default=None),
        activity=lake.rows(queries.activity, _ACTIVITY) if lake.has("loans") and has_wallets else (),
    )


def _wallets(lake: ScopedLake) -> list[dict[str, Any]]:
    """The wallets, each with its balances after the last movements."""
    trends = defaultdict(list)
    for row in lake.rows(queries.trends, _ACTIVITY):
        trends[row["wallet_id"]].append(row["balance"])
    return [{**row, "trend": trends[row["wallet_id"]]} for row in lake.rows(queries.wallets)]


@router.get("/account/wallets")
def wallets(request: Request, access: Customer, after: Cursor = None) -> Response:
    """The history of the wallets, the latest movement first, each with the balance after it."""
    sort = Sort("occurred_at", ("wallet_transaction_id",), descending=True)
    page = access.lake.page(queries.movements, sort=sort, cursor=after)
    return render(request, "account_wallets.html", page=page, query=request.query_params)
