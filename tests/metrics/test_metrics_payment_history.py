"""The payment history of a loan that was disbursed later than agreed."""

from book import Book, day

from lending_pipelines.metrics.payment_history import with_history


def test_a_month_end_before_anything_was_disbursed_is_not_current():
    # Agreed for 15 January and paid out on 10 February: of the month ends, only 28 February has a loan that is current.
    book = Book()
    book.loan("L1", "2025-01-15", "100", [("2025-06-01", "100", "1")], disbursed=False)
    book.txn("L1", "disbursement", "2025-02-10", "100")
    positions = book.memo("2025-01-31", "2025-03-01")
    now = positions.filter(positions.business_date == day("2025-03-01"))
    (row,) = with_history(now, positions, day("2025-03-01")).to_pyarrow().to_pylist()
    assert (row["delinquency_history"], row["history_months"]) == ("0" + 23 * "B", 1)
