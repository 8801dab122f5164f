"""The source frappe on loans of every kind, which tests write to one site: what one sync and its positions say of each.

Most have 1,200.00 lent on 1 January 2025.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from frappe_site import Lender, monthly, positions, rows, sync

from lending_pipelines.errors import LendingError
from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import DuckDBEngine

LENT_AT = datetime(2025, 1, 1, 9)
RESTRUCTURED_AT = datetime(2025, 4, 15, 9)
FIRST_PLAN, SECOND_PLAN = monthly(date(2025, 2, 1), 12, 100, 10), monthly(date(2025, 5, 15), 16, 70, 5)
ACCRUED_ON, ACCRUED_AT = date(2025, 1, 31), datetime(2025, 2, 1, 1)


def restructured(lender: Lender, loan: str) -> None:
    """1,200.00 in 12 × (100 + 10) from 1 February; one installment is paid. On 15 April 1,100.00 are pending.

    The 20.00 of interest due on 1 March and 1 April are capitalized: 1,120.00 at 9 % in 16 × (70 + 5) from 15 May.
    """
    lender.lend(loan, 1120, LENT_AT, rate_of_interest=9, repayment_periods=16, disbursed_amount=1200)
    lender.update("Loan Disbursement", f"{loan}-DIS", disbursed_amount=1200)
    lender.schedule("S1", loan, LENT_AT, FIRST_PLAN, status="Restructured")
    lender.pay("restructured-P1", loan, datetime(2025, 2, 1, 9), 100, 10)
    at = RESTRUCTURED_AT
    lender.insert(
        "Loan Restructure", "R1", at, loan=loan, restructure_type="Normal Restructure", status="Approved",
        restructure_date=at, old_rate_of_interest=12, new_rate_of_interest=9, old_tenure=12,
        new_repayment_period_in_months=16, old_emi=110, new_monthly_repayment_amount=75,
        pending_principal_amount=1100, new_loan_amount=1120, treatment_of_normal_interest="Capitalize",
        balance_interest_amount=20,
    )  # fmt: skip
    lender.schedule("S2", loan, at, SECOND_PLAN, loan_restructure="R1", restructure_type="Normal Restructure")
    lender.schedule("S3", loan, datetime(2025, 5, 1), SECOND_PLAN, status="Rejected")


def line_of_credit(lender: Lender, loan: str) -> None:
    line = {"repayment_schedule_type": "Line of Credit"}
    lender.lend(loan, 200, LENT_AT)
    lender.insert(
        "Loan Disbursement", "D2", datetime(2025, 1, 20), against_loan=loan, disbursement_date=date(2025, 1, 20),
        disbursed_amount=100,
    )  # fmt: skip
    one, two = monthly(date(2025, 2, 1), 2, 100, 2), monthly(date(2025, 2, 20), 1, 100, 1)
    lender.schedule("line-S1", loan, LENT_AT, one, loan_disbursement=f"{loan}-DIS", **line)
    lender.schedule("line-S2", loan, datetime(2025, 1, 20), two, loan_disbursement="D2", **line)


def with_fees(lender: Lender, loan: str) -> None:
    at = datetime(2025, 2, 10, 9)
    lender.lend(loan, 1200, LENT_AT)
    demand = {"loan": loan, "demand_date": datetime(2025, 2, 5)}
    lender.insert("Loan Demand", "D1", at, demand_type="EMI", demand_subtype="Interest", demand_amount=10, **demand)
    lender.insert("Loan Demand", "D2", at, demand_type="Penalty", demand_amount=7, waived_amount=3, **demand)
    lender.insert("Loan Demand", "D3", at, demand_type="Charges", demand_amount=20, paid_amount=20, **demand)
    lender.insert("Loan Demand", "D4", at, docstatus=2, demand_type="Charges", demand_amount=9, **demand)
    lender.pay("fees-P1", loan, datetime(2025, 2, 8), 0, repayment_type="Charge Payment", amount_paid=20,
               total_charges_paid=20)  # fmt: skip
    lender.insert(
        "Loan Repayment Detail", "fees-P1-1", at, parent="fees-P1", parenttype="Loan Repayment", loan_demand="D3"
    )


def adjusted(lender: Lender, loan: str) -> None:
    """1,200.00 lent, 50.00 added and 20.00 taken off by adjustments, 300.00 written off in a settlement: 930.00 owed.

    A refunded security deposit and interest that is carried forward change nothing.
    """
    at, on = datetime(2025, 1, 5, 9), {"loan": loan, "posting_date": date(2025, 1, 5)}
    lender.lend(loan, 1200, LENT_AT)
    lender.insert("Loan Balance Adjustment", "A1", at, adjustment_type="Debit Adjustment", amount=50, **on)
    lender.insert("Loan Balance Adjustment", "A2", at, adjustment_type="Credit Adjustment", amount=20, **on)
    lender.insert("Loan Refund", "F1", at, refund_amount=9, is_security_amount_refund=1, **on)
    lender.insert("Loan Write Off", "W1", at, write_off_amount=300, is_settlement_write_off=1, **on)
    lender.pay("P1", loan, at, 0, repayment_type="Interest Waiver", amount_paid=7)
    lender.pay("P2", loan, at, 0, 5, repayment_type="Interest Carry Forward")
    lender.insert("Branch", "North", at, 0)
    lender.insert("Loan Transfer", "T1", at, to_branch="North", transfer_date=date(2025, 2, 1))
    lender.insert("Loan Transfer Detail", "T1-1", at, parent="T1", loan=loan)


def cancelled(lender: Lender, loan: str) -> None:
    lender.lend(loan, 1200, LENT_AT, docstatus=2, status="Cancelled", applicant_type="Employee")
    lender.update("Loan Disbursement", f"{loan}-DIS", docstatus=2)


def written_off(lender: Lender, loan: str) -> None:
    """1,200.00 lent, 50.00, 37.00 and 13.00 added by three kinds of documents, 20.00 repaid: 1,280.00 are written off.

    The adjustment of 9.00 is cancelled.
    """
    at, on = datetime(2025, 1, 5, 9), {"loan": loan, "posting_date": date(2025, 1, 5)}
    lender.lend(loan, 1200, LENT_AT)
    lender.insert("Loan Balance Adjustment", "off-A1", at, adjustment_type="Debit Adjustment", amount=50, **on)
    lender.insert("Loan Balance Adjustment", "off-A2", at, 2, adjustment_type="Debit Adjustment", amount=9, **on)
    restructure = {
        "restructure_date": date(2025, 1, 10),
        "restructure_type": "Normal Restructure",
        "status": "Approved",
    }
    capitalized = {"treatment_of_normal_interest": "Capitalize", "balance_interest_amount": 37}
    lender.insert("Loan Restructure", "off-R1", datetime(2025, 1, 10, 9), loan=loan, **restructure, **capitalized)
    lender.pay("off-P1", loan, datetime(2025, 1, 12, 9), 20)
    lender.pay("off-P2", loan, datetime(2025, 1, 13, 9), 0, 13, repayment_type="Interest Capitalization")
    write_off = {"loan": loan, "posting_date": date(2025, 1, 20), "value_date": date(2025, 1, 20)}
    lender.insert("Loan Write Off", "off-W1", datetime(2025, 1, 20, 9), write_off_amount=0, **write_off)


def accrued(lender: Lender, loan: str) -> None:
    lender.lend(loan, 1200, LENT_AT)
    accrual = {"loan": loan, "posting_date": ACCRUED_AT, "accrual_date": ACCRUED_ON}
    normal = {"interest_type": "Normal Interest", "interest_amount": Decimal("12.345")}
    undone = normal | {"modified": datetime(2025, 2, 5)}
    lender.insert("Loan Interest Accrual", "A1", ACCRUED_AT, **accrual, **normal)
    lender.insert("Loan Interest Accrual", "A2", ACCRUED_AT, 2, **accrual, **undone)
    lender.insert(
        "Loan Interest Accrual", "A3", ACCRUED_AT, **accrual, interest_type="Penal Interest", interest_amount=3
    )


KINDS: tuple[Callable[[Lender, str], None], ...] = (
    restructured, line_of_credit, with_fees, adjusted, cancelled, written_off, accrued,
)  # fmt: skip
"""Each lends a loan that has its name."""


@dataclass
class Synced:
    """The lake after a sync of all these loans, and their positions by day and loan."""

    lake: Lake
    positions: dict[tuple[date, str], dict]

    def rows(self, table: str, loan: str) -> list[dict]:
        return rows(self.lake, table, loan)


@pytest.fixture(scope="module")
def synced(make_frappe_site, lake_engine: DuckDBEngine, tmp_path_factory: pytest.TempPathFactory) -> Synced:
    lender = Lender(make_frappe_site(Path("none")))
    for lend in KINDS:
        lend(lender, lend.__name__)
    lake = Lake(str(tmp_path_factory.mktemp("frappe") / "lake"), lake_engine)
    outcomes = sync(lender.site, lake, "modifications", "fees", "accruals")
    assert [str(outcome) for outcome in outcomes.values() if isinstance(outcome, LendingError)] == []
    return Synced(lake, positions(lake, date(2025, 1, 6), date(2025, 5, 20)))


def test_a_restructure_gives_new_terms_and_a_schedule_that_begins_with_what_was_settled(synced: Synced):
    [modified] = synced.rows("modifications", "restructured")
    assert modified == {
        "modification_id": "R1", "loan_id": "restructured", "type": "rate_reduction",
        "effective_on": date(2025, 4, 15), "before_rate": Decimal("0.12"), "after_rate": Decimal("0.09"),
        "before_term": 12, "after_term": 16, "before_payment": 110, "after_payment": 75, "before_principal": 1100,
        "after_principal": 1120, "posted_at": RESTRUCTURED_AT,
    }  # fmt: skip
    [loan] = synced.rows("loans", "restructured")
    assert (loan["principal"], loan["annual_rate"], loan["term_count"]) == (1200, Decimal("0.12"), 12)
    plan = synced.rows("installments", "restructured")
    amounts = [(row["due_on"], row["principal"], row["interest"]) for row in plan]
    assert amounts[:12] == FIRST_PLAN
    assert amounts[12:] == [(date(2025, 2, 1), 100, 10), (date(2025, 4, 15), 0, 20), *SECOND_PLAN]
    assert {row["version"]: row["effective_on"] for row in plan} == {1: date(2025, 1, 1), 2: date(2025, 4, 15)}

    def on(*day: int) -> tuple:
        row = synced.positions[date(2025, *day), "restructured"]
        return tuple(row[name] for name in ("principal_outstanding", "past_due_amount", "days_past_due", "annual_rate"))

    # On 14 April 2 × 110 are past due since 1 March.
    assert on(4, 14) == (1100, 220, 44, Decimal("0.12"))
    assert on(4, 15) == (1120, 0, 0, Decimal("0.09"))
    assert on(5, 20) == (1120, 75, 5, Decimal("0.09"))


def test_a_line_of_credit_has_the_schedules_of_its_disbursements_at_the_same_time(synced: Synced):
    due = [(row["version"], row["due_on"].isoformat()) for row in synced.rows("installments", "line_of_credit")]
    assert due == [
        (1, "2025-02-01"), (1, "2025-03-01"), (2, "2025-02-01"), (2, "2025-02-20"), (2, "2025-03-01"),
    ]  # fmt: skip


def test_penalties_and_charges_are_fees(synced: Synced):
    fees = {row.pop("fee_id"): row for row in synced.rows("fees", "with_fees")}
    assert fees.keys() == {"D2", "D3"}
    assert (fees["D2"]["fee_type"], fees["D2"]["amount"], fees["D2"]["waived_amount"]) == ("late", 7, 3)
    # No waiver is linked, so it is the day on which the demand changed last.
    assert fees["D2"]["waived_on"] == date(2025, 2, 10)
    assert (fees["D3"]["fee_type"], fees["D3"]["paid_amount"], fees["D3"]["paid_on"]) == (
        "other", 20, date(2025, 2, 8)
    )  # fmt: skip
    [paid] = [row for row in synced.rows("transactions", "with_fees") if row["transaction_id"] == "fees-P1"]
    assert (paid["type"], paid["principal"], paid["fees"]) == ("repayment", 0, 20)


def test_adjustments_settlements_transfers_and_cancelled_loans(synced: Synced):
    events = {row["transaction_id"]: (row["type"], row["channel"]) for row in synced.rows("transactions", "adjusted")}
    assert events == {
        "adjusted-DIS": ("disbursement", None), "A1": ("capitalization", "debit_adjustment"),
        "A2": ("waiver", "credit_adjustment"), "W1": ("write_off", "write_off"), "P1": ("waiver", "interest_waiver"),
    }  # fmt: skip
    [moved], [never_lent] = synced.rows("loans", "adjusted"), synced.rows("loans", "cancelled")
    assert (moved["branch_id"], never_lent["branch_id"]) == ("North", "Harbour")
    assert never_lent["borrower_id"] == "Employee Asha"
    position, of_cancelled = (synced.positions[date(2025, 1, 6), loan] for loan in ("adjusted", "cancelled"))
    assert (position["principal_outstanding"], position["status"]) == (930, "active")
    assert (of_cancelled["principal_outstanding"], of_cancelled["status"]) == (0, "pending")


def test_a_write_off_without_an_amount_is_of_all_that_was_added_to_the_loan(synced: Synced):
    before, after = (synced.positions[date(2025, 1, day), "written_off"] for day in (19, 20))
    assert before["principal_outstanding"] == 1280
    assert (after["principal_charged_off"], after["status"]) == (1280, "charged_off")
    [whole] = [row for row in synced.rows("transactions", "written_off") if row["transaction_id"] == "off-W1"]
    assert whole["principal"] == 1300


def test_accruals_are_interest_and_penalties_and_a_cancelled_one_is_reversed(synced: Synced):
    found = [
        (row["accrual_id"], row["effective_on"], row["interest"], row["fees"], row["reverses_id"], row["posted_at"])
        for row in synced.rows("accruals", "accrued")
    ]
    # 12.345 is rounded half away from zero.
    interest = Decimal("12.35")
    assert found == [
        ("A1", ACCRUED_ON, interest, 0, None, ACCRUED_AT),
        ("A2", ACCRUED_ON, interest, 0, None, ACCRUED_AT),
        ("A2~undone", ACCRUED_ON, interest, 0, "A2", datetime(2025, 2, 5)),
        ("A3", ACCRUED_ON, 0, 3, None, ACCRUED_AT),
    ]
