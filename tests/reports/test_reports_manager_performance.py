"""manager_performance: two officers and their team leader over February, worked by hand in two_officers.py."""

import pytest
from tiny_lake import money, rows, table
from two_officers import FEB, two_officers

from lending_pipelines.errors import LendingError

NAMES = ("manager_id", "currency")


@pytest.fixture
def lake():
    return two_officers()


def by_manager(book, title):
    """The rows of a table by manager and currency."""
    return {tuple(row[name] for name in NAMES): row for row in rows(book, title)}


def test_the_least_healthy_is_first_and_who_has_no_active_loans_is_last(report):
    listed = rows(report("manager_performance", allow_pii=True), "Managers")
    assert [(row["currency"], row["manager_id"], row["full_name"], row["rank"]) for row in listed] == [
        ("EUR", "O2", "Ann Ash", 1),
        ("USD", "O2", "Ann Ash", 2),
        ("USD", "T1", "T" * 200, 1),
        ("USD", "O1", "Nguyễn Thị Minh", 1),
        ("USD", "O3", "Ann Ash", 3),
    ]


def test_totals_count_each_loan_once_and_not_again_for_the_team_leader(report):
    totals = table(report("manager_performance"), "Managers").totals
    assert [(row["currency"], row["active_loans"], row["total_outstanding"]) for row in totals] == [
        ("EUR", 1, money("5.00")),
        ("USD", 3, money("340.00")),
    ]
    (officers,) = table(report("manager_performance", manager="O1"), "Managers").totals
    assert (officers["active_loans"], officers["total_outstanding"], officers["total_collected"]) == (
        2,
        money("140.00"),
        money("3.00"),
    )


def test_growth_acquisition_and_churn_beside_the_branch_and_the_previous_period(report):
    book = report("manager_performance")
    found = by_manager(book, "Growth, acquisition and churn")
    rates = ("growth_rate", "acquisition_rate", "churn_rate")

    def values(manager, prefix=""):
        return tuple(found[manager, "USD"][f"{prefix}{name}"] for name in rates)

    assert values("O1") == (-30.0, 50.0, 50.0)
    assert values("O2") == (0.0, 0.0, 0.0)
    assert values("T1") == pytest.approx((-15.0, 100 / 3, 100 / 3))
    assert values("O1", "branch_") == pytest.approx((-15.0, 100 / 3, 100 / 3))
    assert values("O1", "previous_") == (None, 100.0, None)
    assert not any("not closed" in note for note in book.notes)


def test_health_beside_the_branch_and_the_previous_period(report):
    found = by_manager(report("manager_performance"), "Health compared")["O1", "USD"]
    assert (found["health_score"], found["branch_health_score"], found["previous_health_score"]) == (81.5, 62.0, 99.0)
    labels = {column.name: column.label for column in table(report("manager_performance"), "Health compared").columns}
    assert labels["previous_par_30"] == "PAR 30, 2025-01-31"


def test_the_parts_of_the_score_and_the_kinds_of_numbers(report):
    book = report("manager_performance")
    parts = by_manager(book, "Parts of the health score")["O1", "USD"]
    assert (parts["collection_rate"], parts["collection_score"], parts["health_score"]) == (92.5, 92.5, 81.5)
    kinds = {column.name: column.kind for column in table(book, "Parts of the health score").columns}
    assert (kinds["collection_rate"], kinds["health_score"], kinds["due_in_window"]) == ("percent", "number", "money")


def test_the_trend_is_that_of_the_book_of_a_branch_or_of_one_manager(report):
    scores = {
        chosen: [row["health_score"] for row in rows(report("manager_performance", **dict([chosen])), "Trend USD")]
        for chosen in (("branch", "ALL"), ("branch", "B1"), ("manager", "O2"))
    }
    assert list(scores.values()) == [[63.0], [62.0], [45.0]]


def test_days_are_one_table_of_all_columns(report):
    span = {"period": "custom", "from_date": "2025-01-01", "to_date": "2025-02-28"}
    book = report("manager_performance", manager="O1", contents="days", **span)
    (days,) = book.tables
    assert [str(row["business_date"]) for row in days.arrow().to_pylist()] == ["2025-01-31", "2025-02-28"]
    assert {"collection_score", "missing", "par_60"} < set(days.names)


def test_managers_of_a_branch_and_role(report):
    assert {key for key, _ in by_manager(report("manager_performance", branch="B2"), "Managers")} == {"O3"}
    assert {key for key, _ in by_manager(report("manager_performance", role="team_leader"), "Managers")} == {"T1"}
    none = report("manager_performance", branch="B2", role="team_leader")
    assert table(none, "Managers").no_data == "no such manager has loans on 2025-02-28"


@pytest.mark.parametrize(
    ("manager", "told"),
    [
        ("O4", "there is no manager 'O4'; "),
        ("ann ash", "manager name 'ann ash' is not unique: write one of the ids O2, O3"),
    ],
)
def test_a_manager_who_cannot_be_found(report, manager, told):
    with pytest.raises(LendingError, match=told):
        report("manager_performance", manager=manager)


def test_a_day_that_is_not_closed_makes_changes_unknown_and_is_named(report, lake):
    lake.rows["loan_positions"] = [row for row in lake.rows["loan_positions"] if row["business_date"] == FEB]
    book = report("manager_performance")
    assert by_manager(book, "Growth, acquisition and churn")["O1", "USD"]["growth_rate"] is None
    assert any(note.startswith("2024-12-31, 2025-01-31 are not closed") for note in book.notes)


def test_a_day_without_snapshots_is_an_error_that_names_the_nearest(report):
    with pytest.raises(LendingError, match="has no 2025-02-10: the nearest closed days are 2025-01-31"):
        report("manager_performance", as_of="2025-02-10")
