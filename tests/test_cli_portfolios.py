"""The commands on portfolios, investors and sales, on a register of their own."""

import json
from datetime import date
from decimal import Decimal

import pytest
from homes import Home
from typer.testing import CliRunner

from lending_pipelines.cli import app
from lending_pipelines.criteria import CriteriaError
from lending_pipelines.errors import LendingError
from lending_pipelines.register import Investors, Portfolios, Register, RegisterError, Sales, membership, ownership

RULE = {"all": [{"field": "principal", "op": "between", "value": [1000, 50000]}]}
DAY = date(2025, 3, 1)


def lending(*arguments: str) -> str:
    """What the command prints; what it refuses is raised."""
    done = CliRunner().invoke(app, arguments)
    if done.exception:
        raise done.exception
    return done.stdout


@pytest.fixture
def loans(tmp_path) -> str:
    file = tmp_path / "loans.csv"
    file.write_text("loan_id,purchase_price\nL1,60\nL2,\n")
    return str(file)


@pytest.fixture
def rule(tmp_path) -> str:
    file = tmp_path / "rule.json"
    file.write_text(json.dumps(RULE))
    return str(file)


def assigned(home: Home, read) -> list[dict]:
    register = Register(home.register_url)
    rows = read(register).to_pylist()
    register.dispose()
    return rows


def test_a_portfolio_is_made_filled_emptied_closed_and_listed(empty_home, loans, rule):
    made = lending("portfolio", "create", "Cars", "--opened", "2025-01-01", "--priority", "3", "--criteria", rule)
    assert made.split()[1:] == ["Cars"]
    assert (
        lending("portfolio", "assign", "Cars", loans, "--on", "2025-02-01") == "2 loans added to Cars from 2025-02-01\n"
    )
    assert [(row["loan_id"], row["method"]) for row in assigned(empty_home, membership)] == [
        ("L1", "static"),
        ("L2", "static"),
    ]
    lending("portfolio", "remove", "Cars", loans, "--on", "2025-03-01")
    assert [row["removed_on"] for row in assigned(empty_home, membership)] == [DAY, DAY]
    assert lending("portfolio", "list").split() == ["open", "3", "2025-01-01", "-", "dynamic", "Cars"]
    lending("portfolio", "close", "Cars", "--on", "2025-03-01")
    assert lending("portfolio", "list").split() == ["closed", "3", "2025-01-01", "2025-03-01", "dynamic", "Cars"]
    with pytest.raises(RegisterError, match="no portfolio 'Car': did you mean 'Cars'"):
        lending("portfolio", "close", "Car", "--on", "2025-03-01")


def test_a_bad_rule_is_refused_with_its_path_and_nothing_is_saved(empty_home, rule, tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps({"all": [{"field": "principle", "op": "gt", "value": 1}]}))
    refusal = r"criteria\.all\[0\]\.field: there is no field 'principle'; did you mean 'principal'"
    with pytest.raises(CriteriaError, match=refusal):
        lending("portfolio", "create", "Cars", "--opened", "2025-01-01", "--criteria", str(bad))
    assert lending("portfolio", "list") == ""
    lending("portfolio", "create", "Cars", "--opened", "2025-01-01")
    with pytest.raises(CriteriaError, match=refusal):
        lending("portfolio", "criteria", "Cars", str(bad))
    with pytest.raises(LendingError, match=r"nowhere\.json cannot be read"):
        lending("portfolio", "criteria", "Cars", str(tmp_path / "nowhere.json"))
    lending("portfolio", "criteria", "Cars", rule)
    with empty_home.register() as session:
        assert Portfolios(session).by_name("Cars").criteria == RULE


def test_an_investor_is_made_gets_loans_at_their_prices_and_is_listed(empty_home, loans):
    lending("investor", "create", "North Fund", "--type", "fund", "--email", "north@example.com")
    assert lending("investor", "assign", "North Fund", loans, "--on", "2025-03-01").startswith("2 loans assigned")
    assert [(row["loan_id"], row["purchase_price"]) for row in assigned(empty_home, ownership)] == [
        ("L1", Decimal(60)),
        ("L2", None),
    ]
    assert lending("investor", "list").split()[1:] == ["fund", "North", "Fund", "north@example.com"]


def test_a_sale_is_listed_and_undone(empty_home):
    with empty_home.register() as session:
        Portfolios(session).create("Cars", DAY, portfolio_id="a")
        Portfolios(session).assign("a", ["L1"], DAY)
        Investors(session).create("North Fund", "fund", investor_id="n")
        record = {"currency": "USD", "snapshot": {}, "lake_version": {}}
        sale_id = Sales(session).record("a", "n", DAY, prices={"L1": Decimal("1234.5")}, **record).sale_id
    listed = lending("portfolio", "sales")
    assert " ".join(listed.split()) == f"{sale_id} 2025-03-01 1,234.50 USD in force Cars to North Fund"
    assert lending("undo-sale", sale_id) == f"{sale_id} is undone\n"
    assert "undone 20" in lending("portfolio", "sales")
    assert assigned(empty_home, ownership) == []


def test_what_cannot_be_sold_is_refused_before_anything_is_read(empty_home):
    lending("portfolio", "create", "Cars", "--opened", "2025-01-01")
    sell = ("portfolio", "sell", "Cars", "--to", "North Fund", "--on", "2025-03-01", "--price")
    with pytest.raises(LendingError, match=r"price is 'much': write an amount as 98500\.00"):
        lending(*sell, "much")
    with pytest.raises(LendingError, match="there is no investor 'North Fund': there is none yet"):
        lending(*sell, "100")
