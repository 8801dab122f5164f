"""A portfolio, its loans and the record of its sale change together, once, and back within a day."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from lending_pipelines.register import Investors, Portfolios, Register, RegisterError, Sales, ownership
from lending_pipelines.register.models import LoanAssignment, PortfolioSale

JANUARY, FEBRUARY, MARCH = date(2025, 1, 1), date(2025, 2, 1), date(2025, 3, 1)
DAY_AFTER = date(2025, 2, 2)
PRICES = {"L1": Decimal("60.01"), "L2": Decimal("40.00")}
SNAPSHOT = {"scope": "portfolio", "total_balance": "100.00"}
VERSIONS = {"loan_positions": 3, "portfolio_snapshots": 5}


@pytest.fixture(autouse=True)
def world(register: Register):
    """Portfolios a (L1 and L2) and b (L3), and the investors x and y."""
    with register.session() as session:
        for portfolio_id, loans in (("a", ["L1", "L2"]), ("b", ["L3"])):
            Portfolios(session).create(f"Portfolio {portfolio_id}", JANUARY, portfolio_id=portfolio_id)
            Portfolios(session).assign(portfolio_id, loans, JANUARY)
        for investor_id in ("x", "y"):
            Investors(session).create(f"Fund {investor_id}", "fund", investor_id=investor_id)


def sell(register: Register, portfolio_id="a", investor_id="x", sale_date=FEBRUARY, prices=PRICES) -> str:
    record = {"currency": "USD", "snapshot": SNAPSHOT, "lake_version": VERSIONS}
    with register.session() as session:
        return Sales(session).record(portfolio_id, investor_id, sale_date, prices=prices, **record).sale_id


def state(register: Register) -> tuple[str, list[dict], int]:
    """The first portfolio's status, the investors' loans, and how many sales are on record."""
    with register.session() as session:
        sales = session.scalar(sa.select(sa.func.count()).select_from(PortfolioSale))
        return Portfolios(session).get("a").status, ownership(register).to_pylist(), sales


BEFORE = ("open", [], 0)


def test_a_sale_marks_the_portfolio_assigns_its_loans_and_is_on_record(register):
    sale_id = sell(register)
    status, owned, sales = state(register)
    assert (status, sales) == ("sold", 1)
    assert [(row["investor_id"], row["loan_id"], row["assigned_on"], row["purchase_price"]) for row in owned] == [
        ("x", "L1", DAY_AFTER, Decimal("60.01")),
        ("x", "L2", DAY_AFTER, Decimal("40.00")),
    ]
    with register.session() as session:
        (sale,) = Sales(session).all()
        assert (sale.sale_id, sale.portfolio_id, sale.investor_id, sale.sale_date) == (sale_id, "a", "x", FEBRUARY)
        assert (sale.price, sale.currency, sale.undone_at) == (Decimal("100.01"), "USD", None)
        assert (sale.snapshot, sale.lake_version) == (SNAPSHOT, VERSIONS)
        assert Sales(session).kept_versions() == {"loan_positions": [3], "portfolio_snapshots": [5]}
        with pytest.raises(RegisterError, match="'Portfolio a' is sold and does not take loans"):
            Portfolios(session).assign("a", ["L9"], MARCH)


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"portfolio_id": "c"}, "there is no portfolio with the id 'c'"),
        ({"investor_id": "z"}, "there is no investor with the id 'z'"),
        ({"prices": {"L1": Decimal(1)}}, "loan L2 is in it in the register but not in the lake; close the day again"),
        (
            {"prices": PRICES | {"L8": Decimal(1)}},
            "loan L8 is in it in the lake but not in the register; close the day again",
        ),
        ({"sale_date": date(2024, 12, 31)}, "loan L1 joined portfolio 'Portfolio a' on 2025-01-01, after 2024-12-31"),
    ],
)
def test_what_is_not_right_is_refused_and_nothing_changes(register, given, refusal):
    with pytest.raises(RegisterError, match=refusal):
        sell(register, **given)
    assert state(register) == BEFORE


def test_a_portfolio_without_loans_is_not_sold(register):
    with register.session() as session:
        Portfolios(session).remove("a", PRICES, JANUARY)
    with pytest.raises(RegisterError, match="'Portfolio a' on 2025-02-01: it has no loans"):
        sell(register, prices={})


def test_loans_of_an_investor_are_not_sold_again(register):
    with register.session() as session:
        Investors(session).assign("y", [("L2", None)], MARCH)
    with pytest.raises(RegisterError, match="loan L2 of portfolio 'Portfolio a' was assigned to investor y on 2025"):
        sell(register)
    status, owned, sales = state(register)
    assert (status, len(owned), sales) == ("open", 1, 0)


def test_a_portfolio_is_sold_once_even_by_two_at_the_same_time(register):
    barrier = threading.Barrier(2)

    def try_to(investor_id: str) -> str:
        barrier.wait()
        try:
            sell(register, investor_id=investor_id)
        except RegisterError as refused:
            return str(refused)
        return "sold"

    with ThreadPoolExecutor(2) as threads:
        told = sorted(threads.map(try_to, ["x", "y"]))
    assert told == ["portfolio 'Portfolio a' is already sold: undo that sale first", "sold"]
    assert state(register)[2] == 1


@pytest.mark.parametrize("closed", [False, True])
def test_a_sale_is_undone_within_a_day_and_can_be_made_anew(register, closed):
    if closed:
        with register.session() as session:
            Portfolios(session).close("a", FEBRUARY)
    before = state(register)
    sale_id = sell(register)
    with register.session() as session:
        Sales(session).undo(sale_id)
        assert Sales(session).kept_versions() == {}
    assert state(register) == (*before[:2], 1)
    with register.session() as session, pytest.raises(RegisterError, match=f"sale {sale_id} was already undone at 20"):
        Sales(session).undo(sale_id)
    sell(register, investor_id="y")
    assert [row["investor_id"] for row in state(register)[1]] == ["y", "y"]


def test_a_sale_of_yesterday_stays(register):
    sale_id = sell(register)
    with register.session() as session:
        sale = session.get(PortfolioSale, sale_id)
        sale.recorded_at -= timedelta(hours=24, seconds=1)
    after = state(register)
    with register.session() as session, pytest.raises(RegisterError, match="the limit is 24 hours"):
        Sales(session).undo(sale_id)
    assert state(register) == after


def test_a_sale_whose_loans_were_sold_on_stays(register):
    sale_id = sell(register)
    with register.session() as session:
        Investors(session).assign("y", [("L2", Decimal(50))], MARCH)
    after = state(register)
    with (
        register.session() as session,
        pytest.raises(RegisterError, match="loan L2 has another assignment to an investor"),
    ):
        Sales(session).undo(sale_id)
    assert state(register) == after


def test_an_unknown_sale_is_refused(register):
    with register.session() as session, pytest.raises(RegisterError, match="there is no sale 'nonsense'"):
        Sales(session).undo("nonsense")


def test_an_undone_sale_takes_back_no_assignment_but_its_own(register):
    with register.session() as session:
        Investors(session).assign("x", [("L3", None)], FEBRUARY)
    sale_id = sell(register)
    with register.session() as session:
        Sales(session).undo(sale_id)
        assert session.scalars(sa.select(LoanAssignment.loan_id)).all() == ["L3"]
