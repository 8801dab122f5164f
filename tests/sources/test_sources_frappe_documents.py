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
