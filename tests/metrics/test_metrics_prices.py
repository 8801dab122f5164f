"""A price is split to the cent, pro rata, with nothing lost."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lending_pipelines.metrics.prices import PriceError, split_price


def split(price, **principal):
    shares = split_price(Decimal(price), {loan: Decimal(amount) for loan, amount in principal.items()})
    return {loan: str(share) for loan, share in shares.items()}


def test_a_price_by_hand():
    # 100 × 1,000/3,000 = 33.333…: 33.33 each, and the cent that is left to the first of three equal loans.
    assert split("100", B="1000", A="1000", C="1000") == {"B": "33.33", "A": "33.34", "C": "33.33"}
    # 95 × 300/700 = 40.714…, × 200/700 = 27.142… twice; the two cents to the largest.
    assert split("95", A="200", B="300", C="200") == {"A": "27.14", "B": "40.72", "C": "27.14"}
    # A loan paid off, and one with a credit balance, cost nothing.
    assert split("50.00", open="10", closed="0", credit="-5") == {"open": "50.00", "closed": "0.00", "credit": "0.00"}
    assert split("0", A="10", B="10") == {"A": "0.00", "B": "0.00"}


@pytest.mark.parametrize(
    ("price", "principal", "refusal"),
    [
        ("-1", "10", "write an amount of at least 0 with at most two decimals"),
        ("1.001", "10", "write an amount of at least 0 with at most two decimals"),
        ("1", "0", "no loan has principal outstanding"),
        ("1", "-10", "no loan has principal outstanding"),
    ],
)
def test_what_cannot_be_split_is_refused(price, principal, refusal):
    with pytest.raises(PriceError, match=refusal):
        split(price, A=principal)


amounts = st.decimals("-1000", "9999999999999999.99", places=2)


@given(
    st.decimals("0", "9999999999999999.99", places=2),
    st.dictionaries(st.text("ab12", min_size=1), amounts, min_size=1, max_size=20),
)
def test_the_shares_are_the_price_and_no_loan_is_a_cent_off_but_the_largest(price, principal):
    total = sum(max(amount, Decimal(0)) for amount in principal.values())
    if not total:
        return
    shares = split_price(price, principal)
    assert sum(shares.values()) == price
    largest = max(principal.values())
    for loan, share in shares.items():
        exact = Fraction(price) * Fraction(max(principal[loan], Decimal(0))) / Fraction(total)
        assert share >= 0
        assert exact - Fraction(1, 100) < Fraction(share)
        assert Fraction(share) <= exact or principal[loan] == largest
