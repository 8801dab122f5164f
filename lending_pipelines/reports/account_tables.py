"""Tables of the statement of account: transactions, fees, changes of terms and the payment schedule of loans.

An account is a row of loan_positions with opening_balance, charged, paid, and `entries` of the period. The entries and
installments are computed in loan_account.py. This is not a report type.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from decimal import Decimal
from typing import Any

import ibis.expr.types as ir
import pandas as pd

from lending_pipelines.reports import columns, loan_account, no_data
from lending_pipelines.reports.book import ReportColumn, ReportTable, Section
from lending_pipelines.reports.periods import Period
from lending_pipelines.reports.protocol import ReportSource

Account = Mapping[str, Any]
"""A loan of the statement."""

LOAN = columns.lake_columns("loan_positions", "loan_id", "currency")
CHARGED = ReportColumn("charged", "Paid out or charged", "money")
PAID = ReportColumn("paid", "Paid or credited", "money")
_BALANCE = ReportColumn("balance", "Principal balance", "money")
_ON, _WHAT = ReportColumn("on", "Date", "date"), ReportColumn("description", "Description", "text")
_SPLIT = columns.lake_columns("transactions", "principal", "interest", "fees")
_TRANSACTIONS = (
    *LOAN,
    _ON,
    _WHAT,
    columns.lake_column("transactions", "transaction_id", "Reference"),
    CHARGED,
    PAID,
    *_SPLIT,
    _BALANCE,
)
_FEES = (*LOAN, _ON, _WHAT, CHARGED, PAID, ReportColumn("balance", "Unpaid fees", "money"))
_TERMS = (
    *LOAN,
    *columns.lake_columns("modifications", "effective_on", "type", "before_rate", "after_rate"),
    *columns.lake_columns("modifications", "before_term", "after_term", "before_payment", "after_payment"),
    *columns.lake_columns("modifications", "before_principal", "after_principal"),
)
_SCHEDULE = (
    *LOAN,
    *columns.lake_columns("installments", "number", "due_on", "principal", "interest", "fees"),
    ReportColumn("due", "Principal and interest", "money"),
    ReportColumn("paid", "Paid", "money"),
    ReportColumn("open", "Open", "money"),
    ReportColumn("state", "State", "text"),
)
_ZERO = Decimal("0.00")


def transactions(accounts: Sequence[Account], period: Period) -> ReportTable:
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
    return table("Transactions", _TRANSACTIONS, rows, none, sections)


def fees(source: ReportSource, loans: ir.Table, accounts: Sequence[Account], period: Period) -> ReportTable:
    """The fees of the period, with the unpaid total after each entry."""
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
    return table("Fees", _FEES, rows, none, sections)


def terms(source: ReportSource, loans: ir.Table, accounts: Sequence[Account], period: Period) -> list[ReportTable]:
    """The table of changes of terms up to the end of the period; an empty list if there are none."""
    of_loan = _of_loan(source, "modifications", loans)
    rows = [
        row | _key(account) | {"type": row["type"].replace("_", " ")}
        for account in accounts
        for row in sorted(of_loan.get(account["loan_id"], []), key=lambda row: (row["effective_on"], row["posted_at"]))
        if row["effective_on"] <= period.last
    ]
    return [table("Changes of terms", _TERMS, rows, "")] if rows else []


def schedule(source: ReportSource, loans: ir.Table, accounts: Sequence[Account], day: date) -> ReportTable:
    """The schedule in force on the day, with the amount paid of each installment."""
    of_loan = _of_loan(source, "installments", loans)
    rows: list[dict[str, Any]] = []
    sections = []
    for account in accounts:
        listed = [
            row
            | _key(account)
            | {"due": row["principal"] + row["interest"], "paid": paid, "open": left, "state": state}
            for row, paid, left, state in loan_account.schedule(of_loan.get(account["loan_id"], []), account, day)
        ]
        rows += listed
        amounts = ("principal", "interest", "fees", "due", "paid", "open")
        sums = {name: sum((row[name] for row in listed), _ZERO) for name in amounts}
        sections.append(Section(_title(account), len(listed), {}, {"number": "Total", **sums}))
    printed = table("Payment schedule", _SCHEDULE, rows, "the loans have no schedule", sections)
    return replace(printed, marked=("state", loan_account.PAST_DUE))


def _of_loan(source: ReportSource, name: str, loans: ir.Table) -> dict[str, list[dict[str, Any]]]:
    """The rows of a lake table for the loans, by loan_id."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in source.table(name).semi_join(loans, "loan_id").to_pyarrow().to_pylist():
        found.setdefault(row["loan_id"], []).append(row)
    return found


def table(
    title: str,
    printed: Sequence[ReportColumn],
    rows: Sequence[Mapping[str, Any]],
    none: str,
    sections: Sequence[Section] = (),
) -> ReportTable:
    """A table of the rows. With sections, their titles name loan and currency."""
    frame = pd.DataFrame(rows, columns=[column.name for column in printed], dtype=object)
    hidden = tuple(column.name for column in LOAN) if sections else ()
    return ReportTable(
        title, tuple(printed), frame, no_data=none, sections=tuple(sections) if rows else (), unprinted=hidden
    )


def _key(account: Account) -> dict[str, Any]:
    """The values of the columns LOAN."""
    return {column.name: account[column.name] for column in LOAN}


def _title(account: Account) -> str:
    return f"Loan {account['loan_id']}, {account['currency']}"
