"""Two officers and their team leader on a day; and a lake in which managers have no snapshots."""

from datetime import date

import pytest
from tiny_lake import TinyLake, money, rows, table

from lending_pipelines.errors import LendingError
from lending_pipelines.reports.registry import get

JAN, FEB = date(2025, 1, 31), date(2025, 2, 28)


def _manager(manager_id, role, currency, outstanding, health, category, branch="B1", day=FEB):
    return {
        "business_date": day,
        "manager_id": manager_id,
        "role": role,
        "branch_id": branch,
        "currency": currency,
        "active_loans": 2,
        "total_outstanding": money(outstanding),
        "collection_rate": 92.5,
        "health_score": health,
        "health_category": category,
    }


@pytest.fixture
def lake():
    return TinyLake(
        {
            "manager_snapshots": [
                _manager("O1", "loan_officer", "USD", "100.00", 81.5, "Excellent"),
                _manager("O2", "loan_officer", "USD", "200.00", 45.0, "Critical", branch="B2"),
                _manager("O2", "loan_officer", "EUR", "-5.00", 70.0, "Good", branch="B2"),
                _manager("T1", "team_leader", "USD", "300.00", 60.0, "Warning"),
                _manager("O1", "loan_officer", "USD", "999.00", 99.0, "Excellent", day=JAN),
            ],
            "staff": [{"staff_id": "O1", "full_name": "Nguyễn Thị Minh"}, {"staff_id": "T1", "full_name": "T" * 200}],
            "loan_positions": [{"business_date": FEB, "loan_id": "L1"}],
        }
    )


def test_managers_are_listed_the_least_healthy_first_per_currency(report):
    book = report("manager_performance", allow_pii=True)
    listed = rows(book, "Managers")
    assert [(row["currency"], row["manager_id"], row["full_name"]) for row in listed] == [
        ("EUR", "O2", None),
        ("USD", "O2", None),
        ("USD", "T1", "T" * 200),
        ("USD", "O1", "Nguyễn Thị Minh"),
    ]
    assert (listed[3]["collection_rate"], listed[3]["growth_rate"]) == (92.5, None)
    kinds = {column.name: column.kind for column in table(book, "Managers").columns}
    assert (kinds["par_30"], kinds["collection_rate"], kinds["total_outstanding"]) == ("rate", "percent", "money")


def test_totals_add_up_the_officers_and_not_their_leader_again(report):
    totals = table(report("manager_performance"), "Managers").totals
    assert [(row["currency"], row["active_loans"], row["total_outstanding"]) for row in totals] == [
        ("EUR", 2, money("-5.00")),
        ("USD", 4, money("300.00")),
    ]
    categories = rows(report("manager_performance", role="loan_officer"), "By health category")
    assert [(row["currency"], row["health_category"], row["managers"]) for row in categories] == [
        ("EUR", "Good", 1),
        ("USD", "Critical", 1),
        ("USD", "Excellent", 1),
    ]


def test_managers_of_a_branch_and_role(report):
    assert [row["manager_id"] for row in rows(report("manager_performance", branch="B2"), "Managers")] == ["O2", "O2"]
    assert [row["manager_id"] for row in rows(report("manager_performance", role="team_leader"), "Managers")] == ["T1"]
    none = report("manager_performance", branch="B2", role="team_leader")
    assert table(none, "Managers").no_data == "no such manager has loans on 2025-02-28"


def test_a_day_without_snapshots_is_an_error_that_names_the_nearest(report):
    with pytest.raises(
        LendingError, match="manager_snapshots has no 2025-02-10: the nearest closed days are 2025-01-31"
    ):
        report("manager_performance", as_of="2025-02-10")


def test_where_managers_have_no_snapshots_it_says_no_data(lake, report, home_source):
    del lake.rows["manager_snapshots"]
    without = report("manager_performance")
    assert without.as_of == FEB
    assert {t.no_data for t in without.tables} == {"manager_snapshots has no days: it is not computed"}
    generator = get("manager_performance")
    assert generator.covers(generator.parameters(), home_source) == []
    assert all(t.frame.empty and t.no_data for t in generator.generate(generator.parameters(), home_source).tables)
