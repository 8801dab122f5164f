"""Investors' returns worked by hand: prices out, collections since in, a resale, and prices that are not known."""

from decimal import Decimal

import ibis
import pytest
from book import Book, day

from lending_pipelines.metrics.investors import NO_PRICE, investor_returns
from lending_pipelines.metrics.xirr import NO_ROOT
from lending_pipelines.tables import TABLES


@pytest.fixture(scope="module")
def rows():
    """Three loans of 1,000 from 1 January 2025, due 31 December with 100 interest.

    A: sold at the end of 31 January to X for 900. 50 paid on that very day is the lender's; 150 on 1 July is X's; so
    is 20 of it that is refunded on 2 July. X sells it at the end of 1 August to Y for 880; 30 paid on that day is
    still X's, 40 on 1 September Y's.
    B: Y's from 1 February, at a price that is not recorded. C: in euros, X's from 31 January for 500.
    """
    book = Book()
    for loan_id, currency in (("A", "USD"), ("B", "USD"), ("C", "EUR")):
        book.loan(loan_id, "2025-01-01", "1000", [("2025-12-31", "1000", "100")], currency=currency)
    for on, principal in (("2025-01-31", "50"), ("2025-07-01", "150"), ("2025-08-01", "30"), ("2025-09-01", "40")):
        book.txn("A", "repayment", on, principal)
    book.txn("A", "refund", "2025-07-02", "20")
    mistake = book.txn("C", "repayment", "2025-03-01", "70")
    book.reverse(mistake, "2025-03-02")
    for investor_id, loan_id, assigned_on, removed_on, price in (
        ("X", "A", "2025-02-01", "2025-08-02", "900"),
        ("Y", "A", "2025-08-02", None, "880"),
        ("Y", "B", "2025-02-02", None, None),
        ("X", "C", "2025-02-01", None, "500"),
    ):
        book.add(
            "loan_ownership",
            investor_id=investor_id,
            investor_name=f"Fund {investor_id}",
            loan_id=loan_id,
            assigned_on=day(assigned_on),
            removed_on=removed_on and day(removed_on),
            purchase_price=price and Decimal(price),
        )
    first, last = "2025-01-31", "2025-09-01"
    expression = investor_returns(book.memo(first, last), book.read, day(first), day(last))
    found = book.backend.to_pyarrow(expression).to_pylist()
    by_key = {(str(row["business_date"]), row["investor_id"], row["currency"]): row for row in found}
    assert len(by_key) == len(found)
    return by_key


def picked(row, *names):
    return [None if row[name] is None else str(row[name]) for name in names]


SUMS = ("loan_count", "purchase_price", "collected", "resold_for")


def test_while_it_is_owned_the_loan_is_the_residual(rows):
    row = rows["2025-07-31", "X", "USD"]
    assert picked(row, *SUMS) == ["1", "900.00", "130.00", "0.00"]
    # Outstanding 1,000 − 50 − 150 + 20 = 820; interest 100 × 211 ÷ 364 = 57.97 of it earned.
    assert picked(row, "residual", "profit") == ["877.97", "107.97"]  # 130 + 877.97 − 900
    assert row["name"] == "Fund X"
    assert row["moic"] == pytest.approx(130 / 900)
    assert row["irr_reason"] is None
    # −900 on 31 January, 150 after 151 days, −20 after 152, 877.97 after 181.
    rate = row["irr_with_residual"]
    worth = [(150, 151), (-20, 152), (877.97, 181)]
    assert sum(amount / (1 + rate) ** (days / 365) for amount, days in worth) == pytest.approx(900, abs=1e-6)


def test_a_sale_counts_from_the_day_after_it_on(rows):
    # X owns A from 1 February: on the day of the sale it has neither the loan nor the price.
    assert ("2025-01-31", "X", "USD") not in rows
    assert picked(rows["2025-02-01", "X", "USD"], *SUMS) == ["1", "900.00", "0.00", "0.00"]
    # On 1 August A is still X's and is its residual; from the next day on the price received is.
    sold_on = rows["2025-08-01", "X", "USD"]
    assert picked(sold_on, *SUMS) == ["1", "900.00", "160.00", "0.00"]
    assert picked(rows["2025-08-02", "X", "USD"], *SUMS, "residual") == ["0", "900.00", "160.00", "880.00", "0.00"]
    # The price is dated to 1 August all the same: −900 on 31 January, 150 after 151 days, −20 after 152, 910 after 182.
    rate = rows["2025-08-02", "X", "USD"]["irr"]
    worth = [(150, 151), (-20, 152), (910, 182)]
    assert sum(amount / (1 + rate) ** (days / 365) for amount, days in worth) == pytest.approx(900, abs=1e-6)


def test_what_is_sold_on_is_money_in_and_no_residual(rows):
    row = rows["2025-09-01", "X", "USD"]
    assert picked(row, *SUMS) == ["0", "900.00", "160.00", "880.00"]  # 150 − 20 + 30
    assert picked(row, "residual", "profit") == ["0.00", "140.00"]
    assert row["moic"] == pytest.approx(1040 / 900)
    assert row["irr"] == pytest.approx(row["irr_with_residual"])
    worth = [(150, 151), (-20, 152), (910, 182)]
    assert sum(amount / (1 + row["irr"]) ** (days / 365) for amount, days in worth) == pytest.approx(900, abs=1e-6)


def test_without_every_price_there_is_no_rate_and_the_reason_is_given(rows):
    row = rows["2025-09-01", "Y", "USD"]
    assert picked(row, *SUMS) == ["2", None, "40.00", None]
    assert picked(row, "profit", "irr", "irr_with_residual", "moic", "irr_reason") == [None] * 4 + [NO_PRICE]
    # B was never paid: 1,000 + 100 × 243 ÷ 364 = 66.76; A 820 − 30 − 40 = 750 + 66.76.
    assert str(row["residual"]) == "1883.52"
    before = rows["2025-07-31", "Y", "USD"]
    assert picked(before, "loan_count", "collected", "irr_reason") == ["1", "0.00", NO_PRICE]


def test_currencies_are_apart_and_a_reversal_is_taken_back(rows):
    row = rows["2025-07-31", "X", "EUR"]
    assert picked(row, *SUMS) == ["1", "500.00", "0.00", "0.00"]
    assert row["irr"] is None
    assert row["irr_reason"] == NO_ROOT  # −500, 70 and −70 a day later
    assert row["irr_with_residual"] is not None


@pytest.mark.parametrize("engine", [ibis.duckdb, ibis.pyspark], ids=["duckdb", "spark"])
def test_returns_can_be_said_to_either_engine(engine):
    def table(name):
        return ibis.table(TABLES[name].schema, name=name)

    rows = investor_returns(table("loan_positions"), table, day("2025-07-31"), day("2025-09-01"))
    # Spark is told of the function that solves rates only by a session.
    if engine is ibis.pyspark:
        rows = rows.drop("irr", "irr_with_residual", "irr_reason")
    assert engine.compile(rows).startswith(("SELECT", "WITH"))
