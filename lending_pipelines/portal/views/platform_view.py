"""What the page Platform shows, put together from its queries: the overview, the series, months and charts."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

import pandas as pd
import pyarrow as pa

from lending_pipelines.metrics import instants
from lending_pipelines.portal.access import Access
from lending_pipelines.portal.queries import platform as queries
from lending_pipelines.portal.web.charts import WebChart, web_chart
from lending_pipelines.reports.book import Chart, ReportColumn, ReportTable

Rows = Sequence[Mapping[str, Any]]
Values = tuple[tuple[Any, ...], ...]
"""Rows as tuples of values, which can be a key of a cache."""

MEASURES = ("interest", "fees", "revenue", "collected", "transactions")

_COLUMNS = (
    ReportColumn("business_date", "Day", "date"),
    ReportColumn("currency", "Currency", "text"),
    ReportColumn("interest", "Interest earned", "money"),
    ReportColumn("fees", "Fees, net", "money"),
    ReportColumn("revenue", "Revenue", "money"),
    ReportColumn("collected", "Collected", "money"),
    ReportColumn("transactions", "Transactions", "count"),
)
_USERS = (
    ReportColumn("business_date", "Day", "date"),
    ReportColumn("total_users", "Total users", "count"),
    ReportColumn("new_users", "New users", "count"),
)


@dataclass(frozen=True)
class Overview:
    """The numbers of a day; None is unknown. Amounts are by asset type and never added across asset types."""

    day: date
    total_users: int | None
    new_users: int | None
    active_loans: int | None
    open_tickets: int | None
    completed_tickets: int | None
    cancelled_tickets: int | None
    volume: Mapping[str, Decimal]
    wallets: Mapping[str, Decimal]


def overview(access: Access, rows: Rows, day: date, segment: str, asset: str) -> Overview:
    """The overview of a day: of the daily table, or of a segment's users."""
    found = _of_segment(access, day, segment, asset) if segment else _of_day(rows, day, asset)
    return Overview(
        day,
        **{name: found.get(name) for name in Overview.__dataclass_fields__ if name not in ("day", "volume", "wallets")},
        volume=_only(found.get("volume", {}), asset),
        wallets=_only(found.get("wallets", {}), asset),
    )


def daily(access: Access, first: date, last: date, segment: str, asset: str) -> list[dict[str, Any]]:
    """Revenue and transactions of the closed days first..last."""
    days = access.lake.days("loan_positions")
    before = max((day for day in days if day < first), default=first - timedelta(days=1))
    if segment:
        rows = access.lake_with_borrowers.rows(queries.daily, "segment", before=before, last=last, segment=segment)
    else:
        rows = access.lake.rows(queries.daily, "all", before=before, last=last)
    return [dict(row) for row in rows if asset in ("", row["currency"])]


def monthly(rows: Rows) -> list[dict[str, Any]]:
    """The sums of each calendar month and currency, the latest month first; None if a day of it is unknown."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[f"{row['business_date']:%Y-%m}", row["currency"]].append(row)
    found = []
    for (month, currency), of_month in groups.items():
        sums: dict[str, Any] = {"month": month, "currency": currency, "days": len(of_month)}
        for name in MEASURES:
            values = [row[name] for row in of_month]
            sums[name] = None if None in values else sum(values)
        found.append(sums)
    found.sort(key=lambda row: row["currency"])
    return sorted(found, key=lambda row: row["month"], reverse=True)


def charts(rows: Rows, activity: Rows, segment: str) -> Sequence[WebChart]:
    """Revenue and transactions of each currency by day, and the users unless a segment is chosen."""
    known = {row["business_date"]: row for row in activity if row["total_users"] is not None and not segment}
    return _charts(_values(_COLUMNS, rows), _values(_USERS, list(known.values())))


@lru_cache(maxsize=64)
def _charts(rows: Values, users: Values) -> tuple[WebChart, ...]:
    """The charts of these values. Altair takes 50 ms for each, so they are cached."""
    made = []
    for currency in sorted({row[1] for row in rows}):
        table = _table(f"Days in {currency}", _COLUMNS, tuple(row for row in rows if row[1] == currency))
        for title, names in (("Revenue", ("interest", "fees")), ("Transactions", ("transactions",))):
            made.append(web_chart(Chart(f"{title} in {currency}", table.title, "line", "business_date", names), table))
    if users:
        table = _table("Users", _USERS, users)
        made.append(web_chart(Chart("Users", "Users", "line", "business_date", ("total_users", "new_users")), table))
    return tuple(made)


def assets(activity: Rows, days: Rows) -> list[str]:
    """The asset types that there are: currencies of loans and payments, and the types of wallets."""
    found = {row["currency"] for row in (*activity, *days)}
    for row in activity:
        found |= {each["asset_type"] for each in json.loads(row["wallet_balances"] or "[]")}
    return sorted(found)


def _of_day(rows: Rows, day: date, asset: str) -> dict[str, Any]:
    """The numbers of the daily table. Users, tickets and wallets are the same in every currency's row."""
    of_day = [row for row in rows if row["business_date"] == day]
    if not of_day:
        return {}
    first = of_day[0]
    loans = [row["active_loans"] for row in of_day if asset in ("", row["currency"])]
    names = ("total_users", "new_users", "open_tickets", "completed_tickets", "cancelled_tickets")
    return {
        **{name: first[name] for name in names},
        "active_loans": sum(loans),
        "volume": {row["currency"]: row["total_volume"] for row in of_day if row["total_volume"] is not None},
        "wallets": {
            each["asset_type"]: Decimal(str(each["balance"])) for each in json.loads(first["wallet_balances"] or "[]")
        },
    }


def _of_segment(access: Access, day: date, segment: str, asset: str) -> dict[str, Any]:
    """The numbers of a segment's users on the day."""
    lake = access.lake
    at = {"day": day, "ends_at": instants.ends_at(day, access.portal.settings.timezone), "segment": segment}
    users = dict(lake.row(queries.users_of, **at) or {"total_users": 0, "new_users": 0})
    tickets = [row for row in lake.rows(queries.tickets_of, **at) if asset in ("", row["asset_type"])]
    loans = access.lake_with_borrowers.rows(queries.active_loans_of, day=day, segment=segment)
    return {
        "total_users": users["total_users"],
        "new_users": users["new_users"],
        **{
            name: sum(row[name] for row in tickets)
            for name in ("open_tickets", "completed_tickets", "cancelled_tickets")
        },
        "active_loans": sum(row["active_loans"] for row in loans if asset in ("", row["currency"])),
        "volume": {
            row["currency"]: row["amount"]
            for row in lake.rows(queries.payments_of, **at)
            if row["status"] == "verified"
        },
        "wallets": {row["asset_type"]: row["wallet_balance"] for row in lake.rows(queries.wallets_of, **at)},
    }


def _only(amounts: Mapping[str, Decimal], asset: str) -> dict[str, Decimal]:
    return {name: amount for name, amount in sorted(amounts.items()) if asset in ("", name)}


def _values(columns: tuple[ReportColumn, ...], rows: Rows) -> Values:
    return tuple(tuple(row[column.name] for column in columns) for row in rows)


def _table(title: str, columns: tuple[ReportColumn, ...], rows: Values) -> ReportTable:
    names = [column.name for column in columns]
    table = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])
    return ReportTable(title, columns, table.to_pandas(types_mapper=pd.ArrowDtype), no_data="no closed day")
