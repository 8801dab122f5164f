"""borrower_statement: the account of one loan or borrower over a period, as a letter to the borrower."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Any

import ibis
import ibis.expr.types as ir
from pydantic import Field, model_validator

from lending_pipelines.errors import LendingError
from lending_pipelines.reports import account_tables, columns, days, headlines, loan_account, scopes
from lending_pipelines.reports.book import ReportBook, ReportColumn
from lending_pipelines.reports.parameters import ALL, InPeriod, KnownAt, PersonalData
from lending_pipelines.reports.periods import Period
from lending_pipelines.reports.protocol import ReportSource, report_book

_OPENING = ReportColumn("opening_balance", "Opening balance", "money")
_CLOSING = ReportColumn("principal_outstanding", "Closing balance", "money")
_DUE = columns.lake_columns("loan_positions", "past_due_amount", "days_past_due", "next_due_on", "next_due_amount")

_LOANS = (
    *account_tables.LOAN,
    ReportColumn("product", "Product", "text"),
    *columns.lake_columns("loan_positions", "status", "disbursed_on", "matures_on", "annual_rate"),
    _OPENING,
    account_tables.CHARGED,
    account_tables.PAID,
    _CLOSING,
    *_DUE,
)
_HEADLINES = (account_tables.LOAN[1], _OPENING, account_tables.PAID, _CLOSING, *_DUE)
_NOTES = (
    "The principal balance is the principal outstanding after each transaction. The interest and fees of a payment do"
    " not change it.",
    "Payments settle the principal and interest of the oldest installment first. Fees are not part of the past due"
    " amount.",
)
_INCOMPLETE = (
    "a statement of account is personal data: set loan or borrower to an id, and allow_pii to true (--set loan=ID --set"
    " allow_pii=true)"
)
_ZERO = Decimal("0.00")


class BorrowerStatementParameters(PersonalData, KnownAt, InPeriod):
    """The form of borrower_statement. A statement is personal data as a whole, so it needs allow_pii."""

    loan: str = Field(ALL, description="Id of the loan, or ALL for a statement of all loans of a borrower.")
    borrower: str = Field(ALL, description="Id of the borrower, or ALL for a statement of one loan.")

    @model_validator(mode="after")
    def _complete(self) -> "BorrowerStatementParameters":
        # The defaults of the form choose no loan and must be accepted here: covers() rejects them.
        if bool(self.chosen) != self.allow_pii:
            raise ValueError(_INCOMPLETE)
        return self

    @property
    def chosen(self) -> dict[str, str]:
        """The column and value that select the loans."""
        values = {"loan_id": self.loan.strip(), "borrower_id": self.borrower.strip()}
        return {name: value for name, value in values.items() if value.upper() != ALL}


class BorrowerStatement:
    """Prints transactions, fees, modifications and installments of the loans; amounts due come from loan_positions."""

    report_type = "borrower_statement"
    title = "Statement of account"
    description = "A letter to a borrower: payments with the balance after each, fees, schedule, and what is due."
    reads = ("loan_positions", "transactions", "installments", "fees", "modifications", "products")
    parameters = BorrowerStatementParameters

    def covers(self, parameters: BorrowerStatementParameters, source: ReportSource) -> list[date]:
        """The last day of the period. LendingError if it is not closed, or no loan or borrower is chosen."""
        period = days.period(parameters, source)
        if not parameters.chosen:
            raise LendingError(f"report {self.report_type}: {_INCOMPLETE}")
        return [days.business_date(source, ("loan_positions",), period.last.isoformat())]

    def positions(self, parameters: BorrowerStatementParameters, source: ReportSource, day: date) -> scopes.Positions:
        """The chosen loans."""
        return lambda rows: _is_chosen(rows, parameters)

    def generate(self, parameters: BorrowerStatementParameters, source: ReportSource) -> ReportBook:
        """The report.

        Raises:
            LendingError: No loan and no borrower is chosen, there is no such loan on the last day, or the last day is
                not closed.
        """
        day = self.covers(parameters, source)[0]
        period = days.period(parameters, source)
        loans = _loans(parameters, source, day)
        accounts = _accounts(source, loans, period)
        totals, one, differences = _totals(accounts), len(accounts) == 1, _differences(accounts, day)
        return report_book(
            self,
            parameters,
            source,
            day,
            period.display,
            [
                # For a single loan, the head of the letter shows the same values.
                replace(account_tables.table("Loans", _LOANS, accounts, "no loans"), printed_rows=0 if one else None),
                account_tables.transactions(accounts, period),
                account_tables.fees(source, loans, accounts, period),
                account_tables.schedule(source, loans, accounts, day),
                *account_tables.terms(source, loans, accounts, period),
            ],
            notes=[*differences, *_NOTES],
            alerts=differences,
            headlines=headlines.of_rows(_HEADLINES, totals),
            summary={
                row["currency"]: {name: _plain(row[name]) for name in row if name != "currency"} for row in totals
            },
            letter={
                "Borrower": accounts[0]["borrower_id"],
                **(_facts(accounts[0]) if one else {"Loans": str(len(accounts))}),
                "Currency": ", ".join(row["currency"] for row in totals),
                "Period": f"{period.first} to {period.last}",
            },
        )


def _is_chosen(positions: ir.Table, parameters: BorrowerStatementParameters) -> ir.BooleanValue:
    """Whether a row of loan_positions is of the chosen loan and borrower."""
    return ibis.and_(*(positions[name] == value for name, value in parameters.chosen.items()))


def _loans(parameters: BorrowerStatementParameters, source: ReportSource, day: date) -> ir.Table:
    """The chosen rows of loan_positions on the day, with the name of the product. LendingError if there are none."""
    positions = source.table("loan_positions")
    rows = positions.filter(positions.business_date == day, _is_chosen(positions, parameters))
    if not rows.count().to_pyarrow().as_py():
        chosen = " and ".join(f"{name} {value!r}" for name, value in parameters.chosen.items())
        raise LendingError(
            f"report borrower_statement: no disbursed loan has {chosen} on {day}: write the id as in the table loans"
        )
    products = source.table("products").select("product_id", product="name")
    return rows.left_join(products, "product_id").drop("product_id_right")


def _accounts(source: ReportSource, loans: ir.Table, period: Period) -> list[dict[str, Any]]:
    """The loans in order, with opening_balance, charged, paid, balance at the end, and the entries of the period."""
    entries = loan_account.entries(source, loans, period.last)
    accounts = []
    for loan in loans.order_by("currency", "loan_id").to_pyarrow().to_pylist():
        all_entries = entries.get(loan["loan_id"], [])
        within = [entry for entry in all_entries if entry.on >= period.first]
        accounts.append(
            loan
            | {
                "opening_balance": sum((entry.change for entry in all_entries if entry.on < period.first), _ZERO),
                "balance": sum((entry.change for entry in all_entries), _ZERO),
                "charged": sum((entry.charged or _ZERO for entry in within), _ZERO),
                "paid": sum((entry.paid or _ZERO for entry in within), _ZERO),
                "entries": within,
            }
        )
    return accounts


def _facts(loan: Mapping[str, Any]) -> dict[str, str]:
    """The facts about a single loan in the head of the letter."""
    facts = {
        "Loan": loan["loan_id"],
        "Product": loan["product"],
        "Interest rate": f"{100 * loan['annual_rate']:.2f}% a year",
        "Paid out on": loan["disbursed_on"],
        "Ends on": loan["matures_on"],
    }
    return {name: str(value) for name, value in facts.items() if value is not None}


def _totals(accounts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The headline numbers of each currency: sums, the most days past due, and the next due date with its amount."""
    found = []
    for currency, each in groupby(accounts, key=lambda account: account["currency"]):
        loans = list(each)
        total: dict[str, Any] = {"currency": currency}
        for column in (_OPENING, account_tables.PAID, _CLOSING, _DUE[0]):
            total[column.name] = sum((loan[column.name] for loan in loans), _ZERO)
        total["days_past_due"] = max(loan["days_past_due"] for loan in loans)
        dates = [loan["next_due_on"] for loan in loans if loan["next_due_on"] is not None]
        total["next_due_on"] = min(dates, default=None)
        amounts = [loan["next_due_amount"] for loan in loans if dates and loan["next_due_on"] == min(dates)]
        total["next_due_amount"] = sum(amounts, _ZERO) if amounts else None
        found.append(total)
    return found


def _differences(accounts: Sequence[Mapping[str, Any]], day: date) -> list[str]:
    """A note for each loan whose transactions do not add up to its closed position."""
    return [
        f"The transactions of loan {account['loan_id']} add up to {account['balance']}, but its principal outstanding"
        f" on {day} is {account['principal_outstanding']}: transactions were posted after the close. Close the day"
        f" again with lending close --from {day} --to {day} --force."
        for account in accounts
        if account["balance"] != account["principal_outstanding"]
    ]


def _plain(value: Any) -> Any:
    """A value ready for JSON: money and dates as text."""
    return str(value) if isinstance(value, Decimal | date) else value


generator = BorrowerStatement()
