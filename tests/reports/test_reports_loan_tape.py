from datetime import date
from decimal import Decimal

import pytest
from tiny_lake import TinyLake, generate, rows, table

from lending_pipelines.errors import LendingError
from lending_pipelines.reports.parameters import parse_parameters
from lending_pipelines.reports.registry import get


def loans(book):
    return [row["loan_id"] for row in table(book, "Loan tape").arrow().to_pylist()]


def test_every_loan_of_the_day_closed_ones_included(report):
    book = report("loan_tape")
    assert loans(book) == ["L1", "L2", "L3", "L4", "L5"]
    assert [(row["currency"], row["principal_outstanding"]) for row in table(book, "Loan tape").totals] == [
        ("EUR", Decimal("300.00")),
        ("USD", Decimal("700.00")),
    ]
    assert book.summary["loans"] == 5


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"portfolio": "Consumer North"}, ["L1", "L2", "L3"]),
        ({"portfolio": "P1", "status": "active"}, ["L1", "L2"]),
        ({"program": "R1", "status": "active"}, ["L1", "L2", "L5"]),
        ({"program": "R1", "portfolio": "P1", "status": "closed"}, ["L3"]),
    ],
)
def test_filters_combine(report, values, expected):
    assert loans(report("loan_tape", **values)) == expected


def test_fields_are_written_in_the_order_asked_for(report):
    book = report("loan_tape", fields="bucket,loan_id,annual_rate")
    assert table(book, "Loan tape").names == ["bucket", "loan_id", "annual_rate"]
    assert table(book, "Loan tape").arrow().to_pylist()[1] == {
        "bucket": "30-59",
        "loan_id": "L2",
        "annual_rate": Decimal("0.125000"),
    }
    assert table(book, "Loan tape").totals == ()


def test_the_active_loans_of_a_tape_by_bucket_are_for_readers(report):
    book = report("loan_tape", program="R1")
    # L1 100.00 current, L2 200.00 35 days late, L5 400.00 95 days late: of 700.00. L3 is closed.
    assert [
        (row["bucket"], row["loan_count"], str(row["principal_outstanding"]), row["balance_share"])
        for row in rows(book, "Active loans by bucket")
    ] == [
        ("current", 1, "100.00", pytest.approx(1 / 7)),
        ("1-29", 0, "0.00", 0.0),
        ("30-59", 1, "200.00", pytest.approx(2 / 7)),
        ("60-89", 0, "0.00", 0.0),
        ("90-119", 1, "400.00", pytest.approx(4 / 7)),
        ("120+", 0, "0.00", 0.0),
    ]
    assert [table.title for table in book.for_programs().tables] == ["Loan tape"]


def test_no_loans_says_why(report):
    book = report("loan_tape", portfolio="P2", status="charged_off")
    assert table(book, "Loan tape").no_data == "there is no charged_off loan of portfolio =Øst on 2025-02-28"


def test_an_unknown_day_is_an_error(report):
    with pytest.raises(LendingError, match=r"loan_positions has no 2025-03-01: the nearest closed days are 2025-02-28"):
        report("loan_tape", as_of="2025-03-01")


def _at(day, loan_id, paid, days, bucket, status="active", disbursed_on=date(2024, 12, 15)):
    return {
        "business_date": day,
        "loan_id": loan_id,
        "currency": "USD",
        "status": status,
        "disbursed_on": disbursed_on,
        "days_past_due": days,
        "bucket": bucket,
        "principal_paid": Decimal(paid),
        "interest_paid": Decimal("1.00"),
    }


@pytest.fixture
def history_lake():
    """Two loans at four month ends and on 10 April; L2 is disbursed in February, 28 February is not closed."""
    lent = {"disbursed_on": date(2025, 2, 20)}
    rows = [
        _at(date(2024, 12, 31), "L1", "0.00", 0, "current"),
        _at(date(2025, 1, 31), "L1", "10.00", 31, "30-59"),
        _at(date(2025, 3, 31), "L1", "40.00", 95, "90-119"),
        _at(date(2025, 3, 31), "L2", "5.00", 2, "1-29", **lent),
        _at(date(2025, 4, 10), "L1", "100.00", 0, "current", "closed"),
        _at(date(2025, 4, 10), "L2", "5.00", 12, "1-29", **lent),
    ]
    return TinyLake({"loan_positions": rows, "portfolio_snapshots": [{"business_date": date(2025, 4, 10)}]})


def test_the_history_of_each_loan_is_in_its_row(history_lake):
    first, second = rows(generate(history_lake, "loan_tape"), "Loan tape")
    # From March back: 90-119, no data, 30-59, current, then not disbursed yet; L2 was lent before the end of February.
    assert first["delinquency_history"] == "3X10" + "B" * 20
    assert second["delinquency_history"] == "0X" + "B" * 22
    # February may have been 30 days late too.
    assert (first["times_30_12m"], second["times_90_12m"]) == (None, None)
    # By 31 March 40.00 of principal and 1.00 of interest; a year before, the loan was not disbursed.
    assert (str(first["paid_12m"]), str(second["paid_12m"])) == ("41.00", "6.00")
    assert (first["last_late_on"], second["last_late_on"]) == (date(2025, 3, 31), date(2025, 4, 10))


def test_a_loan_was_late_from_its_first_day_past_due(history_lake):
    # L1: 1 day late at the end of January, and never since; L2: 1 day late on the business date.
    for row in history_lake.rows["loan_positions"]:
        key = row["loan_id"], row["business_date"]
        row["days_past_due"] = 1 if key in (("L1", date(2025, 1, 31)), ("L2", date(2025, 4, 10))) else 0
    first, second = rows(generate(history_lake, "loan_tape"), "Loan tape")
    assert (first["last_late_on"], second["last_late_on"]) == (date(2025, 1, 31), date(2025, 4, 10))


def test_months_have_a_column_each_in_tables_of_their_own(history_lake):
    book = generate(history_lake, "loan_tape", history_months=4)
    assert [table.title for table in book.tables] == [
        "Active loans by bucket",
        "Loan tape",
        "Payment history",
        "Delinquency history",
    ]
    paid, late = book.tables[2:]
    assert [column.label for column in paid.columns] == [
        "Loan ID",
        "Currency",
        "2024-12",
        "2025-01",
        "2025-02",
        "2025-03",
    ]
    # The end of November is not closed, but L1 was not disbursed by then. Without the end of February, nothing is known
    # of what was paid in February and in March.
    assert [[row[name] and str(row[name]) for name in paid.names[2:]] for row in paid.arrow().to_pylist()] == [
        ["1.00", "10.00", None, None],
        [None, None, None, None],
    ]
    assert [[row[name] for name in late.names[2:]] for row in late.arrow().to_pylist()] == [
        ["current", "30-59", None, "90-119"],
        [None, None, None, "1-29"],
    ]
    assert [str(total["paid 2025-01-31"]) for total in paid.totals] == ["10.00"]
    assert "Month ends that are not closed: 2024-11-30, 2025-02-28." in book.notes


def test_the_status_of_a_loan_that_is_not_active_stands_for_its_bucket(history_lake):
    history_lake.rows["loan_positions"][2]["status"] = "charged_off"
    book = generate(history_lake, "loan_tape", history_months=1)
    assert [row["status 2025-03-31"] for row in rows(book, "Delinquency history")] == ["charged_off", "1-29"]


def test_the_days_covered_are_the_closed_month_ends_that_are_printed(history_lake):
    generator = get("loan_tape")
    covered = [generator.covers(parse(**values), history_lake) for values in ({}, {"fields": "loan_id"})]
    assert [[str(day) for day in days] for days in covered] == [
        ["2024-12-31", "2025-01-31", "2025-03-31", "2025-04-10"],
        ["2025-04-10"],
    ]
    two = generator.covers(parse(fields="loan_id", history_months=1), history_lake)
    assert [str(day) for day in two] == ["2025-03-31", "2025-04-10"]


def test_a_field_of_the_history_is_chosen_like_any_other(history_lake):
    book = generate(history_lake, "loan_tape", fields="loan_id,delinquency_history,principal_outstanding")
    assert table(book, "Loan tape").names == ["loan_id", "delinquency_history", "principal_outstanding"]
    with pytest.raises(LendingError, match="unknown field 'delinquency_histry'; did you mean 'delinquency_history'"):
        generate(history_lake, "loan_tape", fields="delinquency_histry")


def parse(**values):
    return parse_parameters("loan_tape", get("loan_tape").parameters, values)
