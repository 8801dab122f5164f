"""Loans join portfolios by rule: in the close and by themselves, a range of days as its days, and once only."""

import shutil
from datetime import date

import pytest
from homes import FIRST, LAST, OPEN, PORTFOLIO, Home, materialise

from lending_pipelines.register import Portfolios
from lending_pipelines.runs import run_job

RULE = {"any": [{"field": "principal", "op": "ge", "value": 1}]}
START, LATER = date(2025, 3, 1), date(2025, 3, 6)


def by_rule(home: Home) -> dict[str, tuple[str, date]]:
    """Portfolio and first day of every loan that a rule chose, as the lake has it."""
    rows = home.rows("portfolio_membership")
    return {row["loan_id"]: (row["portfolio_name"], row["assigned_on"]) for row in rows if row["method"] == "dynamic"}


def disbursed(home: Home) -> dict[str, date]:
    return {row["loan_id"]: row["disbursed_on"] for row in home.rows("loans") if row["disbursed_on"]}


@pytest.fixture
def ruled(home: Home) -> Home:
    """The closed home with two portfolios that choose: loans of 5,000 and more from March, and all others."""
    large = {"field": "principal", "op": "ge", "value": 5000}
    with home.register() as session:
        Portfolios(session).create("Large", START, criteria=large, priority=1)
        Portfolios(session).create("Rest", date(2025, 3, 5), criteria=RULE, priority=2)
    return home


def test_the_close_lets_rules_choose_before_it_takes_positions(ruled):
    assets = ["loans", "portfolio_assignments", "portfolio_membership", "loan_positions"]
    run_job("daily_close", days=(OPEN, OPEN), assets=assets)

    chosen = by_rule(ruled)
    assert {name for name, _ in chosen.values()} == {"Large", "Rest"}
    assert {day for _, day in chosen.values()} == {OPEN}
    ids = {row["portfolio_id"]: row["portfolio_name"] for row in ruled.rows("portfolio_membership")}
    on_the_day = {row["loan_id"]: ids.get(row["portfolio_id"]) for row in ruled.rows("loan_positions", OPEN, OPEN)}
    # 40 loans were put in by hand, and every other disbursed loan is meant by the second rule.
    assert sum(name == PORTFOLIO for name in on_the_day.values()) == 40
    assert {loan: name for loan, name in on_the_day.items() if name != PORTFOLIO} == {
        loan: name for loan, (name, _) in chosen.items()
    }
    assert all(on_the_day.values())


def test_a_range_of_days_assigns_as_its_days_one_after_the_other_and_again_nothing(ruled, tmp_path, monkeypatch):
    other = Home(tmp_path / "other")
    shutil.copytree(ruled.folder, other.folder)
    made = run_job("assign_portfolios", days=(START, LATER)).metadata["portfolio_assignments"]
    at_once = by_rule(ruled)
    assert made == {"portfolios": 2, "dagster/row_count": len(at_once)}

    principal = {row["loan_id"]: row["principal"] for row in ruled.rows("loans")}
    since = disbursed(ruled)
    for loan, (name, day) in at_once.items():
        assert name == ("Large" if principal[loan] >= 5000 else "Rest")
        assert day == max(since[loan], START if name == "Large" else date(2025, 3, 5))
    assert len({day for _, day in at_once.values()}) > 2

    again = run_job("assign_portfolios", days=(START, LATER)).metadata["portfolio_assignments"]
    assert again["dagster/row_count"] == 0

    other.enter(monkeypatch)
    for day in range(START.day, LATER.day):
        materialise(START.replace(day=day), START.replace(day=day), "portfolio_assignments")
    materialise(LATER, LATER, "portfolio_assignments", "portfolio_membership")
    assert by_rule(other) == at_once


def test_a_closed_portfolio_is_tracked_and_takes_no_more(ruled):
    run_job("assign_portfolios", days=(LAST, LAST))
    before = by_rule(ruled)
    with ruled.register() as session:
        Portfolios(session).close(Portfolios(session).by_name("Rest").portfolio_id, OPEN)
        Portfolios(session).close(Portfolios(session).by_name("Large").portfolio_id, OPEN)
    tables = ("portfolio_assignments", "portfolio_membership", "loan_positions", "portfolio_snapshots")
    materialise(OPEN, OPEN, *tables)

    assert by_rule(ruled) == before
    joined_late = [loan for loan, day in disbursed(ruled).items() if day == OPEN]
    tracked = {row["loan_id"]: row["portfolio_id"] for row in ruled.rows("loan_positions", OPEN, OPEN)}
    assert {tracked[loan] for loan in joined_late} <= {None}
    assert all(tracked[loan] for loan in before)
    names = {row["name"] for row in ruled.rows("portfolio_snapshots", OPEN, OPEN) if row["scope"] == "portfolio"}
    assert names == {PORTFOLIO, "Large", "Rest"}


def test_without_rules_nothing_is_looked_at(home):
    made = run_job("assign_portfolios", days=(FIRST, FIRST)).metadata["portfolio_assignments"]
    assert made == {"portfolios": 0, "dagster/row_count": 0}
    assert by_rule(home) == {}
