"""The overview of the lending platform on a day. Its rows per day and currency are a table: /platform/metrics."""

import json
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.queries.resources import DAY, RESOURCES, label, ordered
from lending_pipelines.portal.routes.api.documented import answers, json_answer, schema_of
from lending_pipelines.portal.routes.api.parameters import IsoDate
from lending_pipelines.portal.web.encoded import json_bytes, json_value
from lending_pipelines.portal.web.errors import NotFound
from lending_pipelines.portal.web.pages import cached, not_modified

router = APIRouter(prefix="/platform", tags=["platform"])

_RESOURCE = next(resource for resource in RESOURCES if resource.path == "platform/metrics")
_ON = (DAY, "is")


class OverviewParameters(BaseModel):
    """The day."""

    model_config = ConfigDict(extra="forbid")

    date: IsoDate | Literal["latest"] = Field("latest", description="A business date, or latest.")


class Tickets(BaseModel):
    """Tickets opened by the day, by their state on it; null without data of tickets."""

    total: int | None
    active: int | None
    completed: int | None
    cancelled: int | None


class Volume(BaseModel):
    """Verified payments through the gateway, made by the day."""

    currency: str
    amount: str | None = Field(description="Text with two decimals, exact; null without data of payments.")


class Balance(BaseModel):
    """What all wallets of an asset type hold together."""

    asset_type: str
    balance: str


class Overview(BaseModel):
    """The lending platform on a day."""

    business_date: date
    total_users: int | None
    new_users: int | None = Field(description="Joined on the 30 days ending on the day.")
    active_loans: int
    tickets: Tickets
    total_volume: list[Volume]
    wallet_balances: list[Balance] | None = Field(description="Null without data of wallets.")


_EXAMPLE = Overview(
    business_date=date(2025, 3, 31),
    total_users=1200,
    new_users=35,
    active_loans=9400,
    tickets=Tickets(total=80, active=12, completed=60, cancelled=8),
    total_volume=[Volume(currency="EUR", amount="182000.00")],
    wallet_balances=[Balance(asset_type="EUR", balance="9100.50")],
).model_dump(mode="json")


@router.get(
    "/overview",
    summary="Users, loans, tickets, payments and wallets on a day",
    operation_id="platform_overview",
    response_class=Response,
    responses=answers(
        json_answer("The overview.", schema_of(Overview), _EXAMPLE), *(401, 403, 404, 422), unchanged=True
    ),
)
def overview(
    request: Request,
    access: Annotated[Access, Depends(require("platform.read"))],
    parameters: Annotated[OverviewParameters, Query()],
) -> Response:
    """The numbers of the table platform_activity on the last closed day, or on another."""
    day = access.lake.last_day if parameters.date == "latest" else parameters.date
    if day is None:
        raise NotFound("no day is closed yet")
    rows = access.lake.rows(ordered, _RESOURCE, (_ON,), "currency", **{label(_ON): day})
    if not rows:
        raise NotFound(f"{day} is not closed, or has no activity")
    etag = access.lake.etag()
    unchanged = not_modified(request, etag)
    return unchanged or Response(json_bytes(_overview(rows)), headers=cached(etag), media_type="application/json")


def _overview(rows: Any) -> dict[str, Any]:
    """The overview from the day's rows, one per currency."""
    first = rows[0]
    wallets = first["wallet_balances"]
    return {
        DAY: first[DAY],
        # These numbers are of the complete lender, and the same in the row of every currency.
        "total_users": first["total_users"],
        "new_users": first["new_users"],
        "active_loans": sum(row["active_loans"] for row in rows),
        "tickets": {
            "total": first["total_tickets"],
            "active": first["open_tickets"],
            "completed": first["completed_tickets"],
            "cancelled": first["cancelled_tickets"],
        },
        "total_volume": [{"currency": row["currency"], "amount": json_value(row["total_volume"])} for row in rows],
        "wallet_balances": None if wallets is None else json.loads(wallets, parse_float=str),
    }
