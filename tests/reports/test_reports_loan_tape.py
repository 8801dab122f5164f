from decimal import Decimal

import pytest

from lending_pipelines.errors import LendingError


def loans(book):
    return [row["loan_id"] for row in book.tables[0].arrow().to_pylist()]


def test_every_loan_of_the_day_closed_ones_included(report):
    book = report("loan_tape")
    assert loans(book) == ["L1", "L2", "L3", "L4", "L5"]
    assert [(row["currency"], row["principal_outstanding"]) for row in book.tables[0].totals] == [
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
    assert book.tables[0].names == ["bucket", "loan_id", "annual_rate"]
    assert book.tables[0].arrow().to_pylist()[1] == {
        "bucket": "30-59",
        "loan_id": "L2",
        "annual_rate": Decimal("0.125000"),
    }
    assert book.tables[0].totals == ()


def test_no_loans_says_why(report):
    book = report("loan_tape", portfolio="P2", status="charged_off")
    assert book.tables[0].no_data == "there is no charged_off loan of portfolio P2, =Øst on 2025-02-28"


def test_an_unknown_day_is_an_error(report):
    with pytest.raises(
        LendingError, match=r"loan_positions has no 2025-03-01: the nearest days present are 2025-02-28"
    ):
        report("loan_tape", as_of="2025-03-01")
