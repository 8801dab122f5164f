"""The commands on portfolios, investors and sales, on a register of their own."""

import json
from datetime import date
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest
from homes import Home
from typer.testing import CliRunner

from lending_pipelines.cli import app
from lending_pipelines.criteria import CriteriaError
from lending_pipelines.errors import LendingError
from lending_pipelines.known_names import UnknownName
from lending_pipelines.register import Investors, Portfolios, Register, RegisterError, Sales, membership, ownership
from lending_pipelines.tables import TABLES

RULE = {"all": [{"field": "principal", "op": "between", "value": [1000, 50000]}]}
DAY = date(2025, 3, 1)


def lending(*arguments: str, answer: str = "") -> str:
    """What the command prints; what it refuses is raised. `answer` is what is typed when it asks."""
    done = CliRunner().invoke(app, arguments, input=answer)
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
    open_portfolio = ["Cars", "open", "3", "2025-01-01", "-", "dynamic", "0", "0.00"]
    assert lending("portfolio", "list").splitlines()[1].split() == open_portfolio
    with pytest.raises(LendingError, match="nothing was changed"):
        lending("portfolio", "close", "Cars", "--on", "2025-03-01", answer="n\n")
    lending("portfolio", "close", "Cars", "--on", "2025-03-01", "--yes")
    listed = lending("portfolio", "list")
    assert listed.splitlines()[1].split()[:6] == ["Cars", "closed", "3", "2025-01-01", "2025-03-01", "dynamic"]
    assert listed.endswith("No day is closed yet: no loans are counted.\n")
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
    assign = ("investor", "assign", "North Fund", loans, "--on", "2025-03-01")
    with pytest.raises(LendingError, match="nothing was changed: answer y, or use --yes in a script"):
        lending(*assign, answer="")
    assert assigned(empty_home, ownership) == []
    assert lending(*assign, "--yes").startswith("2 loans assigned")
    assert [(row["loan_id"], row["purchase_price"]) for row in assigned(empty_home, ownership)] == [
        ("L1", Decimal(60)),
        ("L2", None),
    ]
    listed = lending("investor", "list").splitlines()[1].split()
    assert listed[1:] == ["fund", "North", "Fund", "north@example.com", "0", "0.00"]


def test_a_sale_is_listed_and_undone(empty_home):
    with empty_home.register() as session:
        Portfolios(session).create("Cars", DAY, portfolio_id="a")
        Portfolios(session).assign("a", ["L1"], DAY)
        Investors(session).create("North Fund", "fund", investor_id="n")
        record = {"currency": "USD", "snapshot": {}, "lake_version": {}}
        sale_id = Sales(session).record("a", "n", DAY, prices={"L1": Decimal("1234.5")}, **record).sale_id
    listed = lending("portfolio", "sales")
    line = listed.splitlines()[1]
    assert " ".join(line.split()) == f"{sale_id} 2025-03-01 1,234.50 USD in force Cars North Fund"
    assert lending("undo-sale", sale_id) == f"sale {sale_id} is undone\n"
    assert "undone 20" in lending("portfolio", "sales")
    assert assigned(empty_home, ownership) == []


def test_what_cannot_be_sold_is_refused_before_anything_is_read(empty_home):
    lending("portfolio", "create", "Cars", "--opened", "2025-01-01")
    lending("investor", "create", "South Fund", "--type", "fund")
    sell = ("portfolio", "sell", "Cars", "--to", "North Fund", "--on", "2025-03-01", "--price")
    with pytest.raises(LendingError, match=r"price is 'much': write an amount like 98500\.00"):
        lending(*sell, "much")
    with pytest.raises(LendingError, match="there is no investor 'North Fund': did you mean 'South Fund'"):
        lending(*sell, "100")


@pytest.fixture
def synced(empty_home: Home) -> Home:
    """A home whose lake has the loans CAR-1 and CAR-2 of product P1 and program G1, and HOME-1 of P2 and G2."""
    known = {
        "loans": [("CAR-1", "P1"), ("CAR-2", "P1"), ("HOME-1", "P2")],
        "products": [("P1", "G1", "Personal"), ("P2", "G2", "Car")],
        "programs": [("G1", "Consumer"), ("G2", "Auto")],
        "branches": [("B1", "Main")],
        "staff": [("S1", "Ann Officer")],
    }
    columns = {
        "loans": ("loan_id", "product_id"),
        "products": ("product_id", "program_id", "name"),
        "programs": ("program_id", "name"),
        "branches": ("branch_id", "name"),
        "staff": ("staff_id", "full_name"),
    }
    with empty_home.lake() as lake:
        for table, rows in known.items():
            schema = TABLES[table].arrow_schema
            blank = dict.fromkeys(schema.names)
            filled = [blank | dict(zip(columns[table], row, strict=True)) for row in rows]
            lake.replace(table, ibis.memtable(pa.Table.from_pylist(filled, schema=schema)))
    return empty_home


@pytest.mark.parametrize("command", [("portfolio", "assign", "Cars"), ("investor", "assign", "Fund")])
def test_ids_that_are_no_loans_are_refused_with_their_lines_and_near_names(synced, tmp_path, command):
    lending("portfolio", "create", "Cars", "--opened", "2025-01-01")
    lending("investor", "create", "Fund", "--type", "fund")
    file = tmp_path / "loans.csv"
    file.write_text("Loan ID;Price\nCAR-1;1,00\nCAR-9;1,00\nNO-SUCH-LOAN;1,00\n")
    yes = () if command[0] == "portfolio" else ("--yes",)
    with pytest.raises(RegisterError) as refused:
        lending(*command, str(file), "--on", "2025-02-01", *yes)
    assert str(refused.value) == (
        f"loan list {file}: line 3: there is no loan 'CAR-9': did you mean 'CAR-2' or 'CAR-1'?; "
        "line 4: there is no loan 'NO-SUCH-LOAN': use one of 'CAR-1', 'CAR-2', 'HOME-1'"
    )
    assert assigned(synced, membership) == assigned(synced, ownership) == []
    file.write_text("Loan ID;Price\nCAR-1;1,00\nCAR-2;1,00\n")
    lending(*command, str(file), "--on", "2025-02-01", *yes)
    assert len(assigned(synced, membership) + assigned(synced, ownership)) == 2


def test_the_lists_of_the_case_are_read_where_there_are_no_loans_yet(empty_home, shared_dir):
    lending("portfolio", "create", "P", "--opened", "2024-01-01")
    lending("investor", "create", "F", "--type", "fund")
    case = shared_dir / "cases" / "loan-list-of-excel"
    done = CliRunner().invoke(app, ["portfolio", "assign", "P", str(case / "semicolons.csv"), "--on", "2024-01-01"])
    assert (done.exit_code, done.stdout) == (0, "2 loans added to P from 2024-01-01\n")
    assert done.stderr.startswith("warning: loan_id is not checked because no table with its names is synced")
    lending("portfolio", "assign", "P", str(case / "heading.csv"), "--on", "2024-01-01")
    assert [row["loan_id"] for row in assigned(empty_home, membership)] == ["L1", "L2", "L3", "L4"]
    lending("investor", "assign", "F", str(case / "semicolons.csv"), "--on", "2024-01-01", "--yes")
    assert [(row["loan_id"], row["purchase_price"]) for row in assigned(empty_home, ownership)] == [
        ("L1", Decimal("985.00")),
        ("L2", Decimal("1000.00")),
    ]


def test_the_unknown_loan_of_the_case_is_refused(synced, shared_dir):
    lending("portfolio", "create", "P", "--opened", "2024-01-01")
    file = shared_dir / "cases" / "loan-list-of-excel" / "unknown.csv"
    with pytest.raises(RegisterError, match="line 2: there is no loan 'NO-SUCH-LOAN'"):
        lending("portfolio", "assign", "P", str(file), "--on", "2024-01-01")


def test_a_portfolio_of_a_program_takes_its_loans_alone(synced, tmp_path):
    create = ("portfolio", "create", "Cars", "--opened", "2025-01-01", "--program")
    with pytest.raises(UnknownName, match="there is no program 'auto': that is the name of 'G2', write the id"):
        lending(*create, "auto")
    with pytest.raises(UnknownName, match="there is no program 'G3': use one of 'G1', 'G2'"):
        lending(*create, "G3")
    lending(*create, "G2")
    file = tmp_path / "loans.csv"
    file.write_text("HOME-1\nCAR-1\nCAR-2\n")
    with pytest.raises(RegisterError) as refused:
        lending("portfolio", "assign", "Cars", str(file), "--on", "2025-02-01")
    assert str(refused.value) == (
        f"loan list {file}: line 2: loan CAR-1 belongs to program G1; the portfolio takes only loans of G2; "
        "line 3: loan CAR-2 belongs to program G1; the portfolio takes only loans of G2"
    )
    file.write_text("HOME-1\n")
    lending("portfolio", "assign", "Cars", str(file), "--on", "2025-02-01")


def test_a_rule_that_names_what_is_not_there_is_refused_with_every_path(synced, tmp_path):
    file = tmp_path / "rule.json"
    conditions = [
        {"field": "product_id", "op": "in", "value": ["P1", "P3"]},
        {"field": "branch_id", "op": "ne", "value": "main"},
        {"field": "officer_id", "op": "eq", "value": "S1"},
        {"any": [{"field": "program_id", "op": "eq", "value": "G9"}]},
    ]
    file.write_text(json.dumps({"all": conditions}))
    with pytest.raises(CriteriaError) as refused:
        lending("portfolio", "create", "Cars", "--opened", "2025-01-01", "--criteria", str(file))
    assert str(refused.value) == (
        "criteria.all[0].value: there is no product 'P3': use one of 'P1', 'P2'; "
        "criteria.all[1].value: there is no branch 'main': that is the name of 'B1', write the id; "
        "criteria.all[3].any[0].value: there is no program 'G9': use one of 'G1', 'G2'"
    )
    assert lending("portfolio", "list") == ""
