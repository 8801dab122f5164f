"""alert_log: the alerts of a period: opened, acknowledged and resolved, by rule, and how long that took."""

from datetime import date
from typing import Literal

import ibis
import ibis.expr.types as ir
import pandas as pd
from pydantic import Field

from lending_pipelines.reports import alert_tables, columns, days, headlines, in_period
from lending_pipelines.reports.book import Chart, ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.parameters import ALL, InPeriod, PersonalData
from lending_pipelines.reports.periods import Period
from lending_pipelines.reports.protocol import ReportSource, report_book
from lending_pipelines.tables.derived import ALERT_SEVERITIES

_LOG = "alert_log"
_BY_RULE = (*columns.lake_columns(_LOG, "rule"), *alert_tables.NUMBERS)
_BY_DAY = (
    ReportColumn("business_date", "Business date", "date"),
    *(ReportColumn(severity, severity.capitalize(), "count") for severity in ALERT_SEVERITIES),
)
_ALERTS = (
    *columns.lake_columns(_LOG, "severity", "rule", "subject_kind", "subject_id", "currency", "opened_on"),
    *columns.lake_columns(_LOG, "last_on", "resolved_on", "state"),
    ReportColumn("days_to_acknowledge", "Days to acknowledge", "count"),
    ReportColumn("days_to_resolve", "Days to resolve", "count"),
    ReportColumn("value", "Value", "ratio"),
    ReportColumn("threshold", "Threshold", "ratio"),
    *columns.lake_columns(_LOG, "acknowledged_by", "reason", "finding"),
)
_NOTES = (
    "An alert counts as acknowledged or resolved in the period in which that happened, whenever it opened.",
    "Days to acknowledge and to resolve count from the day on which the alert opened; by rule they are medians of the"
    " alerts acknowledged or resolved in the period. A business date is judged by the close of the night after it.",
    "The severity is that of the latest finding. Steps since the report was made are not in it.",
    "Value and threshold are in the unit of the number that the rule watches. PAR and other shares are fractions: 0.15"
    " is 15 %.",
)


class AlertLogParameters(PersonalData, InPeriod):
    """The form of alert_log."""

    severity: Literal["ALL", "warning", "critical"] = Field("ALL", description="warning, critical or ALL.")
    max_listed: int = Field(1000, ge=1, le=100_000, description="Maximum number of alerts listed, latest first.")


class AlertLog:
    """Prints the register's alerts."""

    report_type = "alert_log"
    title = "Alert log"
    description = "Alerts of a period by rule: opened, acknowledged, resolved, and how long that took."
    reads = (_LOG, "loan_positions")
    parameters = AlertLogParameters

    def covers(self, parameters: AlertLogParameters, source: ReportSource) -> list[date]:
        """No business date: alerts are not computed from the days that are printed."""
        return []

    def is_recorded(self, parameters: AlertLogParameters, source: ReportSource) -> bool:
        """Whether the period begins on or after the first closed day. Only closes raise alerts."""
        return days.period(parameters, source).first >= days.first_closed(source)

    def generate(self, parameters: AlertLogParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the business date is not closed."""
        period = days.period(parameters, source)
        alerts = alert_tables.in_period(source.table(_LOG), period)
        if parameters.severity != ALL:
            alerts = alerts.filter(alerts.severity == parameters.severity)
        none = f"no alert was open from {period.first} to {period.last}"
        by_rule = in_period.table("By rule", _BY_RULE, alert_tables.numbers(alerts, "rule").order_by("rule"), none)
        total = alert_tables.numbers(alerts).to_pyarrow().to_pylist()
        by_day = _by_day(alerts, period, none)
        latest = [alerts.opened_on.desc(), alerts.rule, alerts.subject_id, alerts.alert_id]
        listed = in_period.first_table("Alerts", _ALERTS, alerts, latest, parameters.max_listed, none)
        return report_book(
            self,
            parameters,
            source,
            period.last,
            period.display,
            [by_rule, by_day, listed],
            [Chart("Open alerts by day", by_day.title, "line", "business_date", ALERT_SEVERITIES)],
            notes=_NOTES,
            headlines=headlines.of_rows(alert_tables.NUMBERS, total),
            summary={"alerts": total[0]},
        )


def _by_day(alerts: ir.Table, period: Period, none: str) -> ReportTable:
    """The alerts that were open at the end of each day of the period, by severity."""
    every = pd.DataFrame({"business_date": pd.date_range(period.first, period.last).date})
    rows = ibis.memtable(every, schema={"business_date": "date"}).cross_join(alerts)
    held = (rows.opened_on <= rows.business_date) & (rows.resolved_on > rows.business_date).fill_null(True)
    counts = rows.group_by("business_date").agg(
        **{severity: (held & (rows.severity == severity)).cast("int64").sum() for severity in ALERT_SEVERITIES}
    )
    return in_period.table("Open alerts by day", _BY_DAY, counts.order_by("business_date"), none)


generator = AlertLog()
