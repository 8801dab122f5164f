"""A lender of two loans over four days, worked by hand. No check finds anything wrong.

L1: 1,000.00 disbursed on 1 January; due 31 January 100.00 + 10.00 (paid that day) and 28 February 900.00 + 9.00.
L2: 500.00 of 1,000.00 disbursed on 31 January; due 1 February 500.00 + 5.00, not paid: one day past due on 2 February.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from lending_pipelines.checks import Days, Outcome, checks_for
from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.tables import TABLES

CONVENTIONS = Conventions(transition_step="day")
JAN_30, JAN_31, FEB_1, FEB_2 = (date(2025, 1, 30) + timedelta(days=n) for n in range(4))
DAYS = (JAN_30, JAN_31, FEB_1, FEB_2)
DISBURSED = date(2025, 1, 1)

Rows = list[dict[str, Any]]
World = dict[str, Rows]

_DEFAULTS = {
    "string": "x",
    "decimal(18, 2)": Decimal("0.00"),
    "decimal(12, 8)": Decimal("0.100000"),
    "float64": None,
    "int64": 0,
    "date": DISBURSED,
    "timestamp(6)": datetime(2025, 1, 2),
    "boolean": False,
}


def row(table: str, **values: Any) -> dict[str, Any]:
    """A row of the table: the values given, plain ones for the other required columns, null for the rest."""
    columns = TABLES[table].columns
    plain = {c.name: None if c.nullable else (c.values[0] if c.values else _DEFAULTS[c.type]) for c in columns}
    assert set(values) <= set(plain)
    money = {c.name for c in columns if c.type == "decimal(18, 2)"}
    exact = {name: Decimal(value) if name in money and value is not None else value for name, value in values.items()}
    return plain | exact


def reader(world: World) -> Callable[[str], ir.Table]:
    """A lake that holds the world's tables; a table that the world lacks cannot be read."""

    def read(name: str) -> ir.Table:
        if name not in world:
            raise LendingError(f"table {name} cannot be read")
        return ibis.memtable(pa.Table.from_pylist(world[name], schema=TABLES[name].arrow_schema))

    return read


def evaluate(
    world: World,
    table: str,
    name: str,
    first: date = JAN_31,
    last: date = FEB_2,
    conventions: Conventions = CONVENTIONS,
) -> Outcome:
    """What the check of that name finds."""
    (check,) = (check for check in checks_for(table, conventions) if check.name == name)
    return check.evaluate(reader(world), Days.between(first, last))


def find(rows: Rows, **where: Any) -> dict[str, Any]:
    """The one row that has these values."""
    (found,) = (row for row in rows if all(row[name] == value for name, value in where.items()))
    return found


def whole_world() -> World:
    """The two loans, in every table that the checks read."""
    return {name: [] for name in TABLES} | {
        "loans": [
            row(
                "loans",
                loan_id="L1",
                product_id="P",
                disbursed_on=DISBURSED,
                term_count=2,
                annual_rate=Decimal("0.1256"),
            ),
            row(
                "loans",
                loan_id="L2",
                product_id="P",
                disbursed_on=JAN_31,
                term_count=1,
                principal="1000",
                annual_rate=Decimal("1.825"),
                posted_at=datetime(2025, 1, 31, 9),
            ),
        ],
        "products": [row("products", product_id="P", program_id="G")],
        "programs": [row("programs", program_id="G")],
        "transactions": [
            _paid("T1", "L1", "disbursement", DISBURSED, "1000"),
            _paid("T2", "L1", "repayment", JAN_31, "100", interest="10"),
            _paid("T3", "L2", "disbursement", JAN_31, "500"),
        ],
        "installments": [
            _due("L1", 1, JAN_31, "100", "10", DISBURSED),
            _due("L1", 2, date(2025, 2, 28), "900", "9", DISBURSED),
            _due("L2", 1, FEB_1, "500", "5", JAN_31),
        ],
        "loan_positions": [
            *(_position_l1(day) for day in DAYS),
            *(_position_l2(day) for day in DAYS if day >= JAN_31),
        ],
        **_added_up(),
        **_managers(),
        **_platform(),
        **_ledger(),
    }


def _paid(transaction_id: str, loan_id: str, kind: str, on: date, principal: str, interest: str = "0") -> dict:
    midnight = datetime(on.year, on.month, on.day) + timedelta(days=1)
    split = {"principal": principal, "interest": interest, "amount": Decimal(principal) + Decimal(interest)}
    return row(
        "transactions",
        transaction_id=transaction_id,
        loan_id=loan_id,
        type=kind,
        effective_on=on,
        posted_at=midnight,
        **split,
    )


def _due(loan_id: str, number: int, due_on: date, principal: str, interest: str, effective_on: date) -> dict:
    return row(
        "installments",
        loan_id=loan_id,
        version=1,
        number=number,
        due_on=due_on,
        principal=principal,
        interest=interest,
        effective_on=effective_on,
    )


def _position_l1(day: date) -> dict:
    paid = {
        "principal_paid": "100",
        "interest_paid": "10",
        "total_collected": "110",
        "scheduled_due": "110",
        "settled": "110",
        "principal_outstanding": "900",
        "oldest_due_on": date(2025, 2, 28),
        "next_due_on": date(2025, 2, 28),
    }
    before = {"principal_outstanding": "1000", "oldest_due_on": JAN_31, "next_due_on": JAN_31}
    return _position(day, "L1", principal_disbursed="1000", **(paid if day >= JAN_31 else before))


def _position_l2(day: date) -> dict:
    due = {"scheduled_due": "505", "past_due_amount": "505", "past_due_principal": "500", "past_due_interest": "5"}
    late = {"days_past_due": 1, "bucket": "1-29"}
    return _position(
        day,
        "L2",
        principal_disbursed="500",
        principal_outstanding="500",
        disbursed_on=JAN_31,
        oldest_due_on=FEB_1,
        **(due if day >= FEB_1 else {"next_due_on": FEB_1}),
        **(late if day >= FEB_2 else {}),
    )


def _position(day: date, loan_id: str, **values: Any) -> dict:
    plain = {"bucket": "current", "status": "active", "currency": "USD", "product_id": "P", "program_id": "G"}
    branch = {"branch_id": "B", "vintage": "2025Q1"}
    return row("loan_positions", business_date=day, loan_id=loan_id, **(plain | branch | values))


SCOPES = (("all", "*"), ("program", "G"), ("product", "P"), ("branch", "B"), ("vintage", "2025Q1"))
"""The scopes that both loans are in: no portfolio, no investor."""


def _scoped(table: str, day: date, rows: Rows) -> Rows:
    """The rows once per scope: here every scope holds both loans."""
    return [
        row(table, business_date=day, scope=scope, scope_id=scope_id, currency="USD", **values)
        for scope, scope_id in SCOPES
        for values in rows
    ]


def _bucket(bucket: str, loans: int, principal: str, past_due: str, share: float) -> dict:
    amounts = {"principal_outstanding": principal, "past_due_amount": past_due, "balance_share": share}
    return {"bucket": bucket, "loan_count": loans, **amounts}


def _move(day: date, before: str, after: str, loans: int, principal: str, rate: float | None, balance: float | None):
    return {
        "from_date": day - timedelta(days=1),
        "from_bucket": before,
        "to_bucket": after,
        "loan_count": loans,
        "opening_principal": principal,
        "count_rate": rate,
        "balance_rate": balance,
    }


def _snapshot(past_due: str = "0", delinquent: str = "0") -> dict:
    return {
        "total_balance": "1400",
        "loan_count": 2,
        "past_due_amount": past_due,
        "delinquent_amount": delinquent,
        "total_disbursed": "1500",
        "total_collected": "110",
        "moic": 110 / 1500,
        "par_30": 0.0,
        "par_60": 0.0,
        "par_90": 0.0,
        "bucket_breakdown": "{}",
    }


def _added_up() -> World:
    current = _bucket("current", 2, "1400", "0", 1.0)
    on_due_date = _bucket("current", 2, "1400", "505", 1.0)
    late = [_bucket("current", 1, "900", "0", 900 / 1400), _bucket("1-29", 1, "500", "505", 500 / 1400)]
    return {
        "aging_buckets": [
            *_scoped("aging_buckets", JAN_31, [current]),
            *_scoped("aging_buckets", FEB_1, [on_due_date]),
            *_scoped("aging_buckets", FEB_2, late),
        ],
        "aging_transitions": [
            *_scoped(
                "aging_transitions",
                JAN_31,
                [
                    _move(JAN_31, "current", "current", 1, "1000", 1.0, 1.0),
                    _move(JAN_31, "new", "current", 1, "0", None, None),
                ],
            ),
            *_scoped("aging_transitions", FEB_1, [_move(FEB_1, "current", "current", 2, "1400", 1.0, 1.0)]),
            *_scoped(
                "aging_transitions",
                FEB_2,
                [
                    _move(FEB_2, "current", "current", 1, "900", 0.5, 900 / 1400),
                    _move(FEB_2, "current", "1-29", 1, "500", 0.5, 500 / 1400),
                ],
            ),
        ],
        "portfolio_snapshots": [
            *_scoped("portfolio_snapshots", JAN_31, [_snapshot()]),
            *_scoped("portfolio_snapshots", FEB_1, [_snapshot(past_due="505")]),
            *_scoped("portfolio_snapshots", FEB_2, [_snapshot(past_due="505", delinquent="500")]),
        ],
    }


def _managers() -> World:
    """Neither loan has an officer."""
    summed = {
        "total_clients": 1,
        "active_clients": 1,
        "active_loans": 2,
        "total_loans": 2,
        "total_disbursed": "1500",
        "total_outstanding": "1400",
        "total_collected": "110",
        "par_30": 0.0,
        "par_60": 0.0,
        "par_90": 0.0,
    }
    keys = {"manager_id": "unassigned", "role": "unassigned", "currency": "USD"}
    rows = [row("manager_snapshots", business_date=day, **keys, **summed) for day in (JAN_31, FEB_1, FEB_2)]
    return {"manager_snapshots": rows}


def _platform() -> World:
    """A user who joined on 1 February, and a ticket that was opened that day and stays open."""
    counts = {JAN_31: 0, FEB_1: 1, FEB_2: 1}
    return {
        "users": [row("users", user_id="U", joined_on=FEB_1)],
        "tickets": [row("tickets", ticket_id="T", user_id="U", opened_on=FEB_1)],
        "platform_activity": [
            row("platform_activity", business_date=day, currency="USD", active_loans=2, total_volume="10")
            | {"total_users": number, "total_tickets": number, "open_tickets": number}
            for day, number in counts.items()
        ],
    }


def _ledger() -> World:
    """The three transactions booked: principal 1100, cash 1000, interest income 4000."""
    entries = (
        ("E1", DISBURSED, (("1100", "1000", "0"), ("1000", "0", "1000"))),
        ("E2", JAN_31, (("1000", "110", "0"), ("1100", "0", "100"), ("4000", "0", "10"))),
        ("E3", JAN_31, (("1100", "500", "0"), ("1000", "0", "500"))),
    )
    lines = [
        row(
            "journal_lines",
            entry_id=entry,
            line_no=number,
            account_code=account,
            entry_date=on,
            debit=debit,
            credit=credit,
            currency="USD",
        )
        for entry, on, sides in entries
        for number, (account, debit, credit) in enumerate(sides, start=1)
    ]
    closing = (("1000", "110", "1500"), ("1100", "1500", "100"), ("4000", "0", "10"))
    return {
        "gl_accounts": [
            row("gl_accounts", account_code="1000", control_for="cash"),
            row("gl_accounts", account_code="1100", control_for="principal"),
            row("gl_accounts", account_code="4000", control_for="interest_income"),
        ],
        "journal_lines": lines,
        "trial_balance": [_balance(day, *account) for day in (JAN_31, FEB_1, FEB_2) for account in closing],
        "ledger_tieouts": [
            row(
                "ledger_tieouts",
                business_date=day,
                control_for="principal",
                currency="USD",
                ledger_balance="1400",
                subledger_balance="1400",
                loans="[]",
            )
            for day in (JAN_31, FEB_1, FEB_2)
        ],
    }


def _balance(day: date, account: str, debit: str, credit: str) -> dict:
    net = Decimal(debit) - Decimal(credit)
    return row(
        "trial_balance",
        business_date=day,
        account_code=account,
        currency="USD",
        debit_total=debit,
        credit_total=credit,
        balance=net,
        debit_balance=max(net, Decimal(0)),
        credit_balance=max(-net, Decimal(0)),
    )
