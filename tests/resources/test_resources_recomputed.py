"""Daily tables computed anew for a report: as of an instant, under other conventions, and otherwise the same."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from homes import DAILY_TABLES, LAST, materialise

from lending_pipelines.conventions import Conventions
from lending_pipelines.resources import LakeReportSource, recomputed
from lending_pipelines.runs import run_report
from lending_pipelines.tables import TABLES

DAYS = [date(2025, 2, 28), date(2025, 3, 13), LAST]


@pytest.fixture(scope="module")
def source(closed_home):
    with closed_home.lake() as lake:
        yield LakeReportSource(lake, Conventions())


@pytest.fixture(scope="module")
def anew(source):
    """The source computed anew. Each table is computed once, all from the same positions."""
    with recomputed(source, DAYS, Conventions(), None) as anew:
        yield anew


def rows(table, name):
    kept = table.filter(table.business_date.isin(DAYS)).order_by(list(TABLES[name].key))
    return kept.select(*TABLES[name].names).to_pyarrow().to_pylist()


@pytest.mark.parametrize("name", DAILY_TABLES)
def test_a_daily_table_computed_anew_is_the_one_that_the_close_wrote(source, anew, name):
    again, stored = rows(anew.table(name), name), rows(source.table(name), name)
    if name == "aging_transitions":
        # The close had no opening day for its first month; what is computed anew can always be looked back from.
        assert {row["business_date"] for row in again} == set(DAYS)
        again = [row for row in again if row["business_date"] > DAYS[0]]
    assert len(stored) > 0
    assert again == [
        row | {key: pytest.approx(value, abs=1e-9) for key, value in row.items() if isinstance(value, float)}
        for row in stored
    ]


def test_other_conventions_hold_for_the_report_alone(source):
    two = Conventions(bucket_edges=(1, 10))
    with recomputed(source, [LAST], two, None) as other:
        positions = other.table("loan_positions").select("days_past_due", "bucket", "status").to_pyarrow().to_pylist()
        buckets = {row["bucket"] for row in other.table("aging_buckets").to_pyarrow().to_pylist()}
    active = [row for row in positions if row["status"] == "active"]
    assert {row["bucket"] for row in active} == buckets == {"current", "1-9", "10+"}
    assert all((row["bucket"] == "10+") == (row["days_past_due"] >= 10) for row in active)


def test_a_payment_posted_later_is_not_in_a_report_of_what_was_known_before(home):
    """A repayment of 10.00 counts from 2025-03-10 and is posted on the 20th, after the close."""
    with home.lake() as lake:
        held = lake.table("loan_positions", LAST, LAST)
        active = held.filter(held.status == "active").order_by("loan_id").limit(1).to_pyarrow().to_pylist()[0]
    before = Decimal(str(active["principal_outstanding"]))
    home.pay(active["loan_id"], date(2025, 3, 10), "2025-03-20T09:00:00", 10.00)
    materialise(LAST, LAST, "transactions")

    def outstanding(known_at):
        with home.lake() as lake:
            source = LakeReportSource(lake, Conventions())
            with recomputed(source, [date(2025, 3, 9), LAST], Conventions(), known_at) as anew:
                loan = anew.table("loan_positions")
                loan = loan.filter(loan.loan_id == active["loan_id"]).order_by("business_date")
                return [row["principal_outstanding"] for row in loan.to_pyarrow().to_pylist()]

    posted = datetime(2025, 3, 20, 9)
    known, earlier = outstanding(posted), outstanding(posted - timedelta(seconds=1))
    assert outstanding(None)[1] == before - 10
    assert known[1] == before - 10
    assert earlier[1] == before
    assert known[0] == earlier[0]


def test_a_report_of_what_was_known_says_so_and_leaves_the_lake_alone(home):
    versions = home.versions()
    made = run_report(
        "portfolio_summary",
        {"known_at": "2025-03-01T00:00", "conventions": "par_operator=>", "as_of": LAST.isoformat()},
        "csv",
    )
    (request,) = home.requests()
    assert request.parameters["known_at"] == "2025-03-01T00:00:00"
    assert made["as_of"] == LAST.isoformat()
    assert home.versions() == versions
