"""Investors own loans from an assignment to the loan's next one to another."""

from datetime import date
from decimal import Decimal

import pytest

from lending_pipelines.errors import LendingError
from lending_pipelines.register import Investors, Register, RegisterError, ownership
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
        with pytest.raises(RegisterError, match="2 investors have the name 'Same': use investor_id instead"):
            investors.by_name("Same")
        with pytest.raises(RegisterError, match="investor id 'n' already exists"):
            investors.create("Other", "other", investor_id="n")
        with pytest.raises(RegisterError, match="no investor with the id 'x'"):
            investors.assign("x", [("L1", PRICE)], JANUARY)


def test_a_loan_has_one_assignment_a_day(register):
    with register.session() as session:
        investors = _investors(session)
        assert investors.assign("n", [("L1", PRICE), ("L2", None)], JANUARY) == 2
        assert investors.assign("n", [("L1", PRICE), ("L3", PRICE)], JANUARY) == 1
        with pytest.raises(RegisterError, match=r"loan L1 is already assigned on 2025-01-01 to investor n for 98\.50"):
            investors.assign("s", [("L4", PRICE), ("L1", PRICE)], JANUARY)
        with pytest.raises(RegisterError, match="loan L2 is already assigned on 2025-01-01"):
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


def test_every_loan_that_is_refused_is_named_and_one_with_two_prices_is_refused(register):
    with register.session() as session:
        investors = _investors(session)
        investors.assign("n", [("L1", PRICE), ("L2", PRICE)], JANUARY)
        with pytest.raises(
            RegisterError, match=r"loan L1 is already assigned on 2025-01-01 .*; loan L2 is already assigned"
        ):
            investors.assign("s", [("L1", PRICE), ("L2", PRICE), ("L3", PRICE)], JANUARY)
        with pytest.raises(RegisterError, match=r"loan L3 has two purchase prices, 98\.50 and None"):
            investors.assign("s", [("L3", PRICE), ("L4", PRICE), ("L3", None)], JANUARY)
        assert investors.assign("s", [("L3", PRICE), ("L3", PRICE)], JANUARY) == 1
    assert sorted(row["loan_id"] for row in ownership(register).to_pylist()) == ["L1", "L2", "L3"]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"name": "x" * 201}, "investor: name 'x+…': write 1 to 200 characters"),
        ({"name": " "}, "investor: name ' ': write 1 to 200 characters"),
        ({"name": "A\x00"}, r"investor: name 'A\\x00': remove the character '\\x00'"),
        ({"name": "A", "address": "y" * 201}, "investor: address .*: write 1 to 200 characters"),
    ],
)
def test_names_and_addresses_have_bounds(register, values, told):
    with pytest.raises(LendingError, match=told), register.session() as session:
        Investors(session).create(investor_type="fund", **values)
