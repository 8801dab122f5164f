"""A lake of two officers of a branch and their team leader, worked by hand: the end of December, January and February.

L1: of O1 and borrower C1: 100.00 owed in January, 80.00 in February.
L2: of O1 and C2: 100.00 in January, repaid in February.
L3: of O1 and C3, disbursed in February: 60.00.
L4: of O2 and C4: 200.00 in January and February.
L9: of O2 and C4, in euros: 5.00 on all three days.

February against 31 January. O1: 140 of 200, growth -30 %; one new of the two active clients; one of two lost. O2:
nothing changed. The branch and the team leader: 340 of 400, growth -15 %; one new of three; one of three lost. January
against 31 December, where no dollar was lent: growth and churn are unknown, and all clients are new.
"""

from datetime import date

from tiny_lake import TinyLake, money

DEC, JAN, FEB = date(2024, 12, 31), date(2025, 1, 31), date(2025, 2, 28)


def _position(day, loan_id, officer, borrower, since, owed, currency="USD", status="active"):
    return {
        "business_date": day,
        "loan_id": loan_id,
        "officer_id": officer,
        "borrower_id": borrower,
        "branch_id": "B1",
        "currency": currency,
        "disbursed_on": since,
        "principal_outstanding": money(owed),
        "total_collected": money("1.00"),
        "status": status,
    }


POSITIONS = [
    _position(JAN, "L1", "O1", "C1", date(2025, 1, 10), "100.00"),
    _position(FEB, "L1", "O1", "C1", date(2025, 1, 10), "80.00"),
    _position(JAN, "L2", "O1", "C2", date(2025, 1, 5), "100.00"),
    _position(FEB, "L2", "O1", "C2", date(2025, 1, 5), "0.00", status="closed"),
    _position(FEB, "L3", "O1", "C3", date(2025, 2, 10), "60.00"),
    _position(JAN, "L4", "O2", "C4", date(2025, 1, 1), "200.00"),
    _position(FEB, "L4", "O2", "C4", date(2025, 1, 1), "200.00"),
    *(_position(day, "L9", "O2", "C4", DEC, "5.00", currency="EUR") for day in (DEC, JAN, FEB)),
]


def _health(score, category, collected):
    return {
        "health_score": score,
        "health_category": category,
        "collection_rate": collected,
        "collection_score": min(collected, 100.0),
        "default_score": 100.0,
        "par_30": 0.25,
    }


def _manager(day, manager_id, role, loans, outstanding, score, category, currency="USD", branch="B1"):
    return {
        "business_date": day,
        "manager_id": manager_id,
        "role": role,
        "branch_id": branch,
        "currency": currency,
        "active_loans": loans,
        "total_outstanding": money(outstanding),
        **_health(score, category, 92.5),
    }


MANAGERS = [
    _manager(FEB, "O1", "loan_officer", 2, "140.00", 81.5, "Excellent"),
    _manager(FEB, "O2", "loan_officer", 1, "200.00", 45.0, "Critical"),
    _manager(FEB, "O2", "loan_officer", 1, "5.00", 70.0, "Good", currency="EUR"),
    _manager(FEB, "T1", "team_leader", 3, "340.00", 60.0, "Warning"),
    _manager(FEB, "O3", "loan_officer", 0, "0.00", 10.0, "Critical", branch="B2"),
    _manager(JAN, "O1", "loan_officer", 2, "200.00", 99.0, "Excellent"),
]


def _scope(day, scope, scope_id, score, balance, currency="USD", name=None):
    return {
        "business_date": day,
        "scope": scope,
        "scope_id": scope_id,
        "name": name,
        "currency": currency,
        "loan_count": 3,
        "total_balance": money(balance),
        **_health(score, "Warning", 88.0),
    }


SCOPES = [
    _scope(JAN, "branch", "B1", 64.0, "400.00", name="Main street"),
    _scope(FEB, "branch", "B1", 62.0, "340.00", name="Main street"),
    _scope(FEB, "branch", "B2", 71.0, "10.00"),
    _scope(FEB, "branch", "B1", 55.0, "5.00", currency="EUR", name="Main street"),
    _scope(FEB, "all", "*", 63.0, "350.00"),
    _scope(FEB, "all", "*", 55.0, "5.00", currency="EUR"),
]


def two_officers():
    """The lake as a ReportSource."""
    return TinyLake(
        {
            "manager_snapshots": list(MANAGERS),
            "portfolio_snapshots": list(SCOPES),
            "loan_positions": list(POSITIONS),
            "staff": [
                {"staff_id": "O1", "full_name": "Nguyễn Thị Minh", "team_leader_id": "T1"},
                {"staff_id": "O2", "full_name": "Ann Ash", "team_leader_id": "T1"},
                {"staff_id": "O3", "full_name": "Ann Ash"},
                {"staff_id": "T1", "full_name": "T" * 200},
            ],
        }
    )
