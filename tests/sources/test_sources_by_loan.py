"""A sync of Fineract reads the loans that differ from the lake, and only these, whatever the audit columns say."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import ibis
import pyarrow as pa
import pytest
from fineract_lender import LOANS, Lender
from fineract_tenant import Tenant
from hypothesis import given, settings
from hypothesis import strategies as st

from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.lake import Lake
from lending_pipelines.sources import SyncResult, by_loan, sync_tables
from lending_pipelines.sources.by_loan import lake_totals
from lending_pipelines.tables import SERVICING

BY_LOAN = ("installments", "transactions", "accruals", "fees", "journal_lines")
EVERY = ("gl_accounts", "loans", *BY_LOAN)
NEW = (1, 0, 0)

on_postgresql = pytest.mark.parametrize("fineract_tenant", ["postgresql"], indirect=True)


@pytest.fixture
def lender(fineract_tenant: Tenant) -> Lender:
    """Six loans with payments of 33.00 and 40.00 of principal, a journal line each, a fee and an accrual each."""
    fineract_tenant.refill(Path("none"))
    lender = Lender(fineract_tenant)
    lender.insert("acc_gl_account", name="Cash", gl_code="1000", classification_enum=1)
    lender.account = lender.next_id
    for loan in LOANS:
        for principal in (33, 40):
            row = lender.pay(loan, 2, Decimal(principal + 5), lender.on, Decimal(principal), Decimal(5))
            post(lender, f"L{row}", loan_transaction_id=row, entity_type_enum=1, entity_id=loan)
        lender.pay(loan, 10, Decimal(3), lender.on, None, Decimal(3))
        lender.insert("m_loan_charge", loan_id=loan, amount=25, is_active=True, submitted_on_date=lender.on)
    post(lender, "manual")
    return lender


def post(lender: Lender, entry: str, on: date | None = None, **values) -> None:
    lender.insert(
        "acc_gl_journal_entry", transaction_id=entry, account_id=lender.account, office_id=1, type_enum=2, amount=9,
        entry_date=on or lender.on, currency_code="EUR", **values,
    )  # fmt: skip


def test_small_amounts_that_move_between_three_columns_do_not_cancel_out():
    # The amount added to the first column, and those that the other two must have so that the sum does not change.
    for first, second, third in combinations(by_loan.COLUMN_FACTORS, 3):
        for amount in range(1, 100):
            other = Fraction(amount * (first - third), third - second)
            assert other.denominator > 1 or abs(other) > 99 or abs(amount + other) > 99


def outcomes_of(lender: Lender, lake: Lake, *names: str, full: bool = False) -> dict[str, SyncResult | LendingError]:
    tables = [SERVICING[name] for name in names]
    found = sync_tables(lender.tenant.source, tables, lake, Conventions(), full)
    return {table.name: outcome for table, outcome in found}


def sync(lender: Lender, lake: Lake, *names: str, full: bool = False) -> dict[str, SyncResult]:
    outcomes = outcomes_of(lender, lake, *names, full=full)
    assert [str(outcome) for outcome in outcomes.values() if isinstance(outcome, LendingError)] == []
    return outcomes


def changed(outcomes: dict[str, SyncResult]) -> dict[str, tuple[int, int, int]]:
    """The rows added, updated and removed by table, where there are any."""
    return {
        name: found
        for name, outcome in outcomes.items()
        if any(found := (outcome.rows_added, outcome.rows_updated, outcome.rows_removed))
    }


def loans_read(outcomes: dict[str, SyncResult]) -> dict[str, int | None]:
    return {name: outcome.loans_read for name, outcome in outcomes.items() if name in BY_LOAN}


def payment(lender: Lender, loan: int, principal: int) -> int:
    query = f"SELECT id FROM m_loan_transaction WHERE loan_id = {loan} AND principal_portion_derived = {principal}"
    with lender.tenant.engine.connect() as connection:
        return connection.exec_driver_sql(query).scalar_one()


def divide(lender: Lender, row: int, principal: int, interest: int) -> None:
    """Change the portions of a transaction, and not its audit columns."""
    lender.update(
        "m_loan_transaction", f"id = {row}", principal_portion_derived=principal, interest_portion_derived=interest
    )


def undo(lender: Lender, row: int) -> None:
    lender.update(
        "m_loan_transaction", f"id = {row}", is_reversed=True, reversed_on_date=lender.on,
        manually_adjusted_or_reversed=True,
    )  # fmt: skip


def change_every_loan(lender: Lender) -> None:
    """Each loan in another way, without a new audit time."""
    gone = payment(lender, 1, 33)
    lender.tenant.execute(f"DELETE FROM acc_gl_journal_entry WHERE loan_transaction_id = {gone}")
    lender.tenant.execute(f"DELETE FROM m_loan_transaction WHERE id = {gone}")
    divide(lender, payment(lender, 2, 33), 34, 4)
    # Two payments of one day exchange 2.00: no sum of the loan changes.
    first, second = payment(lender, 3, 33), payment(lender, 3, 40)
    divide(lender, first, 35, 3)
    divide(lender, second, 38, 7)
    undo(lender, payment(lender, 4, 33))
    # A replay.
    old = payment(lender, 5, 33)
    lender.update("m_loan_transaction", f"id = {old}", is_reversed=True, reversed_on_date=lender.on)
    new = lender.pay(5, 2, Decimal(38), lender.on, Decimal(32), Decimal(6))
    lender.insert(
        "m_loan_transaction_relation", from_loan_transaction_id=new, to_loan_transaction_id=old, relation_type_enum=3
    )
    # A payment that is new and undone since the last sync.
    undo(lender, lender.pay(6, 2, Decimal(20), lender.on, Decimal(20), None))
    # Schedules: one is longer, one shorter.
    lender.update("m_loan_repayment_schedule", "loan_id = 1 AND installment = 12", duedate=date(2026, 9, 1))
    lender.tenant.execute("DELETE FROM m_loan_repayment_schedule WHERE loan_id = 2 AND installment = 12")
    lender.update("m_loan_charge", "loan_id = 3", amount_waived_derived=5)
    accrued = "transaction_type_enum = 10 AND loan_id"
    lender.update("m_loan_transaction", f"{accrued} = 1", is_reversed=True, reversed_on_date=lender.on)
    lender.update("m_loan_transaction", f"{accrued} = 2", interest_portion_derived=4, amount=4)
    # A line of a loan on an earlier day, and one by hand in an entry that has a line already.
    post(lender, "L99", date(2025, 3, 1), entity_type_enum=1, entity_id=4)
    post(lender, "manual")


def test_every_change_is_found_and_only_its_loan_is_read(lender, lake):
    sync(lender, lake, *EVERY)
    unchanged = sync(lender, lake, *EVERY)
    assert loans_read(unchanged) == dict.fromkeys(BY_LOAN, 0)
    assert sum(unchanged[name].rows_read for name in BY_LOAN) == 0

    change_every_loan(lender)
    outcomes = sync(lender, lake, *EVERY)

    assert loans_read(outcomes) == {
        "installments": 2, "transactions": 6, "accruals": 2, "fees": 1, "journal_lines": 2,
    }  # fmt: skip
    # By loan: a reversal; a reversal and a new row; two of each; a reversal; a reversal and a new row; the same.
    # Accruals: a reversal; a reversal and a new row.
    # The schedules have 12 and 11 installments. The lines are those of loan 1, one more of loan 4, and one by hand.
    assert changed(outcomes) == {
        "loans": (0, 2, 0),
        "transactions": (1 + 2 + 4 + 1 + 2 + 2, 0, 0),
        "installments": (12 + 11, 0, 0),
        "accruals": (1 + 2, 0, 0),
        "fees": (0, 1, 0),
        "journal_lines": (2, 0, 1),
    }
    # Nothing was missed.
    assert changed(sync(lender, lake, *EVERY, full=True)) == {}


@on_postgresql
def test_a_sync_finds_what_came_in_the_same_minute_or_while_another_one_was_interrupted(lender, lake):
    sync(lender, lake, "loans", "installments", "transactions")
    for amount in (11, 12):
        lender.pay(1, 2, Decimal(amount), lender.on, Decimal(amount), None)
        assert changed(sync(lender, lake, "transactions")) == {"transactions": NEW}

    undo(lender, payment(lender, 1, 11))
    tables = [SERVICING[name] for name in ("loans", "installments", "transactions")]
    interrupted = sync_tables(lender.tenant.source, tables, lake, Conventions())
    assert [next(interrupted)[0].name, next(interrupted)[0].name] == ["loans", "installments"]
    interrupted.close()

    assert changed(sync(lender, lake, "transactions")) == {"transactions": NEW}


@on_postgresql
def test_a_new_transaction_of_unknown_type_rejects_the_table_until_it_is_known(lender, lake):
    sync(lender, lake, "transactions")
    new = lender.pay(1, 3, Decimal(20), lender.on, Decimal(20), None)
    for _ in range(2):
        error = outcomes_of(lender, lake, "transactions")["transactions"]
        assert f"transaction_type_enum (transaction_type_enum=3: 1, the first with id {new})" in str(error)
    lender.update("m_loan_transaction", f"id = {new}", transaction_type_enum=2)
    assert changed(sync(lender, lake, "transactions")) == {"transactions": NEW}


@on_postgresql
def test_many_loans_are_read_by_several_selects_and_more_with_the_complete_table(lender, lake, monkeypatch):
    sync(lender, lake, "loans", "installments")
    monkeypatch.setattr("lending_pipelines.sources.fineract.adapter.PARTS_AT_A_TIME", 4)
    for most, read in ((len(LOANS), len(LOANS)), (len(LOANS) - 1, None)):
        monkeypatch.setattr(by_loan, "MOST_PARTS", most)
        lender.tenant.execute("UPDATE m_loan_repayment_schedule SET interest_amount = interest_amount + 1")
        result = sync(lender, lake, "installments")["installments"]
        assert (result.loans_read, result.rows_read, result.rows_added) == (read, 12 * len(LOANS), 12 * len(LOANS))


@on_postgresql
def test_the_installments_of_a_loan_that_is_no_longer_lent_count_no_more(lender, lake):
    sync(lender, lake, "loans", "installments")
    lender.update("m_loan", "id = 2", loan_status_id=500)
    assert changed(sync(lender, lake, "loans", "installments"))["loans"] == (0, 0, 1)
    assert changed(sync(lender, lake, "loans", "installments", full=True)) == {}


@on_postgresql
def test_text_that_changes_alone_is_found_by_a_full_sync(lender, lake):
    sync(lender, lake, "journal_lines")
    lender.update("acc_gl_journal_entry", "entity_id = 1", description="Paid")
    assert sync(lender, lake, "journal_lines")["journal_lines"].loans_read == 0
    assert changed(sync(lender, lake, "journal_lines", full=True)) == {"journal_lines": (0, 2, 0)}


@on_postgresql
def test_contradictions_are_looked_for_in_the_loans_that_changed(lender, lake):
    """All loans have no interest in m_loan, and 66.00 in their schedules."""
    problem = "have interest in m_loan that differs from the schedule"
    every = f"loans: 6 loans {problem} (id 1, 2, 3, 4, 5, 6)"
    assert every in sync(lender, lake, "loans")["loans"].warnings
    assert sync(lender, lake, "loans")["loans"].warnings == ()
    lender.update("m_loan", "id = 3", interest_charged_derived=1, last_modified_on_utc=lender.at())
    assert f"loans: 1 loans {problem} (id 3)" in sync(lender, lake, "loans")["loans"].warnings
    assert every in sync(lender, lake, "loans", full=True)["loans"].warnings


CENTS = st.integers(0, 10**9)


@settings(max_examples=15)
@given(
    amounts=st.lists(CENTS, min_size=2, max_size=12),
    rows=st.tuples(st.integers(0, 11), st.integers(0, 11)),
    moved=st.integers(1, 10**6),
)
def test_an_amount_that_changes_or_moves_to_another_installment_changes_the_totals(amounts, rows, moved):
    first, second = (row % len(amounts) for row in rows)
    more, exchanged = list(amounts), list(amounts)
    more[first] += moved
    exchanged[first] += moved
    exchanged[second] -= moved
    before, after, after_exchange = totals_of(amounts, more, exchanged)
    assert after != before
    assert (after_exchange == before) == (first == second)


def totals_of(*schedules: list[int]) -> list[dict]:
    """The totals of schedules with these principals, each of a loan of its own, without the loan."""
    table = SERVICING["installments"]
    rows = [
        dict.fromkeys(table.names)
        | {"loan_id": f"L{loan}", "number": number, "due_on": date(2025, 6, 1), "principal": Decimal(cents).scaleb(-2)}
        for loan, schedule in enumerate(schedules)
        for number, cents in enumerate(schedule, 1)
    ]
    totals = lake_totals(table, ibis.memtable(pa.Table.from_pylist(rows, table.arrow_schema)))
    found = totals.order_by("loan_id").drop("loan_id").to_pyarrow().to_pylist()
    assert len(found) == len(schedules)
    return found
