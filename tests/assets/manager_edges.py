"""A servicing database of managers at the edges of health and alerts, worked by hand at the end of 30 June 2025.

The window of 30 days is June; the day before it is 31 May. Loans are in dollars and without interest unless they say
otherwise. No loan was disbursed before 1 April.

O1, led by T1: A1 17,000 from 1 April, 4,000 due and 1,000 paid on 20 June; A2 3,000 from 1 April, due on 20 May and 41
    days past due; A3 1,000 from 15 June. Owes 20,000, and 20,000 before June. PAR 30 3,000 ÷ 20,000 = 15 %; collected
    25 %; growth 0; no default; yield 0. Score 40 % of 25 + 30 % of 100 + 20 % of 50 + 10 % of 0 = 50. And A4 in euros.
O8: the same dollars as O1 in B1, B2 and B3.
O2, led by T1: C1 12,000 from 10 April, due in December: nothing due in June. Score 0 + 30 + 10 + 0 = 40.
T1, a team leader who is an officer too: D1 15,000 from 1 April, due in December. With the team 47,000 dollars.
O3, who starts on 30 June: E1 10,000 from that day. No balance before June, so growth is unknown: 0 + 30 + 10 + 0 = 40.
O4, who left on 15 June and still has F1: 11,000 from 20 April; 1,000 and 100 of interest due and paid on 20 June.
    Growth -1,000 ÷ 11,000; yield 36,500 × 100 ÷ (11,000 × 61 + 10,000 × 11 = 781,000).
O5, who left on 19 June, and O6, who has G1 since 20 June: 15,000 from 1 April, 3,000 due and paid on 10 June.
    Growth -3,000 ÷ 15,000 = -20 %.
O7: H1, repaid in May: no active loan. Score 0 + 0 + 10 + 0 = 10.
T2, a team leader without a team: J1 13,000 euros from 1 April. T3: a team leader without loans.
Nobody: K1 10,000 from 1 April.
"""

from pathlib import Path

from oddities import ABSENT, Database

FAR = "2025-12-20"

_STAFF = (
    # id, role, branch, team leader, from, to
    ("O1", "loan_officer", "B1", "T1", "2024-01-01", None),
    ("O2", "loan_officer", "B1", "T1", "2024-01-01", None),
    ("O3", "loan_officer", "B1", None, "2025-06-30", None),
    ("O4", "loan_officer", "B1", None, "2024-01-01", "2025-06-15"),
    ("O5", "loan_officer", "B1", None, "2024-01-01", "2025-06-19"),
    ("O6", "loan_officer", "B1", None, "2024-01-01", None),
    ("O7", "loan_officer", "B1", None, "2024-01-01", None),
    ("O8", "loan_officer", "B2", None, "2024-01-01", None),
    ("T1", "team_leader", "B1", None, "2024-01-01", None),
    ("T2", "team_leader", "B2", None, "2024-01-01", None),
    ("T3", "team_leader", "B2", None, "2024-01-01", None),
)


def build(path: Path) -> None:
    """Make the database."""
    absent = {*ABSENT, "journal_lines", "gl_accounts"} - {"officer_assignments"}
    database = Database(path, absent)
    for branch_id in ("B1", "B2"):
        database.add("branches", branch_id=branch_id, name=f"Branch {branch_id}", region="North")
    for staff_id, role, branch_id, leader, since, until in _STAFF:
        database.add(
            "staff",
            staff_id=staff_id,
            full_name=f"Person {staff_id}",
            email=f"{staff_id.lower()}@lender.example",
            role=role,
            branch_id=branch_id,
            team_leader_id=leader,
            active_from=since,
            active_to=until,
        )
    database.add("programs", program_id="G1", name="Consumer")
    database.add("products", product_id="P1", program_id="G1", name="Personal", product_type="personal")
    for officer, loan, branch in (("O1", "A", "B1"), ("O8", "B", "B2")):
        _lend(database, f"{loan}1", officer, "2025-04-01", 17000, ("2025-06-20", 4000), (FAR, 13000), branch_id=branch)
        _pay(database, f"{loan}1", "2025-06-20", 1000)
        _lend(database, f"{loan}2", officer, "2025-04-01", 3000, ("2025-05-20", 3000), branch_id=branch)
        _lend(database, f"{loan}3", officer, "2025-06-15", 1000, (FAR, 1000), branch_id=branch)
    _lend(database, "A4", "O1", "2025-04-01", 2000, (FAR, 2000), currency="EUR")
    _lend(database, "C1", "O2", "2025-04-10", 12000, (FAR, 12000))
    _lend(database, "D1", "T1", "2025-04-01", 15000, (FAR, 15000))
    _lend(database, "E1", "O3", "2025-06-30", 10000, (FAR, 10000))
    _lend(database, "F1", "O4", "2025-04-20", 11000, ("2025-06-20", 1000, 100), (FAR, 10000))
    _pay(database, "F1", "2025-06-20", 1000, 100)
    _lend(database, "G1", "O5", "2025-04-01", 15000, ("2025-06-10", 3000), (FAR, 12000))
    _pay(database, "G1", "2025-06-10", 3000)
    for officer, since in (("O5", "2025-04-01"), ("O6", "2025-06-20")):
        database.add("officer_assignments", loan_id="G1", officer_id=officer, assigned_on=since)
    _lend(database, "H1", "O7", "2025-04-01", 500, ("2025-05-10", 500))
    _pay(database, "H1", "2025-05-10", 500)
    _lend(database, "J1", "T2", "2025-04-01", 13000, (FAR, 13000), branch_id="B2", currency="EUR")
    _lend(database, "K1", None, "2025-04-01", 10000, (FAR, 10000))
    database.close()


def _lend(
    database: Database, loan_id: str, officer: str | None, on: str, amount: int, *schedule: tuple, **values: str
) -> None:
    """A loan of its own borrower, with a schedule of (due_on, principal) or (due_on, principal, interest)."""
    borrower = f"C-{loan_id}"
    branch = values.get("branch_id", "B1")
    database.add("borrowers", borrower_id=borrower, branch_id=branch, segment="retail", joined_on=on)
    rows = [(due_on, f"{principal}.00", f"{sum(interest)}.00") for due_on, principal, *interest in schedule]
    terms = {
        "borrower_id": borrower,
        "product_id": "P1",
        "branch_id": branch,
        "officer_id": officer,
        "annual_rate": "0",
    }
    terms |= {"principal": f"{amount}.00", "disbursed_on": on}
    database.loan(loan_id, rows, **terms | values)
    database.transact(f"{loan_id}-D", loan_id, "disbursement", on, f"{amount}.00")


def _pay(database: Database, loan_id: str, on: str, principal: int, interest: int = 0) -> None:
    split = {"principal": f"{principal}.00", "interest": f"{interest}.00"}
    database.transact(f"{loan_id}-{on}", loan_id, "repayment", on, f"{principal + interest}.00", **split)
