"""Amounts up to 9,999,999,999,999,999.99, exact to the last cent, against Python's own decimals."""

from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import ibis
import pyarrow as pa
import pytest
from book import Book, day
from hypothesis import given, settings
from hypothesis import strategies as st

from lending_pipelines.metrics.borrowing_base import share_of
from lending_pipelines.metrics.money import cents, from_cents, half_even, money, quotient, wide
from lending_pipelines.tables.schema import MONEY

CENT = Decimal("0.01")
LARGEST = 10**18 - 1


@pytest.fixture(scope="module")
def engine():
    return ibis.duckdb.connect(threads=1)


def table(**columns):
    types = {"amount": pa.decimal128(18, 2), "whole": pa.int64(), "divisor": pa.int64()}
    return ibis.memtable(pa.table({name: pa.array(values, types[name]) for name, values in columns.items()}))


@settings(max_examples=20)
@given(
    numbers=st.lists(
        st.tuples(st.integers(0, LARGEST) | st.integers(LARGEST - 1000, LARGEST), st.integers(1, 40_000)),
        min_size=1,
    )
)
def test_cents_and_quotients_are_those_of_whole_numbers(engine, numbers):
    rows = table(
        amount=[Decimal(number) / 100 for number, _ in numbers],
        whole=[number for number, _ in numbers],
        divisor=[divisor for _, divisor in numbers],
    )
    found = engine.to_pyarrow(
        rows.select(
            cents=cents(rows.amount),
            back=from_cents(rows.whole),
            quotient=quotient(rows.whole, rows.divisor),
            same=money(wide(rows.amount) + rows.amount - rows.amount),
        )
    ).to_pylist()
    for row, (number, divisor) in zip(found, numbers, strict=True):
        amount = Decimal(number) / 100
        assert row == {"cents": number, "back": amount, "quotient": number // divisor, "same": amount}


@pytest.mark.parametrize(
    ("number", "divisor", "rounded"),
    [
        *((1, 2, 0), (3, 2, 2), (5, 2, 2), (-1, 2, 0), (-3, 2, -2), (-5, 2, -2)),
        *((0, 3, 0), (1, 3, 0), (2, 3, 1), (-2, 3, -1), (4, 3, 1)),
        *((10 * LARGEST + 4, 10, LARGEST), (10 * LARGEST + 5, 10, LARGEST + 1), (10 * LARGEST - 5, 10, LARGEST - 1)),
    ],
)
def test_a_half_is_rounded_to_the_even_number(engine, number, divisor, rounded):
    exact = pa.decimal128(38, 0)
    rows = ibis.memtable(pa.table({"number": pa.array([number], exact), "divisor": pa.array([divisor], exact)}))
    assert engine.to_pyarrow(half_even(rows.number, rows.divisor)).to_pylist() == [rounded]


# The simplest example, with which Hypothesis begins, and one of about 60 loans.
@settings(max_examples=2)
@given(
    loans=st.lists(
        st.tuples(st.integers(0, LARGEST) | st.integers(LARGEST - 10_000, LARGEST), st.integers(1, 364)),
        min_size=30,
        max_size=180,
    )
)
def test_interest_earned_is_exact_to_the_cent(loans):
    """Many loans of 364 days in one book: an example computes positions, which takes a second whatever their number."""
    book, on = Book(), day("2024-12-30")
    for number, (interest, elapsed) in enumerate(loans):
        start = on - timedelta(days=elapsed)
        schedule = [(str(start + timedelta(days=364)), "0", str(Decimal(interest) / 100))]
        book.loan(f"L{number}", str(start), "100", schedule)
    rows = book.positions(str(on))
    for number, (interest, elapsed) in enumerate(loans):
        with localcontext(prec=60):
            expected = (Decimal(interest) / 100 * elapsed / 364).quantize(CENT, ROUND_HALF_EVEN)
        assert rows[str(on), f"L{number}"]["interest_earned"] == expected


def test_the_last_cent_above_two_to_the_53rd():
    """95,000,000,000,000.00 fell due; of 0.03 more, 364 of 365 days: 0.0299… is 0.03."""
    book = Book()
    schedule = [("2024-01-02", "1", "95000000000000"), ("2025-01-01", "1", "0.03")]
    book.loan("L1", "2024-01-01", "2", schedule)
    assert str(book.position("2024-12-31")["interest_earned"]) == "95000000000000.03"


def test_the_largest_amount_goes_through_positions_and_snapshots():
    book, largest = Book(), "9999999999999999.99"
    book.loan("L1", "2025-01-01", largest, [("2025-02-01", largest, "0")])
    book.txn("L1", "repayment", "2025-03-01", "9999999999999999.98")
    positions = book.positions("2025-02-02", "2025-03-01")
    row = positions["2025-02-02", "L1"]
    assert [str(row[name]) for name in ("principal_outstanding", "scheduled_due", "past_due_amount")] == [largest] * 3
    assert str(positions["2025-03-01", "L1"]["principal_outstanding"]) == "0.01"
    snapshots = book.snapshots("2025-02-02", positions={("2025-02-02", "L1"): row})
    assert str(snapshots["2025-02-02", "all", "*", "USD"]["total_balance"]) == largest


def test_a_share_of_the_largest_amount(engine):
    amount = ibis.literal(Decimal("9999999999999999.99"), MONEY)
    # 0.85 × 9,999,999,999,999,999.99 = 8,499,999,999,999,999.9915
    assert str(engine.to_pyarrow(share_of(amount, Decimal("0.85"))).as_py()) == "8499999999999999.99"
