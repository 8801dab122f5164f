"""borrower_statement: the account of one loan or borrower over a period, as a letter to the borrower."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Any

import ibis.expr.types as ir
import pandas as pd
from pydantic import Field, model_validator

from lending_pipelines.errors import LendingError
from lending_pipelines.reports import columns, days, headlines, loan_account, no_data
from lending_pipelines.reports.book import ReportBook, ReportColumn, ReportTable, Section
from lending_pipelines.reports.parameters import ALL, InPeriod, KnownAt, PersonalData
from lending_pipelines.reports.periods import Period
from lending_pipelines.reports.protocol import ReportSource, report_book

_LOAN = columns.lake_columns("loan_positions", "loan_id", "currency")
_OPENING = ReportColumn("opening_balance", "Opening balance", "money")
_CHARGED = ReportColumn("charged", "Paid out or charged", "money")
_PAID = ReportColumn("paid", "Paid or credited", "money")
_BALANCE = ReportColumn("balance", "Principal balance", "money")
_CLOSING = ReportColumn("principal_outstanding", "Closing balance", "money")
_DUE = columns.lake_columns("loan_positions", "past_due_amount", "days_past_due", "next_due_on", "next_due_amount")
_ON, _WHAT = ReportColumn("on", "Date", "date"), ReportColumn("description", "Description", "text")
_SPLIT = columns.lake_columns("transactions", "principal", "interest", "fees")

_LOANS = (
    *_LOAN,
    ReportColumn("product", "Product", "text"),
    *columns.lake_columns("loan_positions", "status", "disbursed_on", "matures_on", "annual_rate"),
    _OPENING,
    _CHARGED,
    _PAID,
    _CLOSING,
    *_DUE,
)
_TRANSACTIONS = (
    *_LOAN,
    _ON,
    _WHAT,
    columns.lake_column("transactions", "transaction_id", "Reference"),
    _CHARGED,
    _PAID,
    *_SPLIT,
    _BALANCE,
)
_FEES = (*_LOAN, _ON, _WHAT, _CHARGED, _PAID, ReportColumn("balance", "Unpaid fees", "money"))
_TERMS = (
    *_LOAN,
    *columns.lake_columns("modifications", "effective_on", "type", "before_rate", "after_rate"),
    *columns.lake_columns("modifications", "before_term", "after_term", "before_payment", "after_payment"),
    *columns.lake_columns("modifications", "before_principal", "after_principal"),
)
_SCHEDULE = (
    *_LOAN,
    *columns.lake_columns("installments", "number", "due_on", "principal", "interest", "fees"),
    ReportColumn("due", "Principal and interest", "money"),
    ReportColumn("paid", "Paid", "money"),
    ReportColumn("open", "Open", "money"),
    ReportColumn("state", "State", "text"),
)
_HEADLINES = (_LOAN[1], _OPENING, _PAID, _CLOSING, *_DUE)
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
        # The defaults of the form are incomplete: generate() says so.
        if bool(self.chosen) != self.allow_pii:
            raise ValueError(_INCOMPLETE)
        return self

    @property
    def chosen(self) -> dict[str, str]:
        """The column and value that select the loans."""
        values = {"loan_id": self.loan.strip(), "borrower_id": self.borrower.strip()}
        return {name: value for name, value in values.items() if value.upper() != ALL}


class BorrowerStatement:
    """Prints transactions, fees, modifications and installments of the loans; amounts due are of loan_positions."""

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
        totals, one = _totals(accounts), len(accounts) == 1
        return report_book(
            self,
            parameters,
            source,
            day,
            period.display,
            [
                # The head of the letter has the same of a single loan.
                replace(_table("Loans", _LOANS, accounts, "no loans"), printed_rows=0 if one else None),
                _transactions(accounts, period),
                _fees(source, loans, accounts, period),
                _schedule(source, loans, accounts, day),
                *_terms(source, loans, accounts, period),
            ],
            notes=[*_differences(accounts, day), *_NOTES],
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


def _loans(parameters: BorrowerStatementParameters, source: ReportSource, day: date) -> ir.Table:
    """The chosen rows of loan_positions on the day, with the name of the product. LendingError if there are none."""
    positions = source.table("loan_positions")
    rows = positions.filter(positions.business_date == day)
    for name, value in parameters.chosen.items():
        rows = rows.filter(rows[name] == value)
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
    """What the head of the letter says about a single loan."""
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
        for column in (_OPENING, _PAID, _CLOSING, _DUE[0]):
            total[column.name] = sum((loan[column.name] for loan in loans), _ZERO)
        total["days_past_due"] = max(loan["days_past_due"] for loan in loans)
        dates = [loan["next_due_on"] for loan in loans if loan["next_due_on"] is not None]
        total["next_due_on"] = min(dates, default=None)
        amounts = [loan["next_due_amount"] for loan in loans if dates and loan["next_due_on"] == min(dates)]
        total["next_due_amount"] = sum(amounts, _ZERO) if amounts else None
        found.append(total)
    return found


def _transactions(accounts: Sequence[Mapping[str, Any]], period: Period) -> ReportTable:
    """The transactions of the period with the principal balance after each, between opening and closing balance."""
    rows, sections = [], []
    for account in accounts:
        balance = account["opening_balance"]
        for entry in account["entries"]:
            balance += entry.change
            rows.append({**_key(account), **asdict(entry), "balance": balance})
        opening = {"description": "Opening balance", "balance": account["opening_balance"]}
        closing = {"description": "Closing balance", "charged": account["charged"], "paid": account["paid"]}
        closing["balance"] = balance
        sections.append(Section(_title(account), len(account["entries"]), opening, closing))
    none = f"no transaction from {period.first} to {period.last}"
    return _table("Transactions", _TRANSACTIONS, rows, none, sections)


def _fees(source: ReportSource, loans: ir.Table, accounts: Sequence[Mapping[str, Any]], period: Period) -> ReportTable:
    """The fees of the period with the unpaid fees after each."""
    of_loan = _of_loan(source, "fees", loans)
    rows, sections = [], []
    for account in accounts:
        entries = loan_account.fee_entries(of_loan.get(account["loan_id"], []), period.last)
        unpaid = sum((charged - paid for on, _, charged, paid in entries if on < period.first), _ZERO)
        opening, within = unpaid, [entry for entry in entries if entry[0] >= period.first]
        for on, what, charged, paid in within:
            unpaid += charged - paid
            values = {
                "on": on,
                "description": what,
                "charged": charged or None,
                "paid": paid or None,
                "balance": unpaid,
            }
            rows.append(_key(account) | values)
        before, after = (
            {"description": f"Unpaid fees on {on}", "balance": amount}
            for on, amount in ((period.opening, opening), (period.last, unpaid))
        )
        sections.append(Section(_title(account), len(within), before, after))
    none = no_data.reason(source, ["fees"], f"no fee from {period.first} to {period.last}")
    return _table("Fees", _FEES, rows, none, sections)


def _terms(
    source: ReportSource, loans: ir.Table, accounts: Sequence[Mapping[str, Any]], period: Period
) -> list[ReportTable]:
    """The changes of terms up to the end of the period; nothing if there are none."""
    of_loan = _of_loan(source, "modifications", loans)
    rows = [
        row | _key(account) | {"type": row["type"].replace("_", " ")}
        for account in accounts
        for row in sorted(of_loan.get(account["loan_id"], []), key=lambda row: (row["effective_on"], row["posted_at"]))
        if row["effective_on"] <= period.last
    ]
    return [_table("Changes of terms", _TERMS, rows, "")] if rows else []


def _schedule(source: ReportSource, loans: ir.Table, accounts: Sequence[Mapping[str, Any]], day: date) -> ReportTable:
    """The schedule in force on the day, with what is paid of each installment."""
    of_loan = _of_loan(source, "installments", loans)
    rows: list[dict[str, Any]] = []
    sections = []
    for account in accounts:
        listed = [
            row | _key(account) | {"due": row["principal"] + row["interest"], "paid": paid, "state": state}
            for row, paid, state in loan_account.schedule(of_loan.get(account["loan_id"], []), account["settled"], day)
        ]
        rows += [row | {"open": row["due"] - row["paid"]} for row in listed]
        sums = {
            name: sum((row[name] for row in listed), _ZERO) for name in ("principal", "interest", "fees", "due", "paid")
        }
        after = {"number": "Total", **sums, "open": sums["due"] - sums["paid"]}
        sections.append(Section(_title(account), len(listed), {}, after))
    printed = _table("Payment schedule", _SCHEDULE, rows, "the loans have no schedule", sections)
    return replace(printed, marked=("state", loan_account.PAST_DUE))


def _of_loan(source: ReportSource, name: str, loans: ir.Table) -> dict[str, list[dict[str, Any]]]:
    """The rows of a table for the loans, by loan."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in source.table(name).semi_join(loans, "loan_id").to_pyarrow().to_pylist():
        found.setdefault(row["loan_id"], []).append(row)
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


def _table(
    title: str,
    printed: Sequence[ReportColumn],
    rows: Sequence[Mapping[str, Any]],
    none: str,
    sections: Sequence[Section] = (),
) -> ReportTable:
    """A table of the rows. With sections, their titles name loan and currency."""
    frame = pd.DataFrame(rows, columns=[column.name for column in printed], dtype=object)
    hidden = tuple(column.name for column in _LOAN) if sections else ()
    return ReportTable(
        title, tuple(printed), frame, no_data=none, sections=tuple(sections) if rows else (), unprinted=hidden
    )


def _key(account: Mapping[str, Any]) -> dict[str, Any]:
    return {column.name: account[column.name] for column in _LOAN}


def _title(account: Mapping[str, Any]) -> str:
    return f"Loan {account['loan_id']}, {account['currency']}"


def _plain(value: Any) -> Any:
    """A value ready for JSON: money and dates as text."""
    return str(value) if isinstance(value, Decimal | date) else value


generator = BorrowerStatement()
