"""loan_tape: the loans of a portfolio (or any selection) on a day, with the fields that an investor asks for."""

from datetime import date
from typing import Literal

from pydantic import Field, field_validator

from lending_pipelines.errors import did_you_mean
from lending_pipelines.reports import columns, days, scopes
from lending_pipelines.reports.book import ReportBook, ReportTable
from lending_pipelines.reports.parameters import AsOf, KnownAt, PersonalData, ScopeFilters, UnderConventions
from lending_pipelines.reports.protocol import ReportSource, report_book
from lending_pipelines.tables import TABLES

_INVESTOR_FIELDS = [
    "loan_id",
    "borrower_id",
    "portfolio_id",
    "product_id",
    "currency",
    "status",
    "disbursed_on",
    "matures_on",
    "annual_rate",
    "principal_disbursed",
    "principal_outstanding",
    "interest_receivable",
    "total_collected",
    "past_due_amount",
    "days_past_due",
    "bucket",
    "last_payment_on",
    "last_payment_amount",
    "next_due_on",
    "next_due_amount",
]


class LoanTapeParameters(PersonalData, UnderConventions, KnownAt, ScopeFilters, AsOf):
    """The form of loan_tape."""

    status: Literal["ALL", "active", "closed", "charged_off"] = Field("ALL", description="Loans of one status, or ALL.")
    fields: list[str] = Field(
        _INVESTOR_FIELDS, description="Columns of loan_positions, in the order in which they are written."
    )

    @field_validator("fields")
    @classmethod
    def _known(cls, fields: list[str]) -> list[str]:
        known = TABLES["loan_positions"].names
        if not fields:
            raise ValueError("name at least one field, loan_id for one")
        for name in fields:
            if name not in known:
                raise ValueError(f"loan_positions has no field {name!r}; {did_you_mean(name, known)}")
        if repeated := sorted({name for name in fields if fields.count(name) > 1}):
            raise ValueError(f"write {', '.join(repeated)} once")
        return fields


class LoanTape:
    """Prints the rows of loan_positions that the parameters choose."""

    report_type = "loan_tape"
    title = "Loan tape"
    description = "Loan by loan on a day, with the chosen fields and totals per currency."
    reads = ("loan_positions", "portfolio_snapshots")
    parameters = LoanTapeParameters

    def covers(self, parameters: LoanTapeParameters, source: ReportSource) -> list[date]:
        """The business date."""
        return [days.business_date(source, self.reads, parameters.as_of)]

    def generate(self, parameters: LoanTapeParameters, source: ReportSource) -> ReportBook:
        """The report; LendingError when the day or a scope is not there."""
        day = self.covers(parameters, source)[0]
        chosen = scopes.scopes_of(parameters, source, day)
        positions = source.table("loan_positions")
        loans = positions.filter(positions.business_date == day)
        for scope in chosen:
            loans = scopes.loans_of(loans, scope)
        if parameters.status != "ALL":
            loans = loans.filter(loans.status == parameters.status)
        printed = columns.lake_columns("loan_positions", *parameters.fields)
        totals = columns.totals_by_currency(loans, printed, [c.name for c in printed if c.kind == "money"])
        where = " and ".join(scopes.scope_title(source, day, scope) for scope in chosen) or "all loans"
        kind = "loan" if parameters.status == "ALL" else f"{parameters.status} loan"
        rows = loans.order_by("loan_id").select(*parameters.fields)
        table = ReportTable(
            self.title,
            printed,
            columns.frame(rows),
            totals,
            no_data=f"there is no {kind} of {where} on {day}",
        )
        return report_book(
            self,
            parameters,
            source,
            day,
            where,
            [table],
            summary={"loans": len(table.frame), "totals": [columns.headline(row, row) for row in totals]},
        )


generator = LoanTape()
