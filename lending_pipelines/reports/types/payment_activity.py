"""payment_activity: the repayments of a period by day, channel and component; refunds and reversals separately."""

from dataclasses import replace
from datetime import date

import ibis.expr.types as ir

from lending_pipelines.metrics import payments
from lending_pipelines.metrics.ratios import with_share
from lending_pipelines.reports import columns, days, headlines, in_period, no_data
from lending_pipelines.reports.book import Chart, ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.in_period import CURRENCY
from lending_pipelines.reports.parameters import KnownAt, UnderConventions
from lending_pipelines.reports.protocol import ReportSource, report_book

_CHANNEL = ReportColumn("channel", "Channel", "text")
_DAY = ReportColumn("paid_on", "Day", "date")
_SHARE = ReportColumn("share", "Share of net", "rate")
_KINDS = (
    ReportColumn("repayments", "Repayments", "money"),
    ReportColumn("refunds", "Refunds", "money"),
    ReportColumn("reversals", "Reversals", "money"),
    ReportColumn("net", "Net", "money"),
)
_MEASURES = (
    ReportColumn("repayment_count", "Repayments made", "count"),
    ReportColumn("reversal_count", "Reversals made", "count"),
    *_KINDS,
    *(ReportColumn(name, f"Net {name}", "money") for name in payments.COMPONENTS),
)
_ADDED = [column.name for column in _MEASURES]

_NOTE = (
    "A reversal counts on its own day, with the channel of the payment that it undoes; money paid back is negative."
    " Net principal is the change of principal paid. Recoveries after charge-off are in charge_off_recovery."
)


class PaymentActivityParameters(UnderConventions, KnownAt, in_period.LoansInPeriod):
    """The form of payment_activity."""


class PaymentActivity:
    """Adds up repayments, refunds and their reversals from transactions."""

    report_type = "payment_activity"
    title = "Payment activity"
    description = "Repayments of a period by day, channel and component, with refunds and reversals apart."
    reads = (*in_period.READS, "transactions")
    parameters = PaymentActivityParameters

    def covers(self, parameters: PaymentActivityParameters, source: ReportSource) -> list[date]:
        """The last day, if it is closed: its positions decide which loans count."""
        return days.closed(source, in_period.period_of(parameters, source).last)

    def generate(self, parameters: PaymentActivityParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the last day is not closed or a scope is unknown."""
        selection = in_period.select(parameters, source)
        period = selection.period
        paid = payments.payments(source.table("transactions"), selection.loans, period.first, period.last)
        none = no_data.reason(source, ("transactions",), selection.no_rows_reason("payment"))
        summary = _table("Summary", paid, none)
        daily = [
            _table(f"By day {currency}", paid, none, _DAY, only=currency) for currency in summary.frame["currency"]
        ]
        return report_book(
            self,
            parameters,
            source,
            period.last,
            selection.title,
            [
                summary,
                _components(paid, none),
                _table("By channel", paid, none, _CHANNEL),
                *daily,
                replace(_table("By day and channel", paid, none, _DAY, _CHANNEL), printed_rows=0),
            ],
            [_chart(table) for table in daily],
            notes=[_NOTE],
            headlines=headlines.of_table(summary),
            summary=in_period.headlines(summary),
        )


def _table(title: str, paid: ir.Table, none: str, *keys: ReportColumn, only: str | None = None) -> ReportTable:
    """Payments per currency and keys; only those in the currency `only`, if it is given."""
    by = [column.name for column in (CURRENCY, *keys)]
    rows = payments.totals(paid if only is None else paid.filter(paid.currency == only), *by)
    printed = (CURRENCY, *keys, *_MEASURES)
    if keys == (_CHANNEL,):
        rows, printed = with_share(rows, "net"), (*printed, _SHARE)
    totals = columns.totals_by_currency(rows, printed, _ADDED) if keys else ()
    return in_period.table(title, printed, rows.order_by(by), none, totals)


def _components(paid: ir.Table, none: str) -> ReportTable:
    rows = payments.by_component(paid)
    printed = (CURRENCY, ReportColumn("component", "Component", "text"), *_KINDS, _SHARE)
    totals = columns.totals_by_currency(rows, printed)
    return in_period.table("By component", printed, rows.order_by("currency", "rank"), none, totals)


def _chart(table: ReportTable) -> Chart:
    currency = table.title.removeprefix("By day ")
    return Chart(f"Payments by component, {currency}", table.title, "stacked", "paid_on", payments.COMPONENTS)


generator = PaymentActivity()
