"""What each loan earned, worked by hand; and many sets of flows solved at once as each is alone."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import chain

import numpy as np
import pytest
from book import Book, day
from hypothesis import given
from hypothesis import strategies as st

from lending_pipelines.metrics import events, returns
from lending_pipelines.metrics.xirr import NO_ROOT, ONE_SIGN, xirr, xirrs

LENT, YEAR_ON = "2025-01-01", "2026-01-01"  # 365 days apart


def _returns(book, on):
    flows = returns.cash_flows(events.signed(book.read("transactions"), day(on)))
    rows = book.backend.to_pyarrow(returns.loan_returns(book.memo(on), flows)).to_pylist()
    return {row["loan_id"]: row for row in rows}


@pytest.fixture(scope="module")
def earned():
    book = Book()
    term = [(YEAR_ON, "1000", "100")]
    book.loan("REPAID", LENT, "1000", term)
    book.txn("REPAID", "repayment", YEAR_ON, "1000", "100")
    book.loan("OPEN", LENT, "1000", [("2025-07-02", "500", "50"), (YEAR_ON, "500", "50")])
    book.txn("OPEN", "repayment", YEAR_ON, "500", "50")
    book.loan("LOST", LENT, "1000", term)
    book.txn("LOST", "charge_off", "2025-12-01", "1000")
    book.txn("LOST", "recovery", YEAR_ON, "250")
    book.loan("NEW", "2025-12-31", "1000", [("2026-12-31", "1000", "73")])
    book.loan("PROMISED", LENT, "1000", term, disbursed=False)
    book.loan("UNDONE", LENT, "1000", term)
    book.reverse(book.txn("UNDONE", "repayment", YEAR_ON, "1000", "100"), YEAR_ON)
    return _returns(book, YEAR_ON)


@pytest.mark.parametrize(
    ("loan_id", "expected"),
    [
        # 1,000 out, 1,100 back after 365 days
        ("REPAID", ("0.00", "100.00", 0.10, 0.10, None, 1.1, 0.1)),
        # 550 back, 500 principal + 50 interest still owed: −1,000 + 550 v alone, −1,000 + 1,100 v with the residual
        ("OPEN", ("550.00", "100.00", -0.45, 0.10, None, 0.55, 0.1)),
        ("LOST", ("0.00", "-750.00", -0.75, -0.75, None, 0.25, -0.75)),
        # a day's interest: 73 ÷ 365 = 0.20, and 1.0002 to the 365th power less one
        ("NEW", ("1000.20", "0.20", None, 1.0002**365 - 1, ONE_SIGN, 0.0, 0.0002)),
        ("PROMISED", ("0.00", "0.00", None, None, returns.NO_FLOWS, None, None)),
        # the whole 1,000 and a year's interest are owed again
        ("UNDONE", ("1100.00", "100.00", None, 0.10, ONE_SIGN, 0.0, 0.1)),
    ],
)
def test_a_loans_returns_by_hand(earned, loan_id, expected):
    row = earned[loan_id]
    residual, profit, irr, with_residual, reason, moic, total = expected
    assert (row["residual"], row["profit"], row["irr_reason"]) == (Decimal(residual), Decimal(profit), reason)
    for name, value in {"irr": irr, "irr_with_residual": with_residual, "moic": moic, "total_return": total}.items():
        assert row[name] == (None if value is None else pytest.approx(value, rel=1e-9)), name


def test_flows_after_the_day_do_not_count():
    book = Book()
    book.loan("L1", LENT, "1000", [(YEAR_ON, "1000", "100")])
    book.txn("L1", "repayment", YEAR_ON, "1000", "100")
    days = book.memo("2025-12-31", YEAR_ON)
    flows = returns.cash_flows(events.signed(book.read("transactions"), day(YEAR_ON)))
    rows = book.backend.to_pyarrow(returns.loan_returns(days, flows)).to_pylist()
    found = {row["business_date"].isoformat(): (row["moic"], row["irr_reason"]) for row in rows}
    assert found == {"2025-12-31": (0.0, ONE_SIGN), YEAR_ON: (1.1, None)}


_FLOWS = st.lists(st.tuples(st.integers(0, 900), st.integers(-1000, 1000)), min_size=1, max_size=8)


@given(st.lists(_FLOWS, min_size=1, max_size=6))
def test_solved_together_as_alone(sets):
    begin = date(2024, 1, 1)
    dates = [[begin + timedelta(days=n) for n, _ in flows] for flows in sets]
    amounts = [[float(amount) for _, amount in flows] for flows in sets]
    sizes = np.array([len(flows) for flows in sets])
    on, flows = (np.array(list(chain.from_iterable(values))) for values in (dates, amounts))
    together = xirrs(np.cumsum(sizes) - sizes, on.astype("datetime64[D]"), flows)
    alone = [xirr(*flows) for flows in zip(dates, amounts, strict=True)]
    assert [(rate is None, reason) for rate, reason in together] == [(rate is None, reason) for rate, reason in alone]
    assert [rate for rate, _ in together if rate is not None] == pytest.approx(
        [rate for rate, _ in alone if rate is not None], rel=1e-9, abs=1e-9
    )
    assert {reason for _, reason in together} <= {None, ONE_SIGN, NO_ROOT}
