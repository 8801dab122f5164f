"""Investors own loans from an assignment to the loan's next one to another."""

from datetime import date
from decimal import Decimal

import pytest

from lending_pipelines.register import Investors, Register, RegisterError, ownership, read_loan_prices
from lending_pipelines.tables import DERIVED

JANUARY, FEBRUARY, MARCH, APRIL = (date(2025, month, 1) for month in (1, 2, 3, 4))
PRICE = Decimal("98.50")


def test_an_investor_is_found_by_name(register):
    with register.session() as session:
        investors = Investors(session)
        investors.create("North Fund", "fund", email="north@example.com", investor_id="n")
        investors.create("Same", "individual")
        investors.create("Same", "individual")
        assert investors.by_name("North Fund").email == "north@example.com"
        assert investors.get("n").investor_type == "fund"
        assert [investor.name for investor in investors.all()] == ["North Fund", "Same", "Same"]
        with pytest.raises(RegisterError, match=r"no investor 'Nort Fund': did you mean 'North Fund'\?"):
            investors.by_name("Nort Fund")
        with pytest.raises(RegisterError, match="2 investors are named 'Same': say which by investor_id"):
            investors.by_name("Same")
        with pytest.raises(RegisterError, match="there is an investor n already"):
            investors.create("Other", "other", investor_id="n")
        with pytest.raises(RegisterError, match="no investor with the id 'x'"):
            investors.assign("x", [("L1", PRICE)], JANUARY)


def test_a_loan_has_one_assignment_a_day(register):
    with register.session() as session:
        investors = _investors(session)
        assert investors.assign("n", [("L1", PRICE), ("L2", None)], JANUARY) == 2
        assert investors.assign("n", [("L1", PRICE), ("L3", PRICE)], JANUARY) == 1
        with pytest.raises(RegisterError, match=r"loan L1 is assigned on 2025-01-01 to investor n for 98\.50"):
            investors.assign("s", [("L4", PRICE), ("L1", PRICE)], JANUARY)
        with pytest.raises(RegisterError, match="loan L2 is assigned on 2025-01-01"):
            investors.assign("n", [("L2", PRICE)], JANUARY)
    assert sorted(row["loan_id"] for row in ownership(register).to_pylist()) == ["L1", "L2", "L3"]


def test_ownership_lasts_until_the_next_assignment_to_another(register):
    with register.session() as session:
        investors = _investors(session)
        investors.assign("n", [("L1", PRICE), ("L2", PRICE)], JANUARY)
        investors.assign("n", [("L1", Decimal("97.00"))], FEBRUARY)
        investors.assign("n", [("L1", None)], APRIL)
        # Learned of last, and before the assignment of April.
        investors.assign("s", [("L1", Decimal("95.00"))], MARCH)
    assert ownership(register).to_pylist() == [
        _row("n", "L1", JANUARY, MARCH, PRICE),
        _row("n", "L1", APRIL, None, None),
        _row("n", "L2", JANUARY, None, PRICE),
        _row("s", "L1", MARCH, APRIL, Decimal("95.00")),
    ]


def test_ownership_without_assignments_keeps_its_columns(register: Register):
    empty = ownership(register)
    assert empty.num_rows == 0
    assert empty.schema == DERIVED["loan_ownership"].arrow_schema


def _investors(session) -> Investors:
    investors = Investors(session)
    investors.create("North Fund", "fund", investor_id="n")
    investors.create("South Bank", "institutional", investor_id="s")
    return investors


def _row(investor_id, loan_id, assigned_on, removed_on, purchase_price) -> dict:
    return {
        "investor_id": investor_id,
        "investor_name": {"n": "North Fund", "s": "South Bank"}[investor_id],
        "loan_id": loan_id,
        "assigned_on": assigned_on,
        "removed_on": removed_on,
        "purchase_price": purchase_price,
    }


def test_loans_are_read_with_their_prices(tmp_path):
    file = tmp_path / "loans.csv"
    file.write_text("purchase_price,loan_id\n9800.00,L1\n,L2\n0,L3\n")
    assert list(read_loan_prices(file)) == [("L1", Decimal(9800)), ("L2", None), ("L3", Decimal(0))]
    file.write_text("L1\nL2\n")
    assert list(read_loan_prices(file)) == [("L1", None), ("L2", None)]


@pytest.mark.parametrize("price", ["1,5", "-1", "0.001", "NaN", "1e300"])
def test_a_price_that_is_none_is_refused_with_its_line(tmp_path, price):
    file = tmp_path / "loans.csv"
    file.write_text(f'loan_id,purchase_price\nL1,1\nL2,"{price}"\n')
    with pytest.raises(RegisterError, match=f"line 3: purchase_price is '{price}': write an amount as 9800.00"):
        list(read_loan_prices(file))
