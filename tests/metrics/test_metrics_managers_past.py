"""manager_snapshots of random books: a plain recomputation from the positions of every day, and ranges of days."""

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal

import pytest
from book import Book, each_day
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from random_books import FIRST, random_book, seeds

# Hypothesis tries the simplest example first, whose seeds begin with 0: it is none.
few = settings(max_examples=1, phases=(Phase.explicit, Phase.reuse, Phase.generate), deadline=None)


def _on(positions, on):
    return {key: row for key, row in positions.items() if key[0] == str(on)}


@few
@given(seeds=seeds(2), dates=st.tuples(*[st.dates(FIRST + timedelta(days=40), date(2025, 7, 30))] * 2))
def test_history_is_that_of_earlier_positions(seeds, dates):
    """What is computed from transactions is what the positions of every day of the past say."""
    book = random_book(*seeds, loans=12)
    past = book.positions(str(FIRST - timedelta(days=3)), str(max(dates)))
    for on in dates:
        _assert_history(book, past, on)


def _assert_history(book, past, on):
    expected = defaultdict(lambda: defaultdict(Decimal))
    for loan in book.rows["loans"]:
        if (str(on), loan["loan_id"]) in past:
            _add_history(expected, past, book.rows["installments"], loan["loan_id"], on)
    found = book.managers(str(on), positions=_on(past, on))
    assert {(manager, currency) for _, manager, currency in found} == expected.keys()
    for (_, manager, currency), row in found.items():
        sums = expected[manager, currency]
        assert {name: row[name] for name in sums if name != "days"} == {
            name: value for name, value in sums.items() if name != "days"
        }
        yields = 36_500 * float(sums["income_in_year"]) / float(sums["days"]) if sums["days"] > 0 else None
        assert row["portfolio_yield"] == (yields if yields is None else pytest.approx(yields, rel=1e-9))
        assert row["churned_clients"] == _churned(past, manager, currency, on)


def _add_history(expected, past, installments, loan_id, on):
    now, before = past[str(on), loan_id], past.get((str(on - timedelta(days=30)), loan_id))
    year = past.get((str(on - timedelta(days=365)), loan_id))
    sums = expected[now["officer_id"] or "unassigned", now["currency"]]

    def change(then, *names):
        return sum(now[name] - (then[name] if then else 0) for name in names)

    def repaid_before(due_on):
        """Whether no principal is outstanding from the day before due_on up to the day."""
        rows = [past.get((str(day_), loan_id)) for day_ in each_day(due_on - timedelta(days=1), on)]
        return all(row is None or row["principal_outstanding"] <= 0 for row in rows)

    sums["collected_in_window"] += change(before, "principal_paid", "interest_paid")
    sums["income_in_year"] += change(year, "interest_paid", "fees_paid")
    sums["opening_outstanding"] += before["principal_outstanding"] if before else 0
    sums["days"] += sum(
        past[str(day_), loan_id]["principal_outstanding"]
        for day_ in each_day(on - timedelta(days=364), on)
        if (str(day_), loan_id) in past
    )
    known = [row for row in installments if row["loan_id"] == loan_id and row["effective_on"] <= on]
    version = max((row["version"] for row in known), default=None)
    sums["due_in_window"] += sum(
        row["principal"] + row["interest"]
        for row in known
        if row["version"] == version
        and on - timedelta(days=30) < row["due_on"] <= on
        and not repaid_before(row["due_on"])
    )


def _churned(past, manager, currency, on):
    active, was_active = set(), set()
    for (day_, loan_id), now in past.items():
        if day_ == str(on) and (now["officer_id"] or "unassigned", now["currency"]) == (manager, currency):
            before = past.get((str(on - timedelta(days=30)), loan_id))
            if now["status"] == "active":
                active.add(now["borrower_id"])
            if before and before["status"] == "active":
                was_active.add(now["borrower_id"])
    return len(was_active - active)


@few
@given(seeds=seeds(2), dates=st.tuples(*[st.dates(date(2024, 3, 1), date(2024, 6, 30))] * 2))
def test_a_day_of_a_range_equals_the_day_alone(seeds, dates):
    book = random_book(*seeds, loans=12)
    book.add("staff", staff_id="o1", role="loan_officer", branch_id="BR1", team_leader_id="o2")
    positions = book.positions("2024-02-20", "2024-07-10")
    in_range = book.managers("2024-02-20", "2024-07-10", positions)
    for on in dates:
        assert book.managers(str(on), positions=_on(positions, on)) == _on(in_range, on)


def test_nothing_is_due_before_a_late_disbursement():
    """Agreed for 1 June, L1 is paid out on 20 June: the installment of 15 June is due from then on. L2 is never."""
    book = Book()
    schedule = [("2025-06-15", "50", "5"), ("2025-07-15", "50", "2")]
    for loan_id, officer in (("L1", "O1"), ("L2", "O2")):
        book.loan(loan_id, "2025-06-01", "100", schedule, disbursed=False, officer_id=officer)
    book.txn("L1", "disbursement", "2025-06-20", "100")
    days = book.managers("2025-06-14", "2025-06-30")
    due = {key: str(row["due_in_window"]) for key, row in days.items()}
    for on in ("14", "15", "19", "20", "30"):
        assert due[f"2025-06-{on}", "O1", "USD"] == ("55.00" if on >= "20" else "0.00")
        assert due[f"2025-06-{on}", "O2", "USD"] == "0.00"
    for on in ("2025-06-19", "2025-06-30"):
        assert book.managers(on) == _on(days, on)
