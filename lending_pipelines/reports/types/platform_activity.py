"""platform_activity: users, wallets, tickets and gateway payments of the peer lending platform on a day."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import ibis.expr.types as ir
from pydantic import Field

from lending_pipelines.metrics import instants, platform
from lending_pipelines.reports import columns, days, headlines, in_period, no_data
from lending_pipelines.reports.book import Chart, ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.parameters import AsOf, History
from lending_pipelines.reports.protocol import ReportSource, report_book
from lending_pipelines.tables.schema import MONEY

_ACTIVITY = (
    ReportColumn("business_date", "Business date", "date"),
    *(ReportColumn(name, columns.label(name), "count") for name in platform.ACTIVITY),
)
_ASSETS = (
    *columns.lake_columns("wallets", "asset_type"),
    *(
        ReportColumn(name, columns.label(name), "money" if type_ == MONEY else "count")
        for name, type_ in platform.ASSETS.items()
    ),
)
_PAYMENTS = (
    *columns.lake_columns("gateway_payments", "currency", "status"),
    ReportColumn("payments", "Payments", "count"),
    ReportColumn("amount", "Amount", "money"),
)
_NOTES = (
    "Balances and volume are in units of their asset type and never added across asset types.",
    "A payment has its current status; the gateway does not say when the status changed.",
)


class PlatformActivityParameters(History, AsOf):
    """The form of platform_activity."""

    new_user_days: int = Field(
        platform.NEW_USER_DAYS,
        ge=1,
        le=3660,
        description="New users joined within this number of days up to the business date.",
    )


class PlatformActivity:
    """Counts users, wallets, tickets and payments, and the active loans of loan_positions."""

    report_type = "platform_activity"
    title = "Platform activity"
    description = "Users, wallets, tickets, volume and gateway payments of the peer lending platform on a day."
    reads = ("loan_positions", *platform.SOURCES)
    parameters = PlatformActivityParameters

    def covers(self, parameters: PlatformActivityParameters, source: ReportSource) -> list[date]:
        """The business date and the days of the history."""
        last = days.business_date(source, self.reads, parameters.as_of)
        return days.history_days(source, self.reads[0], last, parameters.history, parameters.history_step)

    def generate(self, parameters: PlatformActivityParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the business date is not closed."""
        covered = self.covers(parameters, source)
        day = covered[-1]
        kept = {name: source.table(name) for name in platform.SOURCES if no_data.has_rows(source, name)}
        activity = _activity(kept, source, covered, parameters.new_user_days)
        assets = _assets(kept, source, day)
        return report_book(
            self,
            parameters,
            source,
            day,
            "",
            [activity, assets, _payments(source, day)],
            _charts(activity),
            notes=[*_NOTES, *(f"No data: the source has no {name}." for name in platform.SOURCES if name not in kept)],
            headlines=headlines.of_rows(activity.columns[1:], activity.arrow().to_pylist()[-1:]),
            summary=_summary(activity, assets),
        )


def _activity(
    kept: Mapping[str, ir.Table], source: ReportSource, covered: Sequence[date], new_user_days: int
) -> ReportTable:
    """A row per covered day; no rows if the source has none of the platform's tables."""
    on = instants.calendar(covered if kept else [], source.conventions.timezone)
    parts = [platform.active_loans(source.table("loan_positions"), on)]
    if "users" in kept:
        parts.append(platform.joined(kept["users"], on, new_user_days))
    if "tickets" in kept:
        parts.append(platform.tickets(kept["tickets"], on))
    none = no_data.reason(source, platform.SOURCES, "")
    return in_period.table("Activity", _ACTIVITY, platform.activity(on, *parts).order_by("business_date"), none)


def _assets(kept: Mapping[str, ir.Table], source: ReportSource, day: date) -> ReportTable:
    on = instants.calendar([day], source.conventions.timezone)
    nothing = platform.tickets(source.table("tickets").limit(0), on).select("business_date", "asset_type")
    parts = [nothing]
    if "tickets" in kept:
        parts.append(platform.tickets(kept["tickets"], on))
    if "wallets" in kept:
        parts.append(platform.opened(kept["wallets"], on))
    if "wallets" in kept and "wallet_transactions" in kept:
        parts.append(platform.balances(kept["wallet_transactions"], kept["wallets"], on))
    none = no_data.reason(source, ("wallets", "tickets"), f"no wallets and no tickets by {day}")
    return in_period.table("By asset type", _ASSETS, platform.by_asset_type(*parts).order_by("asset_type"), none)


def _payments(source: ReportSource, day: date) -> ReportTable:
    on = instants.calendar([day], source.conventions.timezone)
    payments = platform.payments(source.table("gateway_payments"), on).order_by("currency", "status")
    none = no_data.reason(source, ["gateway_payments"], f"no payments through the gateway by {day}")
    return in_period.table("Gateway payments", _PAYMENTS, payments, none)


def _charts(activity: ReportTable) -> list[Chart]:
    if activity.frame.empty:
        return []
    return [
        Chart("Users", activity.title, "line", "business_date", ("total_users", "new_users")),
        Chart("Tickets", activity.title, "line", "business_date", platform.TICKETS),
    ]


def _summary(activity: ReportTable, assets: ReportTable) -> dict[str, Any]:
    """The day's numbers, ready for JSON; amounts by asset type."""
    rows = assets.arrow().to_pylist()
    amounts = {
        title: {row["asset_type"]: str(row[name]) for row in rows if row[name] is not None}
        for title, name in (("wallet_balances", "wallet_balance"), ("total_volume", "total_volume"))
    }
    latest = activity.arrow().to_pylist()[-1:]
    return {name: value for row in latest for name, value in columns.headline(row, platform.ACTIVITY).items()} | amounts


generator = PlatformActivity()
