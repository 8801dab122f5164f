"""Collections work of February 2025 by two collectors, small enough to count; and on a whole lender's home."""

from datetime import date, datetime

import pytest
from tiny_lake import TinyLake, generate, money, rows, table

from lending_pipelines.errors import LendingError

JAN, FEB = date(2025, 1, 31), date(2025, 2, 28)
EARLY, LATE = ("C1", "early"), ("C2", "late")


def _who(worker):
    return {"collector_id": worker[0], "queue": worker[1]}


def _contact(number, worker, at, outcome):
    return _who(worker) | {
        "contact_id": f"K{number}",
        "loan_id": "L1",
        "contacted_at": datetime.fromisoformat(at),
        "outcome": outcome,
    }


def _promise(number, worker, loan_id, promised, due, amount, kept=None):
    return _who(worker) | {
        "promise_id": f"P{number}",
        "loan_id": loan_id,
        "promised_on": date.fromisoformat(promised),
        "due_on": date.fromisoformat(due),
        "amount": money(amount),
        "kept_on": kept and date.fromisoformat(kept),
    }


def _assigned(loan_id, worker, since, until=None):
    return _who(worker) | {
        "loan_id": loan_id,
        "assigned_on": date.fromisoformat(since),
        "released_on": until and date.fromisoformat(until),
    }


def _position(day, loan_id, days_past_due, status="active", product="PR1"):
    return {
        "business_date": day,
        "loan_id": loan_id,
        "status": status,
        "days_past_due": days_past_due,
        "product_id": product,
    }


@pytest.fixture
def lake():
    """Of the loans late on 31 January and assigned then, L1 is current on 28 February, L2 still late, L3 paid off."""
    return TinyLake(
        {
            "collection_contacts": [
                _contact(1, EARLY, "2025-01-31T23:59:59", "right_party"),  # before February
                _contact(2, EARLY, "2025-02-01T00:00:00", "right_party"),
                _contact(3, EARLY, "2025-02-04T09:00:00", "right_party"),
                _contact(4, EARLY, "2025-02-05T09:00:00", "no_answer"),
                _contact(5, EARLY, "2025-02-06T09:00:00", "left_message"),
                _contact(6, LATE, "2025-02-07T09:00:00", "wrong_party"),
                _contact(7, LATE, "2025-02-28T23:59:59", "right_party"),
                _contact(8, LATE, "2025-03-01T00:00:00", "right_party"),  # after February
            ],
            "promises_to_pay": [
                _promise(1, EARLY, "L1", "2025-01-30", "2025-02-03", "50.00"),
                _promise(2, EARLY, "L1", "2025-02-04", "2025-02-10", "100.00", kept="2025-02-09"),
                _promise(3, EARLY, "L2", "2025-02-20", "2025-03-05", "60.00"),
                _promise(4, LATE, "L3", "2025-01-25", "2025-02-27", "70.00", kept="2025-03-02"),
            ],
            "collection_assignments": [
                _assigned("L1", EARLY, "2025-01-10"),
                _assigned("L2", EARLY, "2025-01-10"),
                _assigned("L3", EARLY, "2025-01-05"),
                _assigned("L3", LATE, "2025-01-20"),  # ends the one before it
                _assigned("L4", EARLY, "2025-01-01", "2025-01-31"),
                _assigned("L5", EARLY, "2025-02-02"),
            ],
            "loan_positions": [
                *(_position(JAN, f"L{n}", late) for n, late in ((1, 10), (2, 40), (3, 95), (4, 5), (5, 3))),
                _position(FEB, "L1", 0),
                _position(FEB, "L2", 68, product="PR2"),
                _position(FEB, "L3", 0, "closed"),
                _position(FEB, "L4", 0),
                _position(FEB, "L5", 0),
            ],
            "portfolio_snapshots": [
                {"business_date": FEB, "scope": "product", "scope_id": key, "name": name}
                for key, name in (("PR1", "Auto loan"), ("PR2", "Öresund 網"))
            ],
            "loans": [{"loan_id": "L1", "currency": "USD"}, {"loan_id": "L3", "currency": "EUR"}],
            "staff": [{"staff_id": "C1", "full_name": "Zoë Ångström"}],
        }
    )


def _counts(row):
    return [row[name] for name in ("contacts", "right_party_contacts", "promises", "promises_due", "promises_kept")]


def _rates(row):
    return [row[name] for name in ("contact_rate", "ptp_rate", "kept_rate", "cure_rate")]


def test_every_collector_and_queue_has_its_rates(report):
    book = report("collection_performance", allow_pii=True)
    assert book.title == "Collection performance: all loans, February 2025"
    early, late = rows(book, "By collector and queue")
    assert (early["collector_id"], early["queue"], early["full_name"]) == ("C1", "early", "Zoë Ångström")
    assert (late["collector_id"], late["queue"], late["full_name"]) == ("C2", "late", None)
    assert _counts(early) == [4, 2, 2, 2, 1]
    assert _rates(early) == [2 / 4, 2 / 2, 1 / 2, 1 / 2]
    assert _counts(late) == [2, 1, 0, 1, 0]
    # What was kept on 2 March was not kept by 28 February, and a loan that was paid off is not current.
    assert _rates(late) == [1 / 2, 0 / 1, 0 / 1, 0 / 1]
    (total,) = table(book, "By collector and queue").totals
    assert _counts(total) == [6, 3, 2, 3, 1]
    assert _rates(total) == [3 / 6, 2 / 3, 1 / 3, 1 / 3]
    assert book.summary["cure_rate"] == 1 / 3


def test_a_loan_is_late_and_not_cured_from_its_first_day_past_due(lake, report):
    # L1 was 1 day late on 31 January and is current; L2, also assigned to C1, is 1 day late on 28 February.
    for row in lake.rows["loan_positions"]:
        if (row["loan_id"], row["business_date"]) in (("L1", JAN), ("L2", FEB)):
            row["days_past_due"] = 1
    early, _ = rows(report("collection_performance"), "By collector and queue")
    assert (early["late_loans"], early["cured_loans"]) == (2, 1)


def test_collectors_and_queues_have_tables_of_their_own(report):
    book = report("collection_performance")
    assert [(row["collector_id"], row["late_loans"], row["cured_loans"]) for row in rows(book, "By collector")] == [
        ("C1", 2, 1),
        ("C2", 1, 0),
    ]
    assert [(row["queue"], row["contacts"]) for row in rows(book, "By queue")] == [("early", 4), ("late", 2)]
    assert [chart.x for chart in book.charts] == ["queue"]


def test_promised_amounts_stay_in_the_currency_of_their_loan(report):
    due = rows(report("collection_performance"), "Promises due by currency")
    assert [tuple(row.values()) for row in due] == [
        ("EUR", 1, money("70.00"), 0, money("0.00"), 0.0),
        ("USD", 2, money("150.00"), 1, money("100.00"), 100 / 150),
    ]


def test_the_loans_of_a_product_on_the_last_day(report):
    book = report("collection_performance", product="öresund 網")
    assert book.title.startswith("Collection performance: product Öresund 網")
    (early,) = rows(book, "By collector and queue")
    assert (early["contacts"], early["promises"], early["late_loans"], early["cured_loans"]) == (0, 1, 1, 0)
    with pytest.raises(LendingError, match="no product 'Oresund' on 2025-02-28; did you mean 'Öresund 網'"):
        report("collection_performance", product="Oresund")


def test_what_the_source_does_not_keep_is_blank_not_zero(lake, report):
    lake.rows["promises_to_pay"] = []
    book = report("collection_performance")
    early, _ = rows(book, "By collector and queue")
    assert _counts(early) == [4, 2, None, None, None]
    assert _rates(early) == [1 / 2, None, None, 1 / 2]
    assert table(book, "Promises due by currency").no_data == "the source has no promises_to_pay"
    assert "No data: the source has no promises_to_pay; columns computed from it are blank." in book.notes


def test_cures_need_both_days(lake, report):
    lake.rows["loan_positions"] = [row for row in lake.rows["loan_positions"] if row["business_date"] == FEB]
    book = report("collection_performance")
    assert {row["cure_rate"] for row in rows(book, "By queue")} == {None}
    assert {row["late_loans"] for row in rows(book, "By queue")} == {None}
    assert book.notes[1] == "No data: 2025-01-31 is not closed; cure rates are blank."


def test_a_source_without_collections_says_so(lake, report):
    for name in ("collection_contacts", "promises_to_pay", "collection_assignments"):
        lake.rows[name] = []
    book = report("collection_performance")
    assert {t.no_data for t in book.tables[:3]} == {
        "the source has no collection_contacts, promises_to_pay or collection_assignments"
    }
    assert (book.charts, book.summary) == ([], {})


def test_a_period_before_the_book_began_has_no_data(report):
    book = report("collection_performance", period="custom", from_date="2020-01-01", to_date="2020-01-31")
    assert {t.no_data for t in book.tables[:3]} == {"no collections activity from 2020-01-01 to 2020-01-31"}


def test_the_whole_lender_is_counted_as_one_counts_the_rows(closed_home, home_source):
    first, last, opening = date(2025, 2, 20), date(2025, 3, 10), date(2025, 2, 19)
    book = generate(home_source, "collection_performance", period="custom", from_date=str(first), to_date=str(last))
    (total,) = table(book, "By collector and queue").totals

    made = [r for r in closed_home.rows("collection_contacts") if first <= r["contacted_at"].date() <= last]
    assert len(made) > 5
    assert total["contacts"] == sum(r["contacts"] for r in rows(book, "By collector and queue")) == len(made)
    assert total["right_party_contacts"] == sum(r["outcome"] == "right_party" for r in made)
    due = [r for r in closed_home.rows("promises_to_pay") if first <= r["due_on"] <= last]
    assert total["promises_due"] == len(due) > 0

    states = {(r["business_date"], r["loan_id"]): r for r in closed_home.rows("loan_positions")}
    assigned = {
        r["loan_id"]
        for r in closed_home.rows("collection_assignments")
        if r["assigned_on"] <= opening and (r["released_on"] is None or r["released_on"] > opening)
    }
    late = [loan for loan in assigned if states[opening, loan]["days_past_due"] > 0]
    cured = [
        loan for loan in late if states[last, loan]["status"] == "active" and states[last, loan]["bucket"] == "current"
    ]
    assert (total["late_loans"], total["cured_loans"]) == (len(late), len(cured))
    assert cured
