"""A servicing database, rows by hand, with every oddity that a real one may have at once; each row says which.

Loans are of 100.00 at 12 % from 5 January 2024 unless they say otherwise. Interest is the rate × balance × days ÷ 365,
to the cent: 1.02 to 5 February (31 days), 1.97 to 5 March (60 days).
"""

import sqlite3
from collections.abc import Collection
from pathlib import Path

from lending_pipelines.tables import SERVICING

ABSENT = (
    "officer_assignments",
    "fees",
    "modifications",
    "collection_assignments",
    "collection_contacts",
    "promises_to_pay",
    "users",
    "wallets",
    "wallet_transactions",
    "gateway_payments",
)
"""Optional tables that the database does not have."""

CONTROL_CHARACTER = "L20\r"
"""The id of the loan that an import from CSV left with a carriage return."""

START = "2024-01-05"
TO_MARCH = [("2024-03-05", "100.00", "1.97")]
TO_FEBRUARY = [("2024-02-05", "100.00", "1.02")]


class Database:
    """Rows added by table to a SQLite file whose columns have no types; it does not have the tables `absent`."""

    def __init__(self, path: Path, absent: Collection[str] = ABSENT):
        self._connection = sqlite3.connect(path)
        for table in SERVICING.values():
            if table.name not in absent:
                self._connection.execute(f"CREATE TABLE {table.name} ({', '.join(table.names)})")
        self._entries = 0

    def add(self, table: str, **values: object) -> None:
        columns, places = ", ".join(values), ", ".join("?" * len(values))
        self._connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", list(values.values()))

    def loan(self, loan_id: object, schedule: list[tuple[str, str, str]], **changes: object) -> None:
        """A loan with a schedule of (due_on, principal, interest), without its disbursement."""
        on = str(changes.get("disbursed_on", START))[:10]
        terms = {
            "loan_id": loan_id,
            "borrower_id": 7,
            "product_id": 1,
            "branch_id": 1,
            "officer_id": 1,
            "currency": "USD",
            "principal": "100.00",
            "annual_rate": "0.12",
            "day_count": "30/360",
            "term_count": len(schedule),
            "payment_frequency": "monthly",
            "approved_on": on,
            "disbursed_on": on,
            "first_due_on": schedule[0][0],
            "matures_on": schedule[-1][0],
            "posted_at": f"{on} 12:00:00",
            "updated_at": f"{on} 12:00:00",
        }
        self.add("loans", **terms | changes)
        for number, (due_on, principal, interest) in enumerate(schedule, 1):
            self.add(
                "installments",
                loan_id=loan_id,
                version=1,
                number=number,
                due_on=due_on,
                principal=principal,
                interest=interest,
                fees="0.00",
                effective_on=on,
                posted_at=f"{on} 12:00:00",
            )

    def transact(
        self,
        name: str,
        loan_id: object,
        type_: str,
        on: str,
        amount: str,
        *lines: tuple[str, str, str],
        principal: str | None = None,
        interest: str = "0.00",
        fees: str = "0.00",
        posted_at: str | None = None,
        currency: str = "USD",
    ) -> None:
        """A transaction, all principal unless it says otherwise, and its journal entry of (account, debit, credit)."""
        self.add(
            "transactions",
            transaction_id=name,
            loan_id=loan_id,
            type=type_,
            effective_on=on,
            posted_at=posted_at or f"{on[:10]} 12:00:00",
            amount=amount,
            principal=amount if principal is None else principal,
            interest=interest,
            fees=fees,
        )
        self.enter(loan_id, on[:10], *lines, currency=currency)

    def enter(self, loan_id: object, on: str, *lines: tuple[str, str, str], currency: str = "USD") -> None:
        """A journal entry of (account, debit, credit)."""
        self._entries += 1
        for number, (account, debit, credit) in enumerate(lines, 1):
            self.add(
                "journal_lines",
                entry_id=f"E{self._entries}",
                line_no=number,
                account_code=account,
                entry_date=on,
                posted_at=f"{on} 12:00:00",
                debit=debit,
                credit=credit,
                currency=currency,
                loan_id=loan_id,
            )

    def lend(self, loan_id: object, amount: str = "100.00", on: str = START, currency: str = "USD") -> None:
        """A disbursement as it is booked: principal against cash."""
        lines = (("1200", amount, "0.00"), ("1000", "0.00", amount))
        self.transact(f"{loan_id!r}-D", loan_id, "disbursement", on, amount, *lines, currency=currency)

    def close(self) -> None:
        self._connection.commit()
        self._connection.close()


def build(path: Path) -> None:
    """Make the database."""
    database = Database(path)
    _parties(database)
    _types(database)
    _frequencies(database)
    _events(database)
    _schedules(database)
    _contradictions(database)
    _tables_of_no_position(database)
    database.close()


def _parties(database: Database) -> None:
    # Integer ids, and a date of joining at midnight.
    database.add("branches", branch_id=1, name="Main", region="North")
    database.add(
        "staff",
        staff_id=1,
        full_name="Ann Officer",
        email="ann@example.com",
        role="loan_officer",
        branch_id=1,
        active_from="2020-01-01 00:00:00",
    )
    database.add("borrowers", borrower_id=7, branch_id=1, segment="retail", joined_on="2020-01-01")
    database.add("programs", program_id=1, name="Consumer")
    database.add("programs", program_id=2, name="Interest-free")
    database.add("products", product_id=1, program_id=1, name="Personal", product_type="personal")
    database.add("products", product_id=2, program_id=2, name="Appliance", product_type="personal")
    for code, name, kind, control in (
        ("1000", "Cash", "asset", "cash"),
        ("1200", "Loans", "asset", "principal"),
        # Credit balances are kept in a liability.
        ("2100", "Customer credit balances", "liability", "principal"),
        ("4000", "Interest income", "income", None),
        ("4100", "Fee income", "income", "fee_income"),
        ("5000", "Charge-offs", "expense", "charge_off"),
        # Recoveries are credited to an expense.
        ("6190", "Recoveries", "expense", "recovery"),
        ("9000", "Suspense", "asset", None),
    ):
        database.add("gl_accounts", account_code=code, name=name, account_type=kind, control_for=control)


def _types(database: Database) -> None:
    # 1: integer ids, timestamps at midnight for dates, decimals with trailing zeros, a rate of 8 decimals.
    schedule = [("2024-02-05 00:00:00", "50.0000", "1.0500"), ("2024-03-05 00:00:00", "50.0000", "0.4900")]
    dates = {"disbursed_on": f"{START} 00:00:00", "approved_on": f"{START} 00:00:00"}
    database.loan(1, schedule, principal="100.0000", annual_rate="0.12345678", **dates)
    database.lend(1, "100.0000", f"{START} 00:00:00")
    paid = (("1000", "51.05", "0.00"), ("1200", "0.00", "50.00"), ("4000", "0.00", "1.05"))
    split = {"principal": "50.000", "interest": "1.050"}
    database.transact("T1", 1, "repayment", "2024-02-05 00:00:00", "51.050", *paid, **split)
    # 2: a rate that looks like a percentage.
    database.loan(2, TO_MARCH, annual_rate=12)
    database.lend(2)
    # 3: the largest amount that there may be, in a currency of its own: 9,999,999,999,999,999.99 fall due.
    principal, interest = "9880000000000000.00", "119999999999999.99"
    database.loan(3, [("2024-02-10", principal, interest)], principal=principal, currency="IRR")
    database.lend(3, principal, currency="IRR")
    # An id with a control character; 10.00 of its principal are booked to the wrong account, so it is listed as JSON.
    database.loan(CONTROL_CHARACTER, TO_MARCH)
    lines = (("1200", "90.00", "0.00"), ("9000", "10.00", "0.00"), ("1000", "0.00", "100.00"))
    database.transact("T20", CONTROL_CHARACTER, "disbursement", START, "100.00", *lines)


def _frequencies(database: Database) -> None:
    for loan_id, frequency, schedule in (
        (11, "semimonthly", [("2024-01-20", "50.00", "0.49"), ("2024-02-05", "50.00", "0.26")]),
        (12, "four_weekly", [("2024-02-02", "100.00", "0.92")]),
        (13, "bimonthly", TO_MARCH),
        (14, "semiannual", [("2024-07-05", "100.00", "5.98")]),
        (15, "annual", [("2025-01-05", "100.00", "12.03")]),
        (16, "irregular", [("2024-01-15", "30.00", "0.33"), ("2024-02-20", "70.00", "0.83")]),
    ):
        database.loan(loan_id, schedule, payment_frequency=frequency)
        database.lend(loan_id)
    lines = (("1000", "50.49", "0.00"), ("1200", "0.00", "50.00"), ("4000", "0.00", "0.49"))
    database.transact("T11", 11, "repayment", "2024-01-20", "50.49", *lines, principal="50.00", interest="0.49")
    lines = (("1000", "30.33", "0.00"), ("1200", "0.00", "30.00"), ("4000", "0.00", "0.33"))
    database.transact("T16", 16, "repayment", "2024-01-15", "30.33", *lines, principal="30.00", interest="0.33")


def _events(database: Database) -> None:
    # 5: a repayment whose year of posting is mistyped: it was posted in the future.
    database.loan(5, TO_MARCH)
    database.lend(5)
    lines = (("1000", "10.00", "0.00"), ("1200", "0.00", "10.00"))
    database.transact("T5", 5, "repayment", "2024-02-06", "10.00", *lines, posted_at="2034-02-06 12:00:00")
    # 6: repaid, and 1.02 of interest that had fallen due are still owed.
    database.loan(6, TO_FEBRUARY)
    database.lend(6)
    lines = (("1000", "100.00", "0.00"), ("1200", "0.00", "100.00"))
    database.transact("T6", 6, "repayment", "2024-02-06", "100.00", *lines)
    # 7: 40.00 of 200.00 charged off.
    database.loan(7, [("2024-02-05", "100.00", "2.04"), ("2024-03-05", "100.00", "0.95")], principal="200.00")
    database.lend(7, "200.00")
    database.transact(
        "T7", 7, "charge_off", "2024-02-07", "40.00", ("5000", "40.00", "0.00"), ("1200", "0.00", "40.00")
    )
    # 8: charged off whole; 30.00 come in later and are called a repayment.
    database.loan(8, [("2024-02-05", "150.00", "1.53")], principal="150.00")
    database.lend(8, "150.00")
    lines = (("5000", "150.00", "0.00"), ("1200", "0.00", "150.00"))
    database.transact("T8", 8, "charge_off", "2024-02-06", "150.00", *lines)
    lines = (("1000", "30.00", "0.00"), ("6190", "0.00", "30.00"))
    database.transact("T8-late", 8, "repayment", "2024-02-09", "30.00", *lines)
    # 9: 40.00 charged off, then 100.00 written off of the 60.00 that are left.
    database.loan(9, TO_FEBRUARY)
    database.lend(9)
    database.transact(
        "T9", 9, "charge_off", "2024-02-07", "40.00", ("5000", "40.00", "0.00"), ("1200", "0.00", "40.00")
    )
    lines = (("5000", "60.00", "0.00"), ("1200", "0.00", "60.00"))
    database.transact("T9-rest", 9, "write_off", "2024-02-08", "100.00", *lines)
    # 10: 15.00 paid as fees are refunded as principal before the first due date. At 24 %.
    schedule = [("2024-02-10", "100.00", "4.08"), ("2024-03-10", "100.00", "1.91")]
    database.loan(10, schedule, principal="200.00", annual_rate=0.24, disbursed_on="2024-01-10")
    database.lend(10, "200.00", "2024-01-10")
    lines = (("1000", "15.00", "0.00"), ("4100", "0.00", "15.00"))
    database.transact("T10", 10, "repayment", "2024-01-20", "15.00", *lines, principal="0.00", fees="15.00")
    lines = (("1200", "15.00", "0.00"), ("1000", "0.00", "15.00"))
    database.transact("T10-back", 10, "refund", "2024-01-25", "15.00", *lines)
    # 18: 20.00 paid too much, kept in a liability.
    database.loan(18, TO_FEBRUARY)
    database.lend(18)
    lines = (("1000", "120.00", "0.00"), ("1200", "0.00", "100.00"), ("2100", "0.00", "20.00"))
    database.transact("T18", 18, "repayment", "2024-01-20", "120.00", *lines)


def _schedules(database: Database) -> None:
    # 17: a moratorium of two installments of 0.00; 91 days of interest at the end.
    schedule = [("2024-01-05", "0.00", "0.00"), ("2024-02-05", "0.00", "0.00"), ("2024-03-05", "100.00", "2.99")]
    database.loan(17, schedule, disbursed_on="2023-12-05")
    database.lend(17, on="2023-12-05")
    # 19: interest-free, alone in its program.
    schedule = [("2024-02-05", "50.00", "0.00"), ("2024-03-05", "50.00", "0.00")]
    database.loan(19, schedule, annual_rate=0, product_id=2)
    database.lend(19)
    # A line of 0.00 debit and 0.00 credit.
    lines = (("1000", "50.00", "0.00"), ("1200", "0.00", "50.00"), ("4000", "0.00", "0.00"))
    database.transact("T19", 19, "repayment", "2024-02-05", "50.00", *lines)


def _contradictions(database: Database) -> None:
    # 21: the schedule is of 60.00 out of 100.00.
    database.loan(21, [("2024-02-20", "60.00", "0.91")])
    database.lend(21)
    # 22: all that fell due is paid, as interest, so 100.00 of principal never fall due.
    database.loan(22, TO_FEBRUARY)
    database.lend(22)
    lines = (("1000", "101.02", "0.00"), ("4000", "0.00", "101.02"))
    database.transact("T22", 22, "repayment", "2024-02-05", "101.02", *lines, principal="0.00", interest="101.02")
    # 23: repaid before it was disbursed. The ledger has the entry twice and takes one back by red storno.
    database.loan(23, TO_MARCH)
    database.lend(23)
    lines = (("1000", "10.00", "0.00"), ("1200", "0.00", "10.00"))
    database.transact("T23", 23, "repayment", "2024-01-03", "10.00", *lines)
    database.enter(23, "2024-02-08", *lines)
    database.enter(23, "2024-02-09", ("1000", "-10.00", "0.00"), ("1200", "0.00", "-10.00"))
    # 24: disbursed by its own row, without a disbursement.
    database.loan(24, TO_MARCH)
    for loan_id, unlike in (
        # 25: a term unlike the schedule. 26: a rate unlike the schedule.
        (25, {"term_count": 5}),
        (26, {"annual_rate": 0.3}),
        # 27: an unknown officer. 28: an unknown product.
        (27, {"officer_id": 99}),
        (28, {"product_id": 99}),
    ):
        database.loan(loan_id, TO_MARCH, **unlike)
        database.lend(loan_id)


def _tables_of_no_position(database: Database) -> None:
    # Flags as t and f.
    for check_id, passed in ((1, "t"), (2, "f")):
        database.add(
            "compliance_checks",
            check_id=check_id,
            rule_code="KYC",
            rule_name="Identity known",
            category="kyc",
            loan_id=1,
            checked_on="2024-02-01",
            passed=passed,
        )
    # A bad row in a table that no daily table needs.
    for ticket_id, status in (("TK1", "OPEN"), ("TK2", "open")):
        ticket = {"user_id": "U1", "asset_type": "USD", "side": "lend", "amount": 5, "opened_on": "2024-02-01"}
        database.add("tickets", ticket_id=ticket_id, status=status, **ticket)
