"""Deliberate faults of the demonstration, so that a newcomer sees what faults look like.

Each function writes rows into the servicing database as a servicing system would, and returns a line that says what it
did. All other rows come from sample/.
"""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from lending_pipelines.sample import SampleSpec, officers_in_trouble
from lending_pipelines.sample.ledger import FACILITY, OTHER_COSTS, PRINCIPAL, RECOVERIES
from lending_pipelines.tables.sql import servicing_metadata

_CORRECTED, _PAID, _MISTYPED = Decimal("275.00"), Decimal("150.00"), Decimal("60000.00")
_BACKDATED_BY = timedelta(days=10)
_SILENT_DAYS = 6


def correct_ledger_by_hand(connection: sa.Connection, last: date, loan_id: str) -> str:
    """Post an entry against a loan's principal that no transaction explains, two days before the last day.

    Returns:
        What was done.
    """
    day = last - timedelta(days=2)
    posted_at = datetime.combine(day, time(16))
    _post(connection, "M000000001", loan_id, posted_at, day, OTHER_COSTS, PRINCIPAL, _CORRECTED, memo="correction")
    return f"Ledger: an entry of {day} takes {_CORRECTED} off the principal of {loan_id}, and no transaction does."


def backdate_payment(connection: sa.Connection, loan_id: str, tape_day: date) -> str:
    """Post a payment now, with its journal entry, that counts from before the tape's day.

    Returns:
        What was done.
    """
    transaction_id, day = "T-BACKDATED", tape_day - _BACKDATED_BY
    # The payment is posted after the close, so that the close does not include it.
    posted_at = datetime.now(UTC).replace(tzinfo=None)
    _receive(connection, transaction_id, loan_id, "repayment", posted_at, day, _PAID)
    entry = {"transaction_id": transaction_id, "memo": "repayment"}
    _post(connection, "J-BACKDATED", loan_id, posted_at, day, FACILITY, PRINCIPAL, _PAID, **entry)
    return f"Payment: {_PAID} on {loan_id} was posted after the close, with {day} as its date."


def mistype_recovery(connection: sa.Connection, last: date) -> str:
    """Post a recovery on the last day with two zeros too many, with its journal entry.

    Returns:
        What was done; empty if no loan in dollars is charged off.
    """
    tables = servicing_metadata().tables
    loans, transactions = tables["loans"], tables["transactions"]
    charged_off = sa.select(transactions.c.loan_id).where(transactions.c.type == "charge_off")
    in_dollars = sa.and_(loans.c.loan_id.in_(charged_off), loans.c.currency == "USD")
    loan_id = connection.scalar(sa.select(sa.func.min(loans.c.loan_id)).where(in_dollars))
    if loan_id is None:
        return ""
    posted_at = datetime.combine(last, time(15))
    _receive(connection, "T-MISTYPED", loan_id, "recovery", posted_at, last, _MISTYPED)
    entry = {"transaction_id": "T-MISTYPED", "memo": "recovery"}
    _post(connection, "J-MISTYPED", loan_id, posted_at, last, FACILITY, RECOVERIES, _MISTYPED, **entry)
    return f"Anomaly: a recovery of {_MISTYPED / 100:,.2f} on {loan_id} was typed as {_MISTYPED:,.2f} on {last}."


def stop_gateway(connection: sa.Connection, last: date) -> str:
    """Delete the payments of the gateway of the last days, as if they had not been received.

    Returns:
        What was done.
    """
    payments = servicing_metadata().tables["gateway_payments"]
    since = last - timedelta(days=_SILENT_DAYS - 1)
    connection.execute(payments.delete().where(payments.c.paid_at >= datetime.combine(since, time())))
    return f"Data: nothing was received from the payment gateway (gateway_payments) since {since}."


def managers_in_trouble(spec: SampleSpec) -> str:
    """A line about the loan officers whose borrowers stop paying in the sample."""
    unpaid, defaulted = officers_in_trouble(spec)
    return (
        f"Managers: a third of the borrowers of {unpaid} stopped paying in the last three months, and some of those of"
        f" {defaulted} earlier."
    )


def _receive(
    connection: sa.Connection,
    transaction_id: str,
    loan_id: str,
    kind: str,
    posted_at: datetime,
    day: date,
    principal: Decimal,
) -> None:
    """Insert a transaction by which principal is received."""
    row = {
        "transaction_id": transaction_id,
        "loan_id": loan_id,
        "type": kind,
        "effective_on": day,
        "posted_at": posted_at,
        "amount": principal,
        "principal": principal,
        "interest": Decimal(0),
        "fees": Decimal(0),
        "channel": "cash",
    }
    connection.execute(servicing_metadata().tables["transactions"].insert(), row)


def _post(
    connection: sa.Connection,
    entry_id: str,
    loan_id: str,
    posted_at: datetime,
    day: date,
    debited: str,
    credited: str,
    amount: Decimal,
    **columns: Any,
) -> None:
    """Insert a journal entry of two lines in the loan's currency."""
    tables = servicing_metadata().tables
    loans = tables["loans"]
    currency = connection.scalar(sa.select(loans.c.currency).where(loans.c.loan_id == loan_id))
    common = {
        "entry_id": entry_id,
        "entry_date": day,
        "posted_at": posted_at,
        "currency": currency,
        "loan_id": loan_id,
        **columns,
    }
    lines = [(debited, amount, Decimal(0)), (credited, Decimal(0), amount)]
    rows = [
        {**common, "line_no": number, "account_code": account, "debit": debit, "credit": credit}
        for number, (account, debit, credit) in enumerate(lines, start=1)
    ]
    connection.execute(tables["journal_lines"].insert(), rows)
