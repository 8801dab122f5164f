"""Tables on alerts that several reports print: how many opened, were acknowledged, resolved and are open.

The alerts are those of the lake table alert_log. Each report decides which of them it lists.
"""

import ibis
import ibis.expr.types as ir

from lending_pipelines.reports.book import ReportColumn
from lending_pipelines.reports.periods import Period

NUMBERS = (
    ReportColumn("opened", "Opened", "count"),
    ReportColumn("acknowledged", "Acknowledged", "count"),
    ReportColumn("resolved", "Resolved", "count"),
    ReportColumn("still_open", "Open at the end", "count"),
    ReportColumn("critical", "Critical at the end", "count"),
    ReportColumn("days_to_acknowledge", "Days to acknowledge", "number"),
    ReportColumn("days_to_resolve", "Days to resolve", "number"),
)
"""The columns of `numbers`."""


def in_period(alerts: ir.Table, period: Period) -> ir.Table:
    """The alerts that were open on a day of the period, with what happened to them in it."""
    first, last = ibis.literal(period.first), ibis.literal(period.last)
    acknowledged_on = alerts.acknowledged_at.date()
    alerts = alerts.mutate(
        was_opened=alerts.opened_on >= first,
        was_acknowledged=acknowledged_on.between(first, last).fill_null(False),
        was_resolved=(alerts.resolved_on <= last).fill_null(False),
        is_open=(alerts.resolved_on > last).fill_null(True),
        days_to_acknowledge=acknowledged_on.delta(alerts.opened_on, unit="day"),
        days_to_resolve=alerts.resolved_on.delta(alerts.opened_on, unit="day"),
    )
    return alerts.filter(alerts.opened_on <= last, (alerts.resolved_on >= first).fill_null(True))


def numbers(alerts: ir.Table, *by: str) -> ir.Table:
    """The columns NUMBERS for alerts of `in_period`: a row per value of the columns `by`, one row without `by`."""

    def number(holds: ir.BooleanValue) -> ir.IntegerScalar:
        return holds.cast("int64").sum().fill_null(0).cast("int64")

    rows = alerts.group_by(*by) if by else alerts
    return rows.agg(
        opened=number(alerts.was_opened),
        acknowledged=number(alerts.was_acknowledged),
        resolved=number(alerts.was_resolved),
        still_open=number(alerts.is_open),
        critical=number(alerts.is_open & (alerts.severity == "critical")),
        days_to_acknowledge=alerts.days_to_acknowledge.median(where=alerts.was_acknowledged).cast("float64"),
        days_to_resolve=alerts.days_to_resolve.median(where=alerts.was_resolved).cast("float64"),
    )
