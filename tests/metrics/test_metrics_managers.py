"""manager_snapshots and health: a dozen loans of three officers worked by hand, and edges."""

from decimal import Decimal

import pytest
from book import Book, day

ON = "2025-06-30"
"""The window of 30 days is June; the day before it is 31 May; the year begins on 1 July 2024."""


def staff(book, staff_id, leader=None, role="loan_officer", branch="BR1"):
    book.add("staff", staff_id=staff_id, role=role, branch_id=branch, team_leader_id=leader)


@pytest.fixture(scope="module")
def book():
    """O1 and O2 are the team of T1, who leads himself too and has a loan of his own. O3 has no leader; T2 no team.

    The loans, what fell due in June (due), what was collected in June (in), and the principal outstanding at the end of
    each day of the year, added up (days):

    O1, borrower A: L1 1,000 from 1 May; 520 due and paid on 10 June. Owes 500. due 520, in 520,
        days 1,000 x 40 + 500 x 21 = 50,500
    O1, borrower A: L2 500 from 20 June. days 500 x 11 = 5,500
    O1, borrower C: L3 1,200 from 1 February, due on 1 March, never paid: 121 days past due.
        days 1,200 x 150 = 180,000
    O1, borrower D: L4 300 from 1 January; 306 due and paid on 15 June with a fee of 4. due 306, in 306,
        days 300 x 165 = 49,500
    O2, borrower E: M1 400 from 5 June; 200 due and paid on 25 June. due 200, in 200,
        days 400 x 20 + 200 x 6 = 9,200
    O2, borrower F: M2 600 from 10 June. days 600 x 21 = 12,600
    O3, borrower G: N1 10,000 from 1 January 2024, due in December 2025. days 10,000 x 365 = 3,650,000
    O3, borrower H: N2 1,000 from 1 March, charged off on 15 May, 100 recovered on 10 June; what the schedule asks on
        1 June is no longer due. days 1,000 x 75 = 75,000
    O3, borrower J: N3 2,000 from 1 April, of O2 until 14 June; of 1,020 due on 5 June 520 was paid that day: 25 days
        past due. due 1,020, in 520, days 2,000 x 65 + 1,500 x 26 = 169,000
    O3, borrower H: N4 800 from 10 January, repaid on 20 May with 10 interest: what the schedule asks on 20 June is not
        due. days 800 x 130 = 104,000
    T1, borrower E: P1 100 from 1 June. days 100 x 30 = 3,000
    nobody, borrower K: Q1 50 from 1 June. days 50 x 30 = 1,500
    """
    book = Book()
    staff(book, "O1", "T1")
    staff(book, "O2", "T1", branch="BR2")
    staff(book, "O3", branch="BR3")
    staff(book, "T1", "T1", role="team_leader")
    staff(book, "T2", role="team_leader")

    def loan(loan_id, borrower, officer, on, principal, *schedule, **values):
        book.loan(loan_id, on, principal, schedule, borrower_id=borrower, officer_id=officer, **values)

    loan("L1", "A", "O1", "2025-05-01", "1000", ("2025-06-10", "500", "20"), ("2025-07-10", "500", "10"))
    book.txn("L1", "repayment", "2025-06-10", "500", "20")
    loan("L2", "A", "O1", "2025-06-20", "500", ("2025-07-20", "500", "5"))
    loan("L3", "C", "O1", "2025-02-01", "1200", ("2025-03-01", "1200", "24"))
    loan("L4", "D", "O1", "2025-01-01", "300", ("2025-06-15", "300", "6"))
    book.txn("L4", "repayment", "2025-06-15", "300", "6", "4")
    loan("M1", "E", "O2", "2025-06-05", "400", ("2025-06-25", "200", "0"), ("2025-07-25", "200", "0"))
    book.txn("M1", "repayment", "2025-06-25", "200")
    loan("M2", "F", "O2", "2025-06-10", "600", ("2025-07-10", "600", "6"))
    loan("N1", "G", "O3", "2024-01-01", "10000", ("2025-12-31", "10000", "1000"))
    loan("N2", "H", "O3", "2025-03-01", "1000", ("2025-06-01", "1000", "10"))
    book.txn("N2", "charge_off", "2025-05-15", "1000")
    book.txn("N2", "recovery", "2025-06-10", "100")
    loan("N3", "J", "O2", "2025-04-01", "2000", ("2025-06-05", "1000", "20"), ("2025-07-05", "1000", "10"))
    book.txn("N3", "repayment", "2025-06-05", "500", "20")
    book.add("officer_assignments", loan_id="N3", officer_id="O2", assigned_on=day("2025-04-01"))
    book.add("officer_assignments", loan_id="N3", officer_id="O3", assigned_on=day("2025-06-15"))
    loan("N4", "H", "O3", "2025-01-10", "800", ("2025-06-20", "800", "16"))
    book.txn("N4", "repayment", "2025-05-20", "800", "10")
    loan("P1", "E", "T1", "2025-06-01", "100", ("2025-08-01", "100", "1"))
    loan("Q1", "K", None, "2025-06-01", "50", ("2025-12-01", "50", "1"))
    return book


@pytest.fixture(scope="module")
def positions(book):
    return book.positions(ON)


@pytest.fixture(scope="module")
def on_the_day(book, positions):
    return {manager: row for (_, manager, _), row in book.managers(ON, positions=positions).items()}


def check(row, **expected):
    """The row has these values: amounts as text, ratios to 12 significant digits."""
    for name, value in expected.items():
        if isinstance(value, float):
            assert row[name] == pytest.approx(value, rel=1e-12), name
        else:
            assert (str(row[name]) if isinstance(row[name], Decimal) else row[name]) == value, name


def test_who_has_a_row(on_the_day):
    roles = {manager: (row["role"], row["branch_id"]) for manager, row in on_the_day.items()}
    assert roles == {
        "O1": ("loan_officer", "BR1"),
        "O2": ("loan_officer", "BR2"),
        "O3": ("loan_officer", "BR3"),
        "T1": ("team_leader", "BR1"),
        "unassigned": ("unassigned", None),
    }


def test_an_officer_with_a_default_and_a_lost_client(on_the_day):
    check(
        on_the_day["O1"],
        total_clients=3,
        active_clients=2,
        new_clients=0,
        churned_clients=1,
        active_loans=3,
        total_loans=4,
        total_disbursed="3000.00",
        total_outstanding="2200.00",
        total_collected="830.00",
        par_30=1200 / 2200,
        par_60=1200 / 2200,
        par_90=1200 / 2200,
        # L3, of three active loans and none charged off.
        defaulted_loans=1,
        default_rate=100 / 3,
        due_in_window="826.00",
        collected_in_window="826.00",
        collection_rate=100.0,
        # L1, L3 and L4: 2,500 became 2,200.
        opening_outstanding="2500.00",
        growth_rate=-12.0,
        # 20 + 6 + 4, on 50,500 + 5,500 + 180,000 + 49,500 = 285,500 in days.
        income_in_year="30.00",
        portfolio_yield=100 * 365 * 30 / 285_500,
        collection_score=100.0,
        default_score=0.0,
        growth_score=38.0,
        yield_score=5 * 100 * 365 * 30 / 285_500,
        # 40 + 0 + 7.6 + 10 % of 19.17688266...
        health_score=49.51768827,
        health_category="Critical",
        missing=None,
    )


def test_a_new_officer_exactly_at_the_threshold_of_excellent(on_the_day):
    check(
        on_the_day["O2"],
        total_clients=2,
        active_clients=2,
        new_clients=2,
        churned_clients=0,
        total_outstanding="800.00",
        due_in_window="200.00",
        collected_in_window="200.00",
        opening_outstanding="0.00",
        growth_rate=None,
        portfolio_yield=0.0,
        growth_score=50.0,
        # 40 + 30 + 10 + 0.
        health_score=80.0,
        health_category="Excellent",
        missing=None,
    )


def test_an_officer_with_a_charged_off_an_inherited_and_a_prepaid_loan(on_the_day):
    check(
        on_the_day["O3"],
        total_clients=3,
        active_clients=2,
        new_clients=0,
        churned_clients=0,
        active_loans=2,
        total_loans=4,
        total_disbursed="13800.00",
        total_outstanding="11500.00",
        total_collected="1430.00",
        par_30=0.0,
        # N2, of two active loans and one charged off.
        defaulted_loans=1,
        default_rate=100 / 3,
        due_in_window="1020.00",
        collected_in_window="520.00",
        collection_rate=100 * 520 / 1020,
        # N1 and all of N3, although O2 had it on 31 May.
        opening_outstanding="12000.00",
        growth_rate=-100 / 24,
        income_in_year="30.00",
        portfolio_yield=100 * 365 * 30 / 3_998_000,
        # 20.39215686 + 0 + 20 % of 45.83333333 + 10 % of 1.36943472
        health_score=29.69576700,
        health_category="Critical",
    )


def test_a_team_leader_has_the_team_and_his_own_loans_once(on_the_day):
    check(
        on_the_day["T1"],
        # A, C, D, F, and E, who has loans of O2 and of T1.
        total_clients=5,
        active_clients=4,
        new_clients=2,
        churned_clients=1,
        active_loans=6,
        total_loans=7,
        total_disbursed="4100.00",
        total_outstanding="3100.00",
        total_collected="1030.00",
        due_in_window="1026.00",
        collected_in_window="1026.00",
        default_rate=100 / 6,
        opening_outstanding="2500.00",
        growth_rate=24.0,
        # 285,500 + 9,200 + 12,600 + 3,000.
        portfolio_yield=100 * 365 * 30 / 310_300,
        # 40 + 0 + 20 % of 74 + 10 % of 17.64421527
        health_score=56.56442153,
        health_category="Warning",
    )


def test_loans_without_an_officer_of_which_nothing_fell_due(on_the_day):
    check(
        on_the_day["unassigned"],
        total_loans=1,
        total_outstanding="50.00",
        collection_rate=None,
        collection_score=0.0,
        # 0 + 30 + 10 + 0.
        health_score=40.0,
        health_category="Critical",
        missing="collection_rate",
    )


def test_the_officer_of_that_day_has_the_loan(book):
    before = {manager: row for (_, manager, _), row in book.managers("2025-06-14").items()}
    assert before["O2"]["total_loans"] == 3
    assert before["O3"]["total_loans"] == 3
    assert str(before["O2"]["opening_outstanding"]) == "2000.00"


def test_the_same_health_for_a_scope(book, positions):
    row = book.snapshots(ON, positions=positions)[ON, "all", "*", "USD"]
    check(
        row,
        due_in_window="2046.00",
        collected_in_window="1546.00",
        opening_outstanding="14500.00",
        total_balance="14650.00",
        growth_rate=100 * 150 / 14500,
        # L3 and N2, of nine active loans and one charged off.
        default_rate=20.0,
        income_in_year="60.00",
        portfolio_yield=100 * 365 * 60 / 4_309_800,
        collection_rate=100 * 1546 / 2046,
        # 30.22482893 + 0 + 20 % of 51.03448276 + 10 % of 2.54072115
        health_score=40.68579760,
        health_category="Critical",
    )


def test_nobody_has_a_row_in_an_empty_book():
    assert Book().managers(ON) == {}


OWED_INTEREST = [("L1", "O1", "100"), ("L2", "O2", "1"), ("L3", "O3", "100")]
"""Loans whose interest was paid last: id, officer, principal."""


@pytest.fixture(scope="module")
def edges():
    """A book of loans that are each for one test, of officers who have no other loans."""
    book = Book()
    book.add("staff", staff_id="left", role="admin", branch_id="BR1", active_to=day("2025-01-01"))
    for officer, principal in (("left", "100"), ("O7", "200")):
        book.loan(f"of {officer}", "2025-06-01", principal, [("2025-12-01", principal, "1")], officer_id=officer)
    for loan_id, officer, principal in OWED_INTEREST:
        book.loan(loan_id, "2025-04-01", principal, [("2025-05-10", principal, "5")], officer_id=officer)
        book.txn(loan_id, "repayment", "2025-05-20", principal)
        book.txn(loan_id, "repayment", "2025-06-10", "0", "5")
    book.schedule("L3", 2, "2025-05-31", [("2025-05-10", "100", "5")])
    book.loan("L4", "2025-04-01", "100", [("2025-05-10", "100", "5")], officer_id="O9")
    book.txn("L4", "repayment", "2025-05-20", "100")
    book.schedule("L4", 2, "2025-06-10", [("2025-05-10", "100", "0")])
    book.loan("late", "2025-03-01", "100", [("2025-04-01", "100", "0")], officer_id="O8")
    return book


@pytest.fixture(scope="module")
def edge_positions(edges):
    return edges.positions("2025-05-31", ON)


@pytest.fixture(scope="module")
def edge_managers(edges, edge_positions):
    """The managers of these loans by default_days."""
    last = {key: row for key, row in edge_positions.items() if key[0] == ON}
    return {days: edges.managers(ON, positions=last, default_days=days) for days in (90, 91)}


def test_an_officer_who_left_and_staff_that_nobody_knows_keep_their_loans(edge_managers):
    found = {manager: (row["role"], row["branch_id"]) for (_, manager, _), row in edge_managers[90].items()}
    assert {manager: values for manager, values in found.items() if manager in ("left", "O7")} == {
        "left": ("loan_officer", "BR1"),
        "O7": ("loan_officer", None),
    }
    assert found.keys() == {"left", "O7", "O1", "O2", "O3", "O8", "O9"}


def test_a_borrower_who_owed_only_interest_before_the_window_is_lost_when_it_is_paid(edge_positions, edge_managers):
    """The principal was repaid on 20 May; the interest due by then stayed unpaid, so that the loan was active.

    O1 has a loan of 100.00, O2 one of 1.00, and O3 one whose second schedule is in force from 31 May, the day before
    the window.
    """
    for on, status in (("2025-05-31", "active"), (ON, "closed")):
        assert {edge_positions[on, loan_id]["status"] for loan_id, *_ in OWED_INTEREST} == {status}
    for _, officer, _ in OWED_INTEREST:
        expected = {"collected_in_window": "5.00", "due_in_window": "0.00"}
        check(edge_managers[90][ON, officer, "USD"], churned_clients=1, active_clients=0, **expected)


def test_a_borrower_who_owed_only_interest_is_lost_when_a_new_schedule_has_none(edge_positions, edge_managers):
    """The interest of 5.00 was unpaid until the schedule of 10 June, which has no interest. Nothing is paid in June."""
    assert [edge_positions[on, "L4"]["status"] for on in ("2025-05-31", "2025-06-09", ON)] == ["active"] * 2 + [
        "closed"
    ]
    check(
        edge_managers[90][ON, "O9", "USD"],
        churned_clients=1,
        active_clients=0,
        collected_in_window="0.00",
        due_in_window="0.00",
    )


def test_a_borrower_who_owed_only_interest_is_lost_when_it_is_written_off():
    """The interest of O1's loan is written off in the window, that of O2's before it: a recovery follows in it."""
    book = Book()
    for officer, written_off in (("O1", "2025-06-10"), ("O2", "2025-05-25")):
        book.loan(officer, "2025-04-01", "100", [("2025-05-10", "100", "5")], officer_id=officer)
        book.txn(officer, "repayment", "2025-05-20", "100")
        book.txn(officer, "write_off", written_off, "0", "5")
    book.txn("O2", "recovery", "2025-06-12", "0", "5")
    found = book.managers(ON)
    check(found[ON, "O1", "USD"], churned_clients=1, active_clients=0, defaulted_loans=1)
    check(found[ON, "O2", "USD"], churned_clients=0, active_clients=0, defaulted_loans=1)


def test_what_fell_due_before_a_payment_bounced_is_due():
    """All is paid on 10 June and reversed on 25 June. The installments of 5 and 15 June are due again from then on."""
    book = Book()
    three = [("2025-06-05", "100", "10"), ("2025-06-15", "100", "6"), ("2025-07-15", "100", "4")]
    book.loan("L1", "2025-05-01", "300", three)
    book.reverse(book.txn("L1", "repayment", "2025-06-10", "300", "12"), "2025-06-25")
    days = book.managers("2025-06-14", ON)
    due = {on: days[f"2025-06-{on}", "O1", "USD"] for on in ("14", "24", "25", "30")}
    for row in (due["14"], due["24"]):
        check(row, due_in_window="110.00", collected_in_window="312.00")
    for row in (due["25"], due["30"]):
        check(row, due_in_window="216.00", collected_in_window="0.00", collection_rate=0.0)
    assert book.managers(ON)[ON, "O1", "USD"] == due["30"]


def test_clients_over_a_range_of_more_than_60_days():
    """Lent on 30 January, repaid on 2 March: the 61st day of the range that begins on 1 January.

    The window of 28 February begins on 30 January, that of 1 March on 31 January, that of 2 March on 1 February.
    """
    book = Book()
    staff(book, "O1", "T1")
    book.loan("L1", "2025-01-30", "100", [("2025-04-01", "100", "0")], officer_id="O1")
    book.txn("L1", "repayment", "2025-03-02", "100")
    found = book.managers("2025-01-01", "2025-03-15")
    for manager in ("O1", "T1"):
        assert min(on for on, who, _ in found if who == manager) == "2025-01-30"
        for on, active, new, churned in (
            ("2025-01-30", 1, 1, 0),
            ("2025-02-28", 1, 1, 0),
            ("2025-03-01", 1, 0, 0),
            ("2025-03-02", 0, 0, 1),
            ("2025-03-15", 0, 0, 1),
        ):
            row = found[on, manager, "USD"]
            check(row, total_clients=1, active_clients=active, new_clients=new, churned_clients=churned)


@pytest.mark.parametrize(("default_days", "defaulted"), [(90, 1), (91, 0)])
def test_a_loan_is_in_default_from_exactly_default_days_on(edge_positions, edge_managers, default_days, defaulted):
    """From 1 April to 30 June are 90 days."""
    assert edge_positions[ON, "late"]["days_past_due"] == 90
    assert edge_managers[default_days][ON, "O8", "USD"]["defaulted_loans"] == defaulted
