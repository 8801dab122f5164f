"""weekly_summary: the week of 10 to 16 March 2025 beside the week before, of six loans worked by hand.

L1: of O1 and C1, from January: 40.00 collected on 4 March, 100.00 on 12 March.
L2: of O1 and C2, disbursed on 5 March: 300.00.
L3: of O1 and C3, disbursed on 11 March: 500.00.
L4: of O2 and C4, from January: repaid with 200.00 on 13 March.
L5: of O9 and C5, from January: 80.00 charged off on 14 March.
L6: of O9, and from 12 March of O1, and of C6, from January: 70.00 collected in February, 5.00 on 12 March.

T1 leads O1 and O2 in branch B1, T2 leads O9 in branch B2. L7 is in euros, of O9.
"""

from datetime import date, timedelta

import pytest
from tiny_lake import TinyLake, money, rows, table

from lending_pipelines.errors import LendingError

OPENING, LAST = date(2025, 3, 2), date(2025, 3, 16)
DAYS = [OPENING + timedelta(days=n) for n in range(15)]
JAN = date(2025, 1, 10)
WEEK, BEFORE = "2025-03-10 to 2025-03-16", "2025-03-03 to 2025-03-09"


def march(day):
    return date(2025, 3, day)


def _loan(loan_id, officer, borrower, disbursed_on, disbursed, *collected, ended=None, charged_off="0", currency="USD"):
    """The positions of a loan; `collected` are pairs of a day in March and an amount."""
    for day in DAYS:
        if day < disbursed_on:
            continue
        status = ended[1] if ended and day >= ended[0] else "active"
        yield {
            "business_date": day,
            "loan_id": loan_id,
            "officer_id": officer(day) if callable(officer) else officer,
            "borrower_id": borrower,
            "branch_id": "B1",
            "currency": currency,
            "disbursed_on": disbursed_on,
            "principal_disbursed": money(disbursed),
            "total_collected": sum((money(amount) for on, amount in collected if on <= day), money("0")),
            "principal_charged_off": money(charged_off if status == "charged_off" else "0"),
            "principal_outstanding": money("1.00"),
            "status": status,
        }


POSITIONS = [
    *_loan("L1", "O1", "C1", JAN, "1000.00", (march(4), "40.00"), (march(12), "100.00")),
    *_loan("L2", "O1", "C2", march(5), "300.00"),
    *_loan("L3", "O1", "C3", march(11), "500.00"),
    *_loan("L4", "O2", "C4", JAN, "200.00", (march(13), "200.00"), ended=(march(13), "closed")),
    *_loan("L5", "O9", "C5", JAN, "90.00", ended=(march(14), "charged_off"), charged_off="80.00"),
    *_loan(
        "L6", lambda day: "O1" if day >= march(12) else "O9", "C6", JAN, "150.00", (JAN, "70.00"), (march(12), "5.00")
    ),
    *_loan("L7", "O9", "C7", JAN, "10.00", (march(16), "1.00"), currency="EUR"),
]


def _health(score, par):
    return {"health_score": score, "health_category": "Good" if score >= 70 else "Critical", "par_30": par}


def _book(day, currency, loans, balance, score, par):
    return {
        "business_date": day, "scope": "all", "scope_id": "*", "currency": currency, "loan_count": loans,
        "total_balance": money(balance), **_health(score, par),
    }  # fmt: skip


def _manager(day, manager_id, role, loans, balance, score, branch="B1"):
    return {
        "business_date": day, "manager_id": manager_id, "role": role, "branch_id": branch, "currency": "USD",
        "active_loans": loans, "total_outstanding": money(balance), **_health(score, 0.04),
    }  # fmt: skip


def _alert(alert_id, severity, kind, subject, opened_on, resolved_on=None):
    return {
        "alert_id": alert_id, "rule": "PAR 30", "severity": severity, "subject_kind": kind, "subject_id": subject,
        "currency": "USD", "opened_on": opened_on, "last_on": opened_on, "resolved_on": resolved_on,
        "state": "resolved" if resolved_on else "open", "finding": f"PAR 30 of {kind} {subject} is high.",
    }  # fmt: skip


@pytest.fixture
def lake():
    return TinyLake(
        {
            "loan_positions": list(POSITIONS),
            "portfolio_snapshots": [
                *(_book(day, "USD", 5, "2100.00", 71.0, 0.05) for day in DAYS[:-1]),
                _book(LAST, "USD", 4, "2000.00", 74.5, 0.02),
                *(_book(day, "EUR", 1, "10.00", 60.0, 0.0) for day in DAYS),
            ],
            "manager_snapshots": [
                _manager(march(9), "O1", "loan_officer", 2, "1200.00", 80.0),
                _manager(LAST, "O1", "loan_officer", 4, "1800.00", 77.5),
                _manager(LAST, "O2", "loan_officer", 0, "0.00", 10.0),
                _manager(LAST, "O9", "loan_officer", 0, "0.00", 10.0, branch="B2"),
                _manager(march(9), "T1", "team_leader", 3, "1400.00", 79.0),
                _manager(LAST, "T1", "team_leader", 4, "1800.00", 40.0),
                _manager(LAST, "T2", "team_leader", 1, "9.00", 90.0, branch="B2"),
            ],
            "staff": [
                {"staff_id": "O1", "full_name": "Ann Ash", "team_leader_id": "T1"},
                {"staff_id": "O2", "full_name": "Bo Birk", "team_leader_id": "T1"},
                {"staff_id": "O9", "full_name": "Nguyễn Thị Minh", "team_leader_id": "T2"},
                {"staff_id": "T1", "full_name": "Tess Thorn"},
                {"staff_id": "T2", "full_name": "Tom Thorn"},
            ],
            "alert_log": [
                _alert("a1", "critical", "manager", "O1", march(11)),
                _alert("a2", "warning", "branch", "B1", march(4), march(13)),
                _alert("a3", "warning", "manager", "O9", march(10), march(12)),
                _alert("a4", "critical", "all", "*", march(17)),
            ],
        }
    )


AMOUNTS = ("disbursed", "collected", "charged_off", "new_loans", "new_clients", "churned_clients")


def activity(book, currency="USD"):
    """The numbers of each week in a currency: amounts as text."""
    return {
        row["week"]: tuple(str(value) if name in AMOUNTS[:3] else value for name, value in _numbers(row))
        for row in rows(book, "Activity")
        if row["currency"] == currency
    }


def _numbers(row):
    return [(name, row[name]) for name in AMOUNTS]


def test_the_amounts_and_clients_of_both_weeks(report):
    book = report("weekly_summary", as_of="2025-03-16")
    assert activity(book) == {
        # 100 + 200 + 5 collected; C3 is new; C4 repaid and C5 is charged off.
        WEEK: ("500.00", "305.00", "80.00", 1, 1, 2),
        BEFORE: ("300.00", "40.00", "0.00", 1, 1, 0),
    }
    assert activity(book, "EUR") == {
        WEEK: ("0.00", "1.00", "0.00", 0, 0, 0),
        BEFORE: ("0.00", "0.00", "0.00", 0, 0, 0),
    }
    assert not book.alerts


def test_a_loan_that_changed_its_officer_is_no_new_business_of_the_team(report):
    book = report("weekly_summary", as_of="2025-03-16", leader="T1")
    assert activity(book) == {
        # L6 counts with the 5.00 of the week alone, and C6 as no new client. L5 is of the other team.
        WEEK: ("500.00", "305.00", "0.00", 1, 1, 1),
        BEFORE: ("300.00", "40.00", "0.00", 1, 1, 0),
    }
    assert book.title == f"Weekly summary: T1, {WEEK}"
    assert report("weekly_summary", as_of="2025-03-16", leader="tess thorn", allow_pii=True).title == (
        f"Weekly summary: Tess Thorn (T1), {WEEK}"
    )


def test_the_book_at_the_end_of_both_weeks(report):
    book = report("weekly_summary", as_of="2025-03-16")
    names = ("week", "currency", "active_clients", "active_loans", "total_outstanding", "par_30", "health_score")
    found = [tuple(row[name] for name in names) for row in rows(book, "Book at the end of the week")]
    assert found == [
        (WEEK, "EUR", 1, 1, money("10.00"), 0.0, 60.0),
        (BEFORE, "EUR", 1, 1, money("10.00"), 0.0, 60.0),
        # C1, C2, C3 and C6; on 9 March C1, C2, C4, C5 and C6.
        (WEEK, "USD", 4, 4, money("2000.00"), 0.02, 74.5),
        (BEFORE, "USD", 5, 5, money("2100.00"), 0.05, 71.0),
    ]
    assert book.headlines is not None
    dollars = book.headlines.arrow().to_pylist()[1]
    assert (dollars["total_outstanding"], dollars["collected"], dollars["new_clients"]) == (
        money("2000.00"),
        money("305.00"),
        1,
    )


def test_the_days_of_both_weeks_add_up_to_them(report):
    by_day = {row["business_date"]: row for row in rows(report("weekly_summary", as_of="2025-03-16"), "Days USD")}
    assert list(by_day) == DAYS[1:]
    collected = {day.day: str(row["collected"]) for day, row in by_day.items() if row["collected"]}
    assert collected == {4: "40.00", 12: "105.00", 13: "200.00"}
    assert {day.day for day, row in by_day.items() if row["disbursed"]} == {5, 11}


def test_health_by_manager_beside_the_week_before_the_least_healthy_first(report):
    book = report("weekly_summary", as_of="2025-03-16")
    names = ("manager_id", "health_score", "previous_health_score", "change")
    # Managers without active loans are left out.
    assert [tuple(row[name] for name in names) for row in rows(book, "Managers")] == [
        ("T1", 40.0, 79.0, -39.0),
        ("O1", 77.5, 80.0, -2.5),
        ("T2", 90.0, None, None),
    ]
    team = report("weekly_summary", as_of="2025-03-16", leader="T1", allow_pii=True)
    assert [row["manager"] for row in rows(team, "Managers")] == ["Tess Thorn (T1)", "Ann Ash (O1)"]


def test_alerts_opened_and_resolved_of_the_lender_and_of_a_team(report):
    def counts(book):
        return {row["week"]: (row["opened"], row["resolved"], row["still_open"]) for row in rows(book, "Alerts")}

    everything = report("weekly_summary", as_of="2025-03-16")
    assert counts(everything) == {WEEK: (2, 2, 1), BEFORE: (1, 0, 1)}
    listed = [
        (row["severity"], row["happened"], row["subject"]) for row in rows(everything, "Alerts opened and resolved")
    ]
    assert listed == [
        ("critical", "opened", "manager O1"),
        ("warning", "opened and resolved", "manager O9"),
        ("warning", "resolved", "branch B1"),
    ]
    team = report("weekly_summary", as_of="2025-03-16", leader="T1", allow_pii=True)
    assert counts(team) == {WEEK: (1, 1, 1), BEFORE: (1, 0, 1)}
    named = [(row["subject"], row["full_name"], row["finding"]) for row in rows(team, "Alerts opened and resolved")]
    assert named[0] == ("manager O1", "Ann Ash", "PAR 30 of manager O1 is high.")


def test_what_is_unknown_without_a_closed_day_is_said_on_the_first_page(report, lake):
    lake.rows["loan_positions"] = [row for row in lake.rows["loan_positions"] if row["business_date"] != march(9)]
    lake.rows["portfolio_snapshots"] = [
        row for row in lake.rows["portfolio_snapshots"] if row["business_date"] != march(9)
    ]
    book = report("weekly_summary", as_of="2025-03-16")
    (line,) = book.alerts
    assert line == "2025-03-09 is not closed. Numbers that need these days are unknown."
    # New loans are known without it; the week before has no end.
    assert activity(book) == {WEEK: ("None", "None", "None", 1, None, None)}
    by_day = {row["business_date"]: row["collected"] for row in rows(book, "Days USD")}
    assert (by_day[march(10)], by_day[march(12)], by_day.get(march(9))) == (None, money("105.00"), None)


def test_a_week_whose_last_day_is_not_closed_is_an_error(report, lake):
    for name in ("loan_positions", "portfolio_snapshots", "manager_snapshots"):
        lake.rows[name] = [row for row in lake.rows[name] if row["business_date"] != LAST]
    with pytest.raises(LendingError, match=r"has no 2025-03-16: .*run lending close --from 2025-03-16"):
        report("weekly_summary", as_of="2025-03-16")


@pytest.mark.parametrize(
    ("leader", "told"),
    [
        ("O1", "no team leader 'O1' has loans on 2025-03-16; use one of 'T1', 'T2'"),
        ("T3", "no team leader 'T3' has loans on 2025-03-16; use one of 'T1', 'T2'"),
    ],
)
def test_a_leader_who_cannot_be_found(report, leader, told):
    with pytest.raises(LendingError, match=told):
        report("weekly_summary", as_of="2025-03-16", leader=leader)


def test_without_alerts_and_managers_it_says_so(report, lake):
    lake.rows["alert_log"] = []
    lake.rows["manager_snapshots"] = [row for row in lake.rows["manager_snapshots"] if row["manager_id"] == "O2"]
    book = report("weekly_summary", as_of="2025-03-16")
    assert table(book, "Managers").no_data == "no manager has active loans on 2025-03-16"
    assert table(book, "Alerts opened and resolved").no_data == (
        "no alert opened or was resolved from 2025-03-10 to 2025-03-16"
    )
