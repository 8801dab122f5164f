"""loan_tape: the loans of a portfolio (or any selection) on a day, with the fields that an investor asks for."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Literal

import ibis.expr.types as ir
from pydantic import Field, field_validator

from lending_pipelines.errors import did_you_mean
from lending_pipelines.metrics import payment_history
from lending_pipelines.reports import aging_tables, columns, currency_charts, days, headlines, scopes
from lending_pipelines.reports.book import ReportBook, ReportColumn, ReportTable
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
    "delinquency_history",
    "times_30_12m",
    "times_60_12m",
    "times_90_12m",
    "last_late_on",
    "paid_12m",
    "months_paid_12m",
]
_POSITIONS = TABLES["loan_positions"]
_HISTORY = {column.name: column for column in payment_history.COLUMNS}


class LoanTapeParameters(PersonalData, UnderConventions, KnownAt, ScopeFilters, AsOf):
    """The form of loan_tape."""

    status: Literal["ALL", "active", "closed", "charged_off"] = Field("ALL", description="Loans of one status, or ALL.")
    fields: list[str] = Field(
        _INVESTOR_FIELDS,
        description="Columns of loan_positions and of the payment history, in output order."
        f" Payment history: {', '.join(_HISTORY)}.",
    )
    history_months: int = Field(
        0,
        ge=0,
        le=120,
        description="Number of full months for two more tables: payments in each month, and days past due bucket at its"
        " end, loan by loan; 0: none.",
    )

    @field_validator("fields")
    @classmethod
    def _known(cls, fields: list[str]) -> list[str]:
        known = [*_POSITIONS.names, *_HISTORY]
        if not fields:
            raise ValueError("name at least one field, for example loan_id")
        for name in fields:
            if name not in known:
                raise ValueError(f"unknown field {name!r}; {did_you_mean(name, known)}")
        if repeated := sorted({name for name in fields if fields.count(name) > 1}):
            raise ValueError(f"write {', '.join(repeated)} once")
        return fields


class LoanTape:
    """Prints the rows of loan_positions that the parameters choose."""

    report_type = "loan_tape"
    title = "Loan tape"
    description = "Loan by loan on a day, with chosen fields, payment and delinquency history, totals per currency."
    reads = ("loan_positions", "portfolio_snapshots")
    parameters = LoanTapeParameters

    def covers(self, parameters: LoanTapeParameters, source: ReportSource) -> list[date]:
        """The closed month ends of the history, and the business date."""
        day = days.business_date(source, self.reads, parameters.as_of)
        wanted = payment_history.month_ends(day, parameters.history_months + 1) if parameters.history_months else []
        if not _HISTORY.keys().isdisjoint(parameters.fields):
            wanted += payment_history.month_ends(day, payment_history.MONTHS_OF_HISTORY + 1)
        return days.closed(source, *{*wanted, day})

    def generate(self, parameters: LoanTapeParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the business date is not closed or a scope is unknown."""
        day = days.business_date(source, self.reads, parameters.as_of)
        chosen = scopes.scopes_of(parameters, source, day)
        loans = scopes.chosen_loans(parameters, source, day)
        if parameters.status != "ALL":
            loans = loans.filter(loans.status == parameters.status)
        where = " and ".join(scopes.scope_title(source, day, scope) for scope in chosen) or "all loans"
        kind = "loan" if parameters.status == "ALL" else f"{parameters.status} loan"
        none = f"there is no {kind} of {where} on {day}"
        tape = _tape(self.title, loans, source, day, parameters.fields, none)
        buckets = aging_tables.by_bucket(loans, source.conventions, f"no loan of {where} is active on {day}")
        ends = payment_history.month_ends(day, parameters.history_months + 1)
        return report_book(
            self,
            parameters,
            source,
            day,
            where,
            [
                replace(buckets, for_readers=True),
                tape,
                *(_months(loans, source, ends, none) if parameters.history_months else ()),
            ],
            currency_charts.bars("Principal outstanding by bucket", buckets, "bucket", "principal_outstanding"),
            notes=_notes(parameters, source, ends),
            headlines=_headlines(loans, tape),
            summary={"loans": len(tape.frame), "totals": [columns.headline(row, row) for row in tape.totals]},
        )


def _tape(
    title: str, loans: ir.Table, source: ReportSource, day: date, fields: Sequence[str], none: str
) -> ReportTable:
    """The loans with the fields, and the totals of the amounts of loan_positions."""
    printed = tuple(columns.report_column(_HISTORY.get(name) or _POSITIONS.column(name)) for name in fields)
    summed = [column.name for column in printed if column.kind == "money" and column.name not in _HISTORY]
    totals = columns.totals_by_currency(loans, printed, summed)
    if not _HISTORY.keys().isdisjoint(fields):
        loans = payment_history.with_history(loans, source.table("loan_positions"), day)
    return ReportTable(title, printed, columns.frame(loans.order_by("loan_id").select(*fields)), totals, no_data=none)


def _headlines(loans: ir.Table, tape: ReportTable) -> ReportTable | None:
    """The number of loans and the totals of the tape, per currency."""
    counts = dict(loans.group_by("currency").agg(loans=loans.count()).to_pyarrow().to_pandas().itertuples(index=False))
    names = [column.name for column in tape.columns if any(column.name in total for total in tape.totals)]
    printed = (
        ReportColumn("currency", "Currency", "text"),
        ReportColumn("loans", "Loans", "count"),
        *(column for column in tape.columns if column.name in names and column.kind == "money"),
    )
    return headlines.of_rows(printed, [{**total, "loans": counts[total["currency"]]} for total in tape.totals])


def _months(loans: ir.Table, source: ReportSource, ends: Sequence[date], none: str) -> list[ReportTable]:
    """The payment history and the delinquency history: a row per loan, a column per month, latest month last."""
    rows = payment_history.by_month(loans, source.table("loan_positions"), ends).order_by("loan_id")
    key = columns.lake_columns("loan_positions", "loan_id", "currency")
    months = list(reversed(ends[:-1]))
    paid = (*key, *(ReportColumn(f"paid {end}", f"{end:%Y-%m}", "money") for end in months))
    late = (*key, *(ReportColumn(f"status {end}", f"{end:%Y-%m}", "text") for end in months))
    return [
        ReportTable(
            "Payment history",
            paid,
            columns.frame(rows.select(*(column.name for column in paid))),
            columns.totals_by_currency(rows, paid),
            no_data=none,
        ),
        ReportTable("Delinquency history", late, columns.frame(rows.select(*(c.name for c in late))), no_data=none),
    ]


def _notes(parameters: LoanTapeParameters, source: ReportSource, ends: Sequence[date]) -> list[str]:
    """What the histories mean, and which of their month ends are not closed."""
    notes = [f"{name}: {_HISTORY[name].description}." for name in parameters.fields if name in _HISTORY]
    if not parameters.history_months:
        return notes
    missing = sorted({*ends} - {*days.closed(source, *ends)})
    return [
        *notes,
        "Payment history: principal, interest and fees collected in each month, less refunds. Delinquency history: the"
        " bucket of an active loan at the end of each month, otherwise its status. Both are blank before disbursement"
        " and where a month end is not closed.",
        *([f"Month ends that are not closed: {', '.join(map(str, missing))}."] if missing else []),
    ]


generator = LoanTape()
