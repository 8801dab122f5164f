"""The source frappe on documents that tests write: cancelled, amended, restructured, edited in place, and unknown."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from frappe_site import Lender, Site, monthly, positions, rows, sync

from lending_pipelines.lake import Lake
from lending_pipelines.sources import SourceError
from lending_pipelines.tables import SERVICING

NOWHERE = Path("none")


@pytest.fixture(scope="module")
def site(make_frappe_site) -> Site:
    """A site with all tables, which the tests fill one after the other."""
    return make_frappe_site(NOWHERE)


@pytest.fixture
def lender(site: Site) -> Lender:
    """An empty site."""
    site.refill(NOWHERE)
    return Lender(site)


@pytest.fixture
def own_lender(make_frappe_site) -> Lender:
    """An empty site of the test's own, whose tables it may change."""
    return Lender(make_frappe_site(NOWHERE))


def test_a_cancelled_repayment_is_reversed_on_its_own_date_and_its_amendment_counts(own_lender: Lender, lake: Lake):
    """110.00 paid at 1 February for 1 February, cancelled on 10 February and amended to 90.00.

    The site is in Kolkata, which is 5:30 before UTC.
    """
    own_lender.site.execute("CREATE TABLE `tabSingles` (doctype varchar(255), field varchar(255), value longtext)")
    own_lender.site.execute("INSERT INTO `tabSingles` VALUES ('System Settings', 'time_zone', 'Asia/Kolkata')")
    entered, cancelled = datetime(2025, 2, 3, 3), datetime(2025, 2, 10, 12)
    own_lender.lend("L1", 1200, datetime(2025, 1, 1, 9))
    own_lender.pay("P1", "L1", entered, 100, 10, value_date=date(2025, 2, 1), creation=datetime(2025, 2, 2))
    own_lender.update("Loan Repayment", "P1", docstatus=2, modified=cancelled)
    own_lender.pay("P1-1", "L1", cancelled, 80, 10, value_date=date(2025, 2, 1), amended_from="P1")
    own_lender.pay("P2", "L1", cancelled, 50, docstatus=0)
    sync(own_lender.site, lake)

    events = {row["transaction_id"]: row for row in rows(lake, "transactions", "L1")}
    assert events.keys() == {"L1-DIS", "P1", "P1~undone", "P1-1"}
    assert {name: row["effective_on"] for name, row in events.items() if name != "L1-DIS"} == dict.fromkeys(
        ("P1", "P1~undone", "P1-1"), date(2025, 2, 1)
    )
    # 3:00 in Kolkata is 21:30 of the day before in UTC.
    assert events["P1"]["posted_at"] == datetime(2025, 2, 2, 21, 30)
    assert events["P1~undone"]["posted_at"] == events["P1-1"]["posted_at"] == datetime(2025, 2, 10, 6, 30)
    assert (events["P1~undone"]["type"], events["P1~undone"]["reverses_id"]) == ("reversal", "P1")

    def owed(known_at: datetime) -> Decimal:
        on = date(2025, 2, 5)
        return positions(lake, on, on, known_at)[on, "L1"]["principal_outstanding"]

    assert [owed(datetime(2025, 2, 9)), owed(datetime(2025, 2, 11))] == [1100, 1120]


def test_what_changes_in_place_is_kept_from_the_first_sync_on(lender: Lender, lake: Lake):
    """A schedule is edited, a repost gives a repayment other portions, and a repayment is cancelled."""
    lender.lend("L1", 1200, datetime(2025, 1, 1, 9))
    lender.schedule("S1", "L1", datetime(2025, 1, 1, 9), monthly(date(2025, 2, 1), 12, 100, 10))
    lender.pay("P1", "L1", datetime(2025, 2, 1, 9), 100, 10)
    lender.pay("P2", "L1", datetime(2025, 3, 1, 9), 100, 10)
    sync(lender.site, lake)
    known_at = max(lake.written_at(name)[1] for name in ("installments", "transactions"))
    on = date(2025, 3, 10)
    before = positions(lake, on, on)
    assert before[on, "L1"]["past_due_amount"] == 0

    lender.update("Repayment Schedule", "S1-2", interest_amount=16)
    lender.update("Loan Repayment", "P1", principal_amount_paid=95, total_interest_paid=15)
    lender.update("Loan Repayment", "P2", docstatus=2)
    sync(lender.site, lake)
    plan = rows(lake, "installments", "L1")
    assert [(row["version"], row["interest"]) for row in plan if row["number"] == 2] == [(1, 10), (2, 16)]
    # A change inside a schedule counts from the date of the schedule.
    assert {row["effective_on"] for row in plan} == {date(2025, 1, 1)}
    events = {row["transaction_id"]: row for row in rows(lake, "transactions", "L1")}
    assert events.keys() == {"L1-DIS", "P1", "P1~undone", "P1~2", "P2", "P2~undone"}
    assert (events["P1~2"]["principal"], events["P1~2"]["interest"]) == (95, 15)
    now = positions(lake, on, on)[on, "L1"]
    # 1,200 − 95; due are 110 + 116, settled are 110.
    assert (now["principal_outstanding"], now["past_due_amount"], now["days_past_due"]) == (1105, 116, 9)
    assert positions(lake, on, on, known_at) == before

    outcomes = sync(lender.site, lake)
    assert (outcomes["transactions"].rows_added, outcomes["installments"].rows_added) == (0, 0)


def test_a_restructure_gives_new_terms_and_a_schedule_that_begins_with_what_was_settled(lender: Lender, lake: Lake):
    """1,200.00 in 12 × (100 + 10) from 1 February; one installment is paid. On 15 April 1,100.00 are pending.

    The 20.00 of interest due on 1 March and 1 April are capitalized: 1,120.00 at 9 % in 16 × (70 + 5) from 15 May.
    """
    lender.lend("L1", 1120, datetime(2025, 1, 1, 9), rate_of_interest=9, repayment_periods=16, disbursed_amount=1200)
    lender.update("Loan Disbursement", "L1-DIS", disbursed_amount=1200)
    first = monthly(date(2025, 2, 1), 12, 100, 10)
    lender.schedule("S1", "L1", datetime(2025, 1, 1, 9), first, status="Restructured")
    lender.pay("P1", "L1", datetime(2025, 2, 1, 9), 100, 10)
    at = datetime(2025, 4, 15, 9)
    lender.insert(
        "Loan Restructure", "R1", at, loan="L1", restructure_type="Normal Restructure", status="Approved",
        restructure_date=at, old_rate_of_interest=12, new_rate_of_interest=9, old_tenure=12,
        new_repayment_period_in_months=16, old_emi=110, new_monthly_repayment_amount=75,
        pending_principal_amount=1100, new_loan_amount=1120, treatment_of_normal_interest="Capitalize",
        balance_interest_amount=20,
    )  # fmt: skip
    second = monthly(date(2025, 5, 15), 16, 70, 5)
    lender.schedule("S2", "L1", at, second, loan_restructure="R1", restructure_type="Normal Restructure")
    lender.schedule("S3", "L1", datetime(2025, 5, 1), second, status="Rejected")
    sync(lender.site, lake, "modifications")

    [modified] = rows(lake, "modifications", "L1")
    assert modified == {
        "modification_id": "R1", "loan_id": "L1", "type": "rate_reduction", "effective_on": date(2025, 4, 15),
        "before_rate": Decimal("0.12"), "after_rate": Decimal("0.09"), "before_term": 12, "after_term": 16,
        "before_payment": 110, "after_payment": 75, "before_principal": 1100, "after_principal": 1120,
        "posted_at": at,
    }  # fmt: skip
    [loan] = rows(lake, "loans", "L1")
    assert (loan["principal"], loan["annual_rate"], loan["term_count"]) == (1200, Decimal("0.12"), 12)
    plan = rows(lake, "installments", "L1")
    amounts = [(row["due_on"], row["principal"], row["interest"]) for row in plan]
    assert amounts[:12] == first
    assert amounts[12:] == [(date(2025, 2, 1), 100, 10), (date(2025, 4, 15), 0, 20), *second]
    assert {row["version"]: row["effective_on"] for row in plan} == {1: date(2025, 1, 1), 2: date(2025, 4, 15)}

    by_day = positions(lake, date(2025, 4, 14), date(2025, 5, 20))

    def on(*day: int) -> tuple:
        row = by_day[date(2025, *day), "L1"]
        return tuple(row[name] for name in ("principal_outstanding", "past_due_amount", "days_past_due", "annual_rate"))

    # On 14 April 2 × 110 are past due since 1 March.
    assert on(4, 14) == (1100, 220, 44, Decimal("0.12"))
    assert on(4, 15) == (1120, 0, 0, Decimal("0.09"))
    assert on(5, 20) == (1120, 75, 5, Decimal("0.09"))


def test_a_line_of_credit_has_the_schedules_of_its_disbursements_at_the_same_time(lender: Lender, lake: Lake):
    line = {"repayment_schedule_type": "Line of Credit"}
    lender.lend("L1", 200, datetime(2025, 1, 1, 9))
    lender.insert(
        "Loan Disbursement", "D2", datetime(2025, 1, 20), against_loan="L1", disbursement_date=date(2025, 1, 20),
        disbursed_amount=100,
    )  # fmt: skip
    one, two = monthly(date(2025, 2, 1), 2, 100, 2), monthly(date(2025, 2, 20), 1, 100, 1)
    lender.schedule("S1", "L1", datetime(2025, 1, 1, 9), one, loan_disbursement="L1-DIS", **line)
    lender.schedule("S2", "L1", datetime(2025, 1, 20), two, loan_disbursement="D2", **line)
    sync(lender.site, lake)
    due = [(row["version"], row["due_on"].isoformat()) for row in rows(lake, "installments", "L1")]
    assert due == [
        (1, "2025-02-01"), (1, "2025-03-01"), (2, "2025-02-01"), (2, "2025-02-20"), (2, "2025-03-01"),
    ]  # fmt: skip


def test_penalties_and_charges_are_fees(lender: Lender, lake: Lake):
    at = datetime(2025, 2, 10, 9)
    lender.lend("L1", 1200, datetime(2025, 1, 1, 9))
    demand = {"loan": "L1", "demand_date": datetime(2025, 2, 5)}
    lender.insert("Loan Demand", "D1", at, demand_type="EMI", demand_subtype="Interest", demand_amount=10, **demand)
    lender.insert("Loan Demand", "D2", at, demand_type="Penalty", demand_amount=7, waived_amount=3, **demand)
    lender.insert("Loan Demand", "D3", at, demand_type="Charges", demand_amount=20, paid_amount=20, **demand)
    lender.insert("Loan Demand", "D4", at, docstatus=2, demand_type="Charges", demand_amount=9, **demand)
    lender.pay("P1", "L1", datetime(2025, 2, 8), 0, repayment_type="Charge Payment", amount_paid=20,
               total_charges_paid=20)  # fmt: skip
    lender.insert("Loan Repayment Detail", "P1-1", at, parent="P1", parenttype="Loan Repayment", loan_demand="D3")
    sync(lender.site, lake, "fees")
    fees = {row.pop("fee_id"): row for row in rows(lake, "fees", "L1")}
    assert fees.keys() == {"D2", "D3"}
    assert (fees["D2"]["fee_type"], fees["D2"]["amount"], fees["D2"]["waived_amount"]) == ("late", 7, 3)
    # No waiver is linked, so it is the day on which the demand changed last.
    assert fees["D2"]["waived_on"] == date(2025, 2, 10)
    assert (fees["D3"]["fee_type"], fees["D3"]["paid_amount"], fees["D3"]["paid_on"]) == (
        "other", 20, date(2025, 2, 8)
    )  # fmt: skip
    [paid] = [row for row in rows(lake, "transactions", "L1") if row["transaction_id"] == "P1"]
    assert (paid["type"], paid["principal"], paid["fees"]) == ("repayment", 0, 20)


def test_adjustments_settlements_transfers_and_cancelled_loans(lender: Lender, lake: Lake):
    """1,200.00 lent, 50.00 added and 20.00 taken off by adjustments, 300.00 written off in a settlement: 930.00 owed.

    A refunded security deposit and interest that is carried forward change nothing.
    """
    at, on = datetime(2025, 1, 5, 9), {"loan": "L1", "posting_date": date(2025, 1, 5)}
    lender.lend("L1", 1200, datetime(2025, 1, 1, 9))
    lender.lend("L2", 1200, datetime(2025, 1, 1, 9), docstatus=2, status="Cancelled", applicant_type="Employee")
    lender.update("Loan Disbursement", "L2-DIS", docstatus=2)
    lender.insert("Loan Balance Adjustment", "A1", at, adjustment_type="Debit Adjustment", amount=50, **on)
    lender.insert("Loan Balance Adjustment", "A2", at, adjustment_type="Credit Adjustment", amount=20, **on)
    lender.insert("Loan Refund", "F1", at, refund_amount=9, is_security_amount_refund=1, **on)
    lender.insert("Loan Write Off", "W1", at, write_off_amount=300, is_settlement_write_off=1, **on)
    lender.pay("P1", "L1", at, 0, repayment_type="Interest Waiver", amount_paid=7)
    lender.pay("P2", "L1", at, 0, 5, repayment_type="Interest Carry Forward")
    lender.insert("Branch", "North", at, 0)
    lender.insert("Loan Transfer", "T1", at, to_branch="North", transfer_date=date(2025, 2, 1))
    lender.insert("Loan Transfer Detail", "T1-1", at, parent="T1", loan="L1")
    sync(lender.site, lake)
    events = {row["transaction_id"]: (row["type"], row["channel"]) for row in rows(lake, "transactions", "L1")}
    assert events == {
        "L1-DIS": ("disbursement", None), "A1": ("capitalization", "debit_adjustment"),
        "A2": ("waiver", "credit_adjustment"), "W1": ("write_off", "write_off"), "P1": ("waiver", "interest_waiver"),
    }  # fmt: skip
    [moved], [cancelled] = rows(lake, "loans", "L1"), rows(lake, "loans", "L2")
    assert (moved["branch_id"], cancelled["branch_id"]) == ("North", "Harbour")
    assert cancelled["borrower_id"] == "Employee Asha"
    day = date(2025, 1, 6)
    found = positions(lake, day, day)
    assert (found[day, "L1"]["principal_outstanding"], found[day, "L1"]["status"]) == (930, "active")
    assert (found[day, "L2"]["principal_outstanding"], found[day, "L2"]["status"]) == (0, "pending")


def test_a_write_off_without_an_amount_is_of_all_that_was_added_to_the_loan(lender: Lender, lake: Lake):
    """1,200.00 lent, 50.00, 37.00 and 13.00 added by three kinds of documents, 20.00 repaid: 1,280.00 are written off.

    The adjustment of 9.00 is cancelled.
    """
    at, on = datetime(2025, 1, 5, 9), {"loan": "L1", "posting_date": date(2025, 1, 5)}
    lender.lend("L1", 1200, datetime(2025, 1, 1, 9))
    lender.insert("Loan Balance Adjustment", "A1", at, adjustment_type="Debit Adjustment", amount=50, **on)
    lender.insert("Loan Balance Adjustment", "A2", at, 2, adjustment_type="Debit Adjustment", amount=9, **on)
    restructure = {
        "restructure_date": date(2025, 1, 10),
        "restructure_type": "Normal Restructure",
        "status": "Approved",
    }
    capitalized = {"treatment_of_normal_interest": "Capitalize", "balance_interest_amount": 37}
    lender.insert("Loan Restructure", "R1", datetime(2025, 1, 10, 9), loan="L1", **restructure, **capitalized)
    lender.pay("P1", "L1", datetime(2025, 1, 12, 9), 20)
    lender.pay("P2", "L1", datetime(2025, 1, 13, 9), 0, 13, repayment_type="Interest Capitalization")
    write_off = {"loan": "L1", "posting_date": date(2025, 1, 20), "value_date": date(2025, 1, 20)}
    lender.insert("Loan Write Off", "W1", datetime(2025, 1, 20, 9), write_off_amount=0, **write_off)
    sync(lender.site, lake)
    before, after = date(2025, 1, 19), date(2025, 1, 20)
    found = positions(lake, before, after)
    assert found[before, "L1"]["principal_outstanding"] == 1280
    written_off = found[after, "L1"]
    assert (written_off["principal_charged_off"], written_off["status"]) == (1280, "charged_off")
    [whole] = [row for row in rows(lake, "transactions", "L1") if row["transaction_id"] == "W1"]
    assert whole["principal"] == 1300


def test_a_version_without_value_dates_counts_documents_on_their_posting_date(own_lender: Lender):
    at = datetime(2025, 2, 3, 9)
    own_lender.lend("L1", 1200, datetime(2025, 1, 1, 9))
    own_lender.pay("P1", "L1", at, 100, posting_date=datetime(2025, 2, 1))
    own_lender.site.execute("ALTER TABLE `tabLoan Repayment` DROP COLUMN value_date")
    own_lender.site.execute("DROP TABLE `tabLoan Balance Adjustment`")
    with own_lender.site.source.snapshot() as reader:
        [batch] = reader.read(SERVICING["transactions"])
    [paid] = [row for row in batch.to_pylist() if row["transaction_id"] == "P1"]
    assert (paid["effective_on"], paid["posted_at"]) == (date(2025, 2, 1), at)


def test_accruals_are_interest_and_penalties_and_a_cancelled_one_is_reversed(lender: Lender, lake: Lake):
    lender.lend("L1", 1200, datetime(2025, 1, 1, 9))
    day, night = date(2025, 1, 31), datetime(2025, 2, 1, 1)
    accrual = {"loan": "L1", "posting_date": night, "accrual_date": day}
    normal = {"interest_type": "Normal Interest", "interest_amount": Decimal("12.345")}
    lender.insert("Loan Interest Accrual", "A1", night, **accrual, **normal)
    lender.insert("Loan Interest Accrual", "A2", night, 2, **accrual, **normal | {"modified": datetime(2025, 2, 5)})
    lender.insert("Loan Interest Accrual", "A3", night, **accrual, interest_type="Penal Interest", interest_amount=3)
    sync(lender.site, lake, "accruals")
    accrued = [
        (row["accrual_id"], row["effective_on"], row["interest"], row["fees"], row["reverses_id"], row["posted_at"])
        for row in rows(lake, "accruals", "L1")
    ]
    # 12.345 is rounded half away from zero.
    interest = Decimal("12.35")
    assert accrued == [
        ("A1", day, interest, 0, None, night),
        ("A2", day, interest, 0, None, night),
        ("A2~undone", day, interest, 0, "A2", datetime(2025, 2, 5)),
        ("A3", day, 0, 3, None, night),
    ]


def test_unknown_values_reject_their_table_by_name(lender: Lender, lake: Lake):
    lender.lend("L1", 1200, datetime(2025, 1, 1, 9))
    lender.lend("L2", 1200, datetime(2025, 1, 1, 9), status="Frozen")
    lender.lend("L3", 1200, datetime(2025, 1, 1, 9), docstatus=0, status="Thawed")
    lender.pay("P1", "L1", datetime(2025, 2, 1), 100, repayment_type="Barter")
    lender.schedule("S1", "L1", datetime(2025, 1, 1), monthly(date(2025, 2, 1), 1, 1200, 0), status="Odd")
    outcomes = sync(lender.site, lake)
    assert [str(outcomes[name]) for name in ("loans", "transactions", "installments")] == [
        "frappe: table loans is rejected: loans.loan_id: 1 rows have an unknown code in tabLoan.status "
        "(status=Frozen: 1, the first with name L2)",
        "frappe: table transactions is rejected: transactions.type: 1 rows have an unknown code in "
        "tabLoan Repayment.repayment_type (repayment_type=Barter: 1, the first with name P1)",
        "frappe: table installments is rejected: installments.version: 1 rows have an unknown code in "
        "tabLoan Repayment Schedule.status (status=Odd: 1, the first with name S1)",
    ]


def test_what_the_site_says_in_two_places_is_a_warning(lender: Lender, lake: Lake):
    lender.lend("L1", 1200, datetime(2025, 1, 1, 9), total_principal_paid=90)
    lender.lend("L2", 500, datetime(2025, 1, 1, 9), disbursed_amount=600, status="Written Off")
    lender.pay("P1", "L1", datetime(2025, 2, 1), 100, 10, amount_paid=120)
    outcomes = sync(lender.site, lake)
    assert outcomes["loans"].warnings == (
        "loans: 1 loans have a disbursed amount that differs from their disbursements (id L2)",
        "loans: 1 loans are Written Off without a submitted Loan Write Off (id L2)",
    )
    assert outcomes["transactions"].warnings == (
        "transactions: 1 loans have a total principal paid that differs from their repayments (id L1)",
        "transactions: 1 repayments have an amount paid that is not the sum of principal, interest, penalty, charges "
        "and excess; the difference counts as principal, in waivers as what they waive (id P1)",
        "transactions: tabSingles does not say the time zone of the site, so times are read as UTC",
    )
    assert outcomes["installments"].warnings == (
        "installments: 2 loans are disbursed term loans without a schedule in force, so they are never past due "
        "(id L1, L2)",
    )


def test_postgresql_gives_the_same_rows(make_frappe_site, postgres_url: str, shared_dir: Path):
    folder = shared_dir / "data" / "frappe"
    read = []
    for site in (make_frappe_site(folder), Site(postgres_url, folder / "schema.json", folder)):
        with site.source.snapshot() as reader:
            tables = [table for name, table in SERVICING.items() if name not in reader.absent]
            batches = {table.name: pa.Table.from_batches(reader.read(table), table.arrow_schema) for table in tables}
            assert reader.rights().writable != []
            read.append({
                name: sorted(map(str, rows.to_pylist())) for name, rows in batches.items()
            })  # fmt: skip
            contradictions = [reader.find_contradictions(table) for table in tables]
            read[-1]["contradictions"] = contradictions
    assert read[0] == read[1]
    assert len(read[0]["transactions"]) == 27


def test_a_database_that_is_not_frappes_is_refused(own_lender: Lender):
    own_lender.site.execute("ALTER TABLE `tabLoan` DROP COLUMN loan_product")
    with (
        own_lender.site.source.snapshot() as reader,
        pytest.raises(SourceError, match="table tabLoan has no column loan_product: it is not a table of Frappe"),
    ):
        list(reader.read(SERVICING["loans"]))
