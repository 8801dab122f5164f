"""A portfolio is sold at the end of a closed day, wholly or not at all, and stays reportable for its buyer."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from homes import LAST, OPEN, PORTFOLIO, Home, materialise
from typer.testing import CliRunner

from lending_pipelines.cli import app
from lending_pipelines.register import Investors, Portfolios, Register, Sales, ownership
from lending_pipelines.runs import RunFailed, run_job

PRICE = Decimal("123456.78")
BUYER = "Second Fund"


@pytest.fixture(scope="module")
def offering(untouched_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The closed home with a portfolio for sale on the last closed day: loans in dollars that are no one's."""
    home = Home(shutil.copytree(untouched_home.folder, tmp_path_factory.mktemp("offering") / "home"))
    taken = {row["loan_id"] for row in home.rows("portfolio_membership")}
    dollars = [row["loan_id"] for row in home.rows("loan_positions", LAST, LAST) if row["currency"] == "USD"]
    loans = [loan_id for loan_id in dollars if loan_id not in taken][:30]
    with home.register() as session:
        portfolio = Portfolios(session).create("For sale", LAST).portfolio_id
        Portfolios(session).assign(portfolio, loans, LAST)
        Investors(session).create(BUYER, "institutional")
    with pytest.MonkeyPatch.context() as monkeypatch:
        home.enter(monkeypatch)
        materialise(LAST, LAST, "portfolio_membership", "loan_positions", "portfolio_snapshots")
    return home


@pytest.fixture
def selling(offering: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The test's own copy of it, which the environment names."""
    copy = Home(shutil.copytree(offering.folder, tmp_path / "home"))
    copy.enter(monkeypatch)
    return copy


def sell(portfolio: str = "For sale", investor: str = BUYER, day: date | str = LAST, price: Decimal | str = PRICE):
    asked = {"portfolio": portfolio, "investor": investor, "date": str(day), "price": str(price)}
    return run_job("sell_portfolio", {"ops": {"sell": {"config": asked}}})


def owned(home: Home) -> list[dict]:
    """Whose loans are whose by the register, as loan_ownership."""
    register = Register(home.register_url)
    rows = ownership(register).to_pylist()
    register.dispose()
    return rows


@contextmanager
def refused(home: Home, message: str) -> Iterator[None]:
    """What is done within is refused with that message, and the register stays as it was."""

    def state():
        with home.register() as session:
            statuses = {portfolio.name: portfolio.status for portfolio in Portfolios(session).all()}
            return statuses, len(Sales(session).all()), len(owned(home))

    before = state()
    with pytest.raises(RunFailed) as failed:
        yield
    assert message in str(failed.value)
    assert state() == before


def snapshot(home: Home, day: date, scope: str, name: str | None, version: int | None = None) -> dict:
    with home.lake() as lake:
        rows = lake.table("portfolio_snapshots", day, day, version=version).to_pyarrow().to_pylist()
    (row,) = (row for row in rows if (row["scope"], row["name"], row["currency"]) == (scope, name, "USD"))
    return row


def test_a_sale_splits_the_price_keeps_the_day_and_leaves_the_loans_to_the_buyer(selling):
    before = snapshot(selling, LAST, "portfolio", "For sale")
    as_closed = {table: selling.rows(table, LAST, LAST) for table in ("loan_positions", "portfolio_snapshots")}
    sell()

    with selling.register() as session:
        (sale,) = Sales(session).all()
        assert Portfolios(session).by_name("For sale").status == "sold"
        buyer = Investors(session).by_name(BUYER).investor_id
    held = [row for row in selling.rows("loan_positions", LAST, LAST) if row["portfolio_id"] == sale.portfolio_id]
    paid = {row["loan_id"]: row["purchase_price"] for row in owned(selling) if row["investor_id"] == buyer}
    assert paid.keys() == {row["loan_id"] for row in held}
    assert sum(paid.values()) == sale.price == PRICE
    total = sum(max(row["principal_outstanding"], Decimal(0)) for row in held)
    largest = max(row["principal_outstanding"] for row in held)
    for row in held:
        share = Fraction(PRICE) * Fraction(max(row["principal_outstanding"], Decimal(0))) / Fraction(total)
        if row["principal_outstanding"] != largest:
            assert 0 <= share - Fraction(paid[row["loan_id"]]) < Fraction(1, 100)
    assert (sale.investor_id, sale.sale_date, sale.currency) == (buyer, LAST, before["currency"])
    assert sale.snapshot["total_balance"] == str(before["total_balance"])
    assert sale.snapshot["business_date"] == str(LAST)
    assert sale.snapshot.keys() == before.keys()

    # The sale changes nothing of its day when that is closed again.
    assert {row["assigned_on"] for row in owned(selling) if row["purchase_price"] is not None} == {OPEN}
    materialise(LAST, OPEN, "portfolio_membership", "loan_ownership", "loan_positions", "portfolio_snapshots")
    assert {table: selling.rows(table, LAST, LAST) for table in as_closed} == as_closed

    # The next day the loans are the buyer's, and the portfolio is still there; all that is serviced, they stay part of.
    positions = selling.rows("loan_positions", OPEN, OPEN)
    theirs = [row for row in positions if row["investor_id"] == buyer]
    assert {row["loan_id"] for row in theirs} == paid.keys()
    balance = sum(row["principal_outstanding"] for row in theirs)
    assert snapshot(selling, OPEN, "investor", BUYER)["total_balance"] == balance
    assert snapshot(selling, OPEN, "portfolio", "For sale")["total_balance"] == balance
    everything = snapshot(selling, OPEN, "all", None)["total_balance"]
    assert everything == sum(row["principal_outstanding"] for row in positions if row["currency"] == "USD")

    # What was sold can be read as it was, though the day was made again since.
    assert snapshot(selling, LAST, "portfolio", "For sale", sale.lake_version["portfolio_snapshots"]) == before
    with selling.lake() as lake:
        then = lake.table("loan_positions", LAST, LAST, version=sale.lake_version["loan_positions"])
        assert then.filter(then.portfolio_id == sale.portfolio_id).investor_id.count().to_pyarrow().as_py() == 0


def test_the_command_shows_the_price_beside_the_balance_and_asks(selling):
    held = [row for row in selling.rows("loan_positions", LAST, LAST) if row["portfolio_id"]]
    with selling.register() as session:
        portfolio = Portfolios(session).by_name("For sale").portfolio_id
    balance = sum(row["principal_outstanding"] for row in held if row["portfolio_id"] == portfolio)
    asked = ["portfolio", "sell", "For sale", "--to", BUYER, "--on", str(LAST), "--price", "100"]
    for answer, message in (
        ("n\n", "nothing was changed"),
        ("", "nothing was changed: answer y, or use --yes in a script"),
    ):
        refused = CliRunner().invoke(app, asked, input=answer)
        assert str(refused.exception) == message
        assert "  loans: 30" in refused.stderr
        assert f"  balance on {LAST}: {balance:,} USD (loans: 30)" in refused.stderr
        assert f"  price: 100.00 USD, {100 / balance:.2%} of the balance" in refused.stderr
    with selling.register() as session:
        assert Sales(session).all() == []
    assert CliRunner().invoke(app, asked, input="y\n").exit_code == 0
    with selling.register() as session:
        assert [sale.price for sale in Sales(session).all()] == [Decimal(100)]


def test_what_is_asked_wrongly_is_refused_with_what_to_write(selling):
    for asked, message in (
        ({"portfolio": "For sail"}, "there is no portfolio 'For sail': did you mean 'For sale'?"),
        ({"investor": "Secnd Fund"}, f"there is no investor 'Secnd Fund': did you mean '{BUYER}'?"),
        ({"day": "14 March"}, "date is '14 March': write the business date of the sale like 2025-03-31"),
        ({"price": "1,000"}, "price is '1,000': write an amount like 98500.00"),
        ({"price": "0.001"}, "a price of 0.001 cannot be split: write an amount of at least 0"),
        ({"day": OPEN}, f"{OPEN} is not closed: run `lending close --from {OPEN} --to {OPEN}` first"),
        ({"portfolio": PORTFOLIO}, "has loans in EUR, USD on 2025-03-14: a sale has one currency"),
    ):
        with refused(selling, message):
            sell(**asked)


def test_a_day_whose_checks_fail_is_not_sold_on(selling):
    loan = selling.rows("loan_positions", LAST, LAST)[0]["loan_id"]
    selling.pay(loan, LAST, f"{LAST} 09:00:00", 25)  # before the close, which missed it
    run_job("sync", {"ops": {"servicing_tables": {"config": {"full": True}}}}, assets=["transactions"])
    with refused(selling, "the sale of portfolio 'For sale' is blocked by"):
        sell()


def test_a_loan_that_joined_after_the_close_is_not_sold_unseen(selling):
    with selling.register() as session:
        Portfolios(session).assign(Portfolios(session).by_name("For sale").portfolio_id, ["L-new"], LAST)
    with refused(selling, "loan L-new is in it in the register but not in the lake; close the day again"):
        sell()


def test_a_sold_portfolio_is_not_sold_again_until_the_sale_is_undone(selling):
    sell()
    with refused(selling, "portfolio 'For sale' is already sold"):
        sell()
    with selling.register() as session:
        (sale,) = Sales(session).all()
    undone = CliRunner().invoke(app, ["undo-sale", sale.sale_id])
    assert (undone.exit_code, sale.sale_id in undone.stdout) == (0, True)
    with selling.register() as session:
        assert Portfolios(session).by_name("For sale").status == "open"
    sell(price="1000.00")
