"""Movements from one day to another, worked by hand."""

from datetime import date
from decimal import Decimal

from book import Book

from lending_pipelines.metrics.movements import movements


def test_opening_and_flows_give_the_closing_balance():
    book = Book()
    schedule = [("2024-12-31", "1000", "0")]
    for loan_id, on, amount in (
        ("L1", "2024-01-10", "1000"),
        ("L2", "2024-01-10", "500"),
        ("L3", "2024-01-10", "200"),
        ("L4", "2024-02-05", "300"),
    ):
        book.loan(loan_id, on, amount, schedule)
    book.txn("L1", "repayment", "2024-01-20", "100")
    book.txn("L1", "repayment", "2024-02-10", "150", "20")
    book.txn("L2", "capitalization", "2024-02-03", "0", "12", "3")
    book.txn("L2", "waiver", "2024-02-04", "15")
    book.txn("L3", "charge_off", "2024-02-06", "200")

    (row,) = book.backend.to_pyarrow(
        movements(book.memo("2024-01-31", "2024-02-29"), date(2024, 1, 31), date(2024, 2, 29))
    ).to_pylist()
    # 1,000 - 100 + 500 + 200; then + 300 (L4) - 150 (L1) + 15 - 15 (L2) - 200 (L3).
    assert {name: value for name, value in row.items() if not name.endswith("past_due")} == {
        "currency": "USD",
        "opening": Decimal("1600.00"),
        "closing": Decimal("1550.00"),
        "disbursed": Decimal("300.00"),
        "capitalized": Decimal("15.00"),
        "repaid": Decimal("-150.00"),
        "charged_off": Decimal("-200.00"),
        "forgiven": Decimal("-15.00"),
        "opening_loans": 3,
        "closing_loans": 3,
    }
