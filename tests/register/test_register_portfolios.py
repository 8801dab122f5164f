"""A loan is in at most one portfolio on a day."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from lending_pipelines.criteria import CriteriaError
from lending_pipelines.register import Portfolios, Register, RegisterError, membership
from lending_pipelines.register.models import PortfolioLoan
from lending_pipelines.tables import DERIVED

JANUARY, FEBRUARY, MARCH = date(2025, 1, 1), date(2025, 2, 1), date(2025, 3, 1)


@pytest.fixture
def session(register: Register) -> Iterator[Session]:
    """A session on a register with the open portfolios Auto (a) and Solar (b)."""
    with register.session() as session:
        Portfolios(session).create("Auto", JANUARY, portfolio_id="a")
        Portfolios(session).create("Solar", JANUARY, portfolio_id="b", program_id="P1", priority=2)
        yield session


def test_a_portfolio_is_found_by_id_and_name(session):
    solar = Portfolios(session).by_name("Solar")
    assert (solar.portfolio_id, solar.status, solar.program_id, solar.priority) == ("b", "open", "P1", 2)
    assert Portfolios(session).get("b") is solar
    assert [portfolio.name for portfolio in Portfolios(session).all()] == ["Auto", "Solar"]


def test_an_unknown_name_is_refused_with_the_near_ones(session):
    with pytest.raises(RegisterError, match=r"no portfolio 'auto': did you mean 'Auto'\?"):
        Portfolios(session).by_name("auto")
    with pytest.raises(RegisterError, match="no portfolio 'Mortgages': use one of 'Auto', 'Solar'"):
        Portfolios(session).by_name("Mortgages")
    with pytest.raises(RegisterError, match="no portfolio with the id 'c'"):
        Portfolios(session).get("c")


def test_a_name_or_an_id_is_taken_once(session):
    with pytest.raises(RegisterError, match=r"portfolio 'Auto' \(a\) already exists"):
        Portfolios(session).create("Auto", JANUARY)
    with pytest.raises(RegisterError, match=r"portfolio 'Auto' \(a\) already exists"):
        Portfolios(session).create("Cars", JANUARY, portfolio_id="a")


def test_only_open_portfolios_take_loans(session):
    Portfolios(session).get("a").status = "sold"
    assert [portfolio.name for portfolio in Portfolios(session).open()] == ["Solar"]
    with pytest.raises(RegisterError, match="'Auto' is sold and does not take loans"):
        Portfolios(session).assign("a", ["L1"], JANUARY)


def test_a_loan_is_in_one_portfolio_at_a_time(session):
    portfolios = Portfolios(session)
    assert portfolios.assign("a", ["L1", "L2"], FEBRUARY) == 2
    for day in (JANUARY, FEBRUARY, MARCH):
        with pytest.raises(RegisterError) as refusal:
            portfolios.assign("b", ["L9", "L2"], day)
        assert str(refusal.value) == (
            f"loan L2 is in portfolio 'Auto' from 2025-02-01 without an end date: it cannot be in 'Solar' from {day}; "
            "remove it there first"
        )
    assert _intervals(session) == [("a", "L1", FEBRUARY, None), ("a", "L2", FEBRUARY, None)]


def test_a_past_membership_is_in_the_way_until_its_end(session):
    portfolios = Portfolios(session)
    portfolios.assign("a", ["L1"], JANUARY)
    portfolios.remove("a", ["L1"], MARCH)
    with pytest.raises(RegisterError, match="'Auto' from 2025-01-01 until 2025-03-01: it cannot be in 'Solar'"):
        portfolios.assign("b", ["L1"], MARCH - timedelta(days=1))
    with pytest.raises(RegisterError, match="'Auto' from 2025-01-01 until 2025-03-01: it cannot be in 'Auto'"):
        portfolios.assign("a", ["L1"], FEBRUARY)


def test_memberships_may_be_back_to_back(session):
    portfolios = Portfolios(session)
    portfolios.assign("a", ["L1"], JANUARY)
    assert portfolios.remove("a", ["L1"], FEBRUARY) == 1
    assert portfolios.assign("b", ["L1"], FEBRUARY) == 1
    portfolios.remove("b", ["L1"], MARCH)
    assert portfolios.assign("a", ["L1"], MARCH) == 1
    assert _intervals(session) == [
        ("a", "L1", JANUARY, FEBRUARY),
        ("a", "L1", MARCH, None),
        ("b", "L1", FEBRUARY, MARCH),
    ]


def test_assigning_again_changes_nothing(session):
    portfolios = Portfolios(session)
    assert portfolios.assign("a", ["L1", "L1"], JANUARY) == 1
    assert portfolios.assign("a", ["L1", "L2"], FEBRUARY) == 1
    assert _intervals(session) == [("a", "L1", JANUARY, None), ("a", "L2", FEBRUARY, None)]


def test_a_loan_that_joins_later_cannot_join_earlier_too(session):
    portfolios = Portfolios(session)
    portfolios.assign("a", ["L1"], MARCH)
    with pytest.raises(
        RegisterError, match="'Auto' from 2025-03-01 without an end date: it cannot be in 'Auto' from 2025-02"
    ):
        portfolios.assign("a", ["L1"], FEBRUARY)


def test_a_removal_on_the_day_of_assignment_undoes_it(session):
    portfolios = Portfolios(session)
    portfolios.assign("a", ["L1"], JANUARY)
    assert portfolios.remove("a", ["L1"], JANUARY) == 1
    assert _intervals(session) == []
    assert portfolios.assign("b", ["L1"], JANUARY) == 1


def test_a_loan_that_is_not_there_cannot_be_removed(session):
    portfolios = Portfolios(session)
    portfolios.assign("a", ["L1", "L2"], FEBRUARY)
    with pytest.raises(RegisterError, match="loan L3 is not in portfolio 'Auto' on 2025-03-01"):
        portfolios.remove("a", ["L1", "L3"], MARCH)
    with pytest.raises(RegisterError, match="loan L1 is not in portfolio 'Auto' on 2025-01-01"):
        portfolios.remove("a", ["L1"], JANUARY)
    portfolios.remove("a", ["L1"], MARCH)
    with pytest.raises(RegisterError, match="or already has a removal date"):
        portfolios.remove("a", ["L1"], MARCH)
    assert _intervals(session) == [("a", "L1", FEBRUARY, MARCH), ("a", "L2", FEBRUARY, None)]


def test_a_refusal_late_in_a_long_list_assigns_nothing(session):
    portfolios = Portfolios(session)
    portfolios.assign("b", ["L20000"], JANUARY)
    with pytest.raises(RegisterError, match="loan L20000 is in portfolio 'Solar'"):
        portfolios.assign("a", (f"L{n}" for n in range(25_000)), JANUARY)
    assert _intervals(session) == [("b", "L20000", JANUARY, None)]


def test_of_two_that_assign_a_loan_at_once_one_is_refused(register):
    with register.session() as session:
        for portfolio_id in "ab":
            Portfolios(session).create(portfolio_id, JANUARY, portfolio_id=portfolio_id)
    assigned = threading.Event()

    def assign_first() -> None:
        with register.session() as session:
            Portfolios(session).assign("a", ["L1"], JANUARY)
            assigned.set()
            # Long enough for the other to look before this one commits.
            time.sleep(0.3)

    def assign_second() -> None:
        assigned.wait()
        with register.session() as session:
            Portfolios(session).assign("b", ["L1"], JANUARY)

    with ThreadPoolExecutor() as threads:
        first, second = threads.submit(assign_first), threads.submit(assign_second)
        first.result()
        with pytest.raises(RegisterError, match="loan L1 is in portfolio 'a'"):
            second.result()


@pytest.fixture(scope="module")
def one_register() -> Iterator[Register]:
    """A register for many examples, none of which is committed."""
    register = Register("sqlite://")
    register.upgrade()
    yield register
    register.dispose()


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from("ab"), st.sampled_from(["L1", "L2"]), st.integers(0, 9)), max_size=25
    )
)
def test_whatever_is_tried_no_loan_is_in_two_portfolios(one_register, attempts):
    with one_register.session() as session:
        portfolios = Portfolios(session)
        for portfolio_id in "ab":
            portfolios.create(portfolio_id, JANUARY, portfolio_id=portfolio_id)
        for assigning, portfolio_id, loan_id, day in attempts:
            change = portfolios.assign if assigning else portfolios.remove
            try:
                change(portfolio_id, [loan_id], JANUARY + timedelta(days=day))
            except RegisterError:
                continue
            if assigning:
                held = [(p, loan) for p, loan, _, until in _intervals(session) if until is None]
                assert (portfolio_id, loan_id) in held
        for day in range(11):
            on = JANUARY + timedelta(days=day)
            there = [loan for _, loan, since, until in _intervals(session) if since <= on < (until or date.max)]
            assert len(there) == len(set(there))
        session.rollback()


def test_membership_has_the_intervals(register):
    with register.session() as session:
        portfolios = Portfolios(session)
        portfolios.create("Auto", JANUARY, portfolio_id="a")
        portfolios.assign("a", ["L2", "L1"], JANUARY)
        portfolios.remove("a", ["L1"], MARCH)
    both = {"portfolio_id": "a", "portfolio_name": "Auto", "assigned_on": JANUARY, "method": "static"}
    assert membership(register).to_pylist() == [
        both | {"loan_id": "L1", "removed_on": MARCH},
        both | {"loan_id": "L2", "removed_on": None},
    ]


def test_membership_without_loans_keeps_its_columns(register):
    empty = membership(register)
    assert empty.num_rows == 0
    assert empty.schema == DERIVED["portfolio_membership"].arrow_schema


def test_the_rule_of_a_portfolio_comes_with_its_program(session):
    rule = {"field": "currency", "op": "eq", "value": "USD"}
    for portfolio_id in ("a", "b"):
        Portfolios(session).set_criteria(portfolio_id, rule)
    ruled = {each.portfolio_id: each.program_id for each in Portfolios(session).ruled()}
    assert ruled == {"a": None, "b": "P1"}


def test_every_loan_that_is_refused_is_named(session):
    portfolios = Portfolios(session)
    portfolios.assign("b", ["L1", "L2"], JANUARY)
    with pytest.raises(RegisterError, match=r"loan L1 is in portfolio 'Solar' .*; loan L2 is in portfolio 'Solar'"):
        portfolios.assign("a", ["L1", "L2", "L3"], FEBRUARY)
    with pytest.raises(RegisterError, match=r"loan L3 is not in portfolio 'Solar' .*; loan L4 is not in portfolio"):
        portfolios.remove("b", ["L1", "L3", "L4"], FEBRUARY)
    assert [row[1:] for row in _intervals(session)] == [("L1", JANUARY, None), ("L2", JANUARY, None)]


def _intervals(session: Session) -> list[tuple]:
    columns = (
        PortfolioLoan.portfolio_id,
        PortfolioLoan.loan_id,
        PortfolioLoan.assigned_on,
        PortfolioLoan.removed_on,
    )
    return [tuple(row) for row in session.execute(sa.select(*columns).order_by(*columns[:3]))]


RULE = {"field": "principal", "op": "gt", "value": 1000}


def test_a_bad_rule_is_refused_when_it_is_saved(session):
    bad = {"all": [RULE, {"field": "princpal", "op": "gt", "value": 1}]}
    refusal = r"criteria\.all\[1\]\.field: there is no field 'princpal'; did you mean 'principal'\?"
    with pytest.raises(CriteriaError, match=refusal):
        Portfolios(session).create("Bad", JANUARY, criteria=bad)
    with pytest.raises(CriteriaError, match=refusal):
        Portfolios(session).set_criteria("a", bad)
    assert [portfolio.name for portfolio in Portfolios(session).all()] == ["Auto", "Solar"]
    assert Portfolios(session).ruled() == []


def test_portfolios_choose_by_priority_then_age_then_name(session):
    portfolios = Portfolios(session)
    for name, opened_on, priority in (("B", JANUARY, 1), ("A", JANUARY, 1), ("old", date(2024, 1, 1), 1)):
        portfolios.create(name, opened_on, criteria=RULE, priority=priority, portfolio_id=name)
    portfolios.create("first", FEBRUARY, criteria=RULE, priority=-1, portfolio_id="first")
    portfolios.set_criteria("b", RULE)
    assert [ruled.portfolio_id for ruled in portfolios.ruled()] == ["first", "old", "A", "B", "b"]
    portfolios.set_criteria("A", None)
    portfolios.get("B").status = "sold"
    assert [ruled.portfolio_id for ruled in portfolios.ruled()] == ["first", "old", "b"]


def test_a_rule_saved_past_the_class_is_refused_with_its_portfolio(session):
    Portfolios(session).get("a").criteria = {"sql": "1=1"}
    with pytest.raises(CriteriaError, match=r"portfolio 'Auto': criteria: 'sql' is not allowed here"):
        Portfolios(session).ruled()


def test_a_closed_portfolio_takes_no_loans_from_that_day_on_and_keeps_those_it_has(session):
    portfolios = Portfolios(session)
    portfolios.set_criteria("a", RULE)
    portfolios.assign("a", ["L1"], FEBRUARY)
    with pytest.raises(RegisterError, match="'Auto' was opened or took a loan on 2025-02-01: close it on a later day"):
        portfolios.close("a", FEBRUARY)
    portfolios.close("a", MARCH)
    assert (portfolios.get("a").status, portfolios.get("a").closed_on) == ("closed", MARCH)
    # Of the days before, it may still take what its rule means.
    assert [(ruled.opened_on, ruled.closed_on) for ruled in portfolios.ruled()] == [(JANUARY, MARCH)]
    assert session.scalars(sa.select(PortfolioLoan.removed_on)).all() == [None]
    with pytest.raises(RegisterError, match="'Auto' is closed and cannot be closed"):
        portfolios.close("a", MARCH)


def test_what_rules_chose_is_recorded_unless_the_loan_was_put_elsewhere_since(session):
    portfolios = Portfolios(session)
    for portfolio_id in ("a", "b"):
        portfolios.set_criteria(portfolio_id, RULE)
    portfolios.assign("b", ["elsewhere", "left"], JANUARY)
    portfolios.remove("b", ["left"], FEBRUARY)
    portfolios.get("b").status = "sold"
    chosen = [("a", "elsewhere", FEBRUARY), ("a", "left", FEBRUARY), ("a", "new", JANUARY), ("b", "other", JANUARY)]
    assert portfolios.assign_by_rule(chosen) == 2
    assert portfolios.assign_by_rule(chosen) == 0
    query = sa.select(PortfolioLoan.loan_id, PortfolioLoan.assigned_on).where(PortfolioLoan.method == "dynamic")
    assert sorted(map(tuple, session.execute(query))) == [("left", FEBRUARY), ("new", JANUARY)]
