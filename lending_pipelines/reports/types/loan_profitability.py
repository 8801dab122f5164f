"""loan_profitability: what each loan earned and lost up to a day, and its rates of return."""

from datetime import date
from typing import Literal

import ibis
import ibis.expr.types as ir
from pydantic import Field

from lending_pipelines.metrics import events, profitability, returns, revenue
from lending_pipelines.reports import columns, days, headlines, in_period, no_data, return_columns, scopes
from lending_pipelines.reports.book import Chart, ReportBook, ReportColumn, ReportTable
from lending_pipelines.reports.parameters import AsOf, KnownAt, PersonalData, ScopeFilters, UnderConventions
from lending_pipelines.reports.protocol import ReportSource, report_book

_AMOUNTS = (
    *columns.lake_columns("loan_positions", "principal_disbursed", "interest_earned"),
    ReportColumn("fees_earned", "Fees earned", "money"),
    *columns.lake_columns("loan_positions", "principal_charged_off"),
    ReportColumn("principal_written_off", "Of which write-offs", "money"),
    *columns.lake_columns("loan_positions", "recovered"),
    ReportColumn("charge_off_loss", "Charge-off loss", "money"),
    *columns.lake_columns("loan_positions", "total_collected"),
    *return_columns.EARNED,
)
_RATIOS = (*columns.lake_columns("portfolio_snapshots", "moic"), return_columns.TOTAL_RETURN)
_RATES = columns.lake_columns("portfolio_snapshots", *return_columns.IRRS, "irr_reason")
_CURRENCY = columns.lake_columns("loan_positions", "currency")
_PRODUCT = (*columns.lake_columns("loan_positions", "product_id"), *columns.lake_columns("products", "name"))
_COUNTS = (
    ReportColumn("loan_count", "Loans", "count"),
    ReportColumn("loss_making_loans", "Loss-making loans", "count"),
)
_LOAN = columns.lake_columns(
    "loan_positions",
    "loan_id",
    "borrower_id",
    "product_id",
    "branch_id",
    "vintage",
    "currency",
    "status",
    "disbursed_on",
    "annual_rate",
)
_HEADLINES = (
    "profit",
    "total_return",
    "moic",
    "principal_disbursed",
    "interest_earned",
    "fees_earned",
    "charge_off_loss",
    "loss_making_loans",
)
_NOTES = (
    "Interest earned follows the convention interest_accrual. Fees earned: assessed less waived. Charge-off loss:"
    " principal charged off - recovered, negative if more was recovered.",
    *return_columns.NOTES,
)


class LoanProfitabilityParameters(PersonalData, UnderConventions, KnownAt, ScopeFilters, AsOf):
    """The form of loan_profitability."""

    order: Literal["loan_id", "least_profitable", "most_profitable"] = Field(
        "loan_id", description="Order of the loans of a currency: by loan_id or by profit."
    )
    top_loans: int = Field(0, ge=0, description="Maximum number of loans listed per currency, in that order; 0: all.")


class LoanProfitability:
    """Computes the returns of the chosen loans of loan_positions from their cash flows, and adds up their profits."""

    report_type = "loan_profitability"
    title = "Loan profitability"
    description = "Interest, fees, losses, profit, IRR, MOIC and total return loan by loan, and by product."
    reads = ("loan_positions", "portfolio_snapshots", "transactions", "fees", "products")
    parameters = LoanProfitabilityParameters

    def covers(self, parameters: LoanProfitabilityParameters, source: ReportSource) -> list[date]:
        """The business date."""
        return [days.business_date(source, self.reads, parameters.as_of)]

    def generate(self, parameters: LoanProfitabilityParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the business date is not closed or a scope is unknown."""
        day = self.covers(parameters, source)[0]
        where = scopes.chosen_title(parameters, source, day)
        fees = source.table("fees") if no_data.has_rows(source, "fees") else None
        loans = scopes.chosen_loans(parameters, source, day)
        loans = revenue.with_written_off(loans, source.table("transactions"), day)
        profits = profitability.loan_profits(loans, fees, day)
        none = f"there is no loan of {where} on {day}"
        summary = _summary(profits, none)
        products = [_by_product(profits, source, currency, none) for currency in summary.frame["currency"]]
        return report_book(
            self,
            parameters,
            source,
            day,
            where,
            [summary, *products, _loans(profits, source, parameters, none, day)],
            [_chart(table) for table in products],
            notes=[*_NOTES, *([] if fees is not None else ["No data: the source has no fees; fees earned are blank."])],
            headlines=headlines.of_table(summary, *_HEADLINES),
            summary={
                row["currency"]: columns.headline(row, ("loan_count", "loss_making_loans", "profit", "total_return"))
                for row in summary.arrow().to_pylist()
            },
        )


def _summary(profits: ir.Table, none: str) -> ReportTable:
    printed = (*_CURRENCY, *_COUNTS, *_AMOUNTS, *_RATIOS)
    rows = profitability.added_up(profits, "currency").order_by("currency")
    return ReportTable("Summary", printed, _frame(rows, printed), no_data=none)


def _by_product(profits: ir.Table, source: ReportSource, currency: str, none: str) -> ReportTable:
    printed = (*_PRODUCT, *_COUNTS, *_AMOUNTS, *_RATIOS)
    rows = profitability.added_up(profits.filter(profits.currency == currency), "product_id")
    rows = rows.left_join(source.table("products").select("product_id", "name"), "product_id")
    rows = rows.mutate(name=ibis.coalesce(rows.name, rows.product_id))
    return ReportTable(f"By product {currency}", printed, _frame(rows.order_by("product_id"), printed), no_data=none)


def _loans(
    profits: ir.Table, source: ReportSource, parameters: LoanProfitabilityParameters, none: str, day: date
) -> ReportTable:
    """The loans in the chosen order. Rates of return are computed only for the listed loans."""
    first = {
        "loan_id": profits.loan_id,
        "least_profitable": profits.profit,
        "most_profitable": profits.profit.desc(),
    }[parameters.order]
    order = ibis.window(group_by="currency", order_by=[first, profits.loan_id])
    ranked = profits.mutate(rank=ibis.row_number().over(order))
    if parameters.top_loans:
        ranked = ranked.filter(ranked["rank"] < parameters.top_loans)
    transactions = source.table("transactions").semi_join(ranked, "loan_id")
    flows = returns.cash_flows(events.signed(transactions, day))
    found = returns.loan_returns(ranked, flows).select("loan_id", "moic", *(column.name for column in _RATES))
    printed = (*_LOAN, *_AMOUNTS, *_RATIOS, *_RATES)
    rows = ranked.inner_join(found, "loan_id").order_by("currency", "rank")
    totals = columns.totals_by_currency(profits, _AMOUNTS)
    cut = in_period.cut(profits, parameters.top_loans) if parameters.top_loans else ""
    return ReportTable(
        "Loans",
        printed,
        _frame(rows, printed),
        totals,
        no_data=none,
        cut=cut,
        printed_rows=in_period.PRINTED_LOANS,
    )


def _frame(rows: ir.Table, printed: tuple[ReportColumn, ...]):
    return columns.frame(rows.select(*(column.name for column in printed)))


def _chart(table: ReportTable) -> Chart:
    currency = table.title.rpartition(" ")[2]
    return Chart(f"Profit by product, {currency}", table.title, "bar", "name", ("profit",))


generator = LoanProfitability()
