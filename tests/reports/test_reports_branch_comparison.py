"""branch_comparison: the branches of February, worked by hand in two_officers.py."""

import pytest
from tiny_lake import money, rows, table
from two_officers import two_officers

MAIN = ("Main street", "USD")


@pytest.fixture
def lake():
    return two_officers()


def by_branch(book, title):
    """The rows of a table by branch and currency."""
    return {(row["branch"], row["currency"]): row for row in rows(book, title)}


def test_branches_are_ranked_by_health_within_their_currency(report):
    book = report("branch_comparison")
    listed = [(row["rank"], row["branch"], row["currency"], row["health_score"]) for row in rows(book, "Branches")]
    assert listed == [(1, "Main street", "EUR", 55.0), (1, "B2", "USD", 71.0), (2, "Main street", "USD", 62.0)]
    totals = [(row["currency"], row["total_balance"]) for row in table(book, "Branches").totals]
    assert totals == [("EUR", money("5.00")), ("USD", money("350.00"))]


def test_a_branch_beside_all_loans_and_the_previous_period(report):
    book = report("branch_comparison")
    health = by_branch(book, "Health compared")[MAIN]
    assert [health[f"{side}health_score"] for side in ("", "all_", "previous_")] == [62.0, 63.0, 64.0]
    (changes,) = [
        row for row in rows(book, "Growth, acquisition and churn") if (row["branch"], row["currency"]) == MAIN
    ]
    assert changes["growth_rate"] == changes["all_growth_rate"] == -15.0
    assert changes["churn_rate"] == pytest.approx(100 / 3)
    assert (changes["previous_growth_rate"], changes["previous_acquisition_rate"]) == (None, 100.0)


def test_loan_officers_by_category(report):
    found = {
        (row["branch"], row["currency"]): row for row in rows(report("branch_comparison"), "Loan officers by category")
    }
    assert [found[MAIN][name] for name in ("critical", "warning", "good", "excellent")] == [1, 0, 0, 1]
    assert [found["B2", "USD"][name] for name in ("critical", "warning", "good", "excellent")] == [1, 0, 0, 0]


def test_without_branches_it_says_so(report, lake):
    lake.rows["portfolio_snapshots"] = [row for row in lake.rows["portfolio_snapshots"] if row["scope"] == "all"]
    assert table(report("branch_comparison"), "Branches").no_data == "no branch has loans on 2025-02-28"
