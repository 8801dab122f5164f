"""Delinquency against published definitions and their worked examples, and bucket transitions worked by hand."""

import json
from datetime import date, timedelta
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest
from book import Book, day, memo_of

from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics import roll_rates
from lending_pipelines.metrics.delinquency import aging_buckets, aging_transitions, buckets_of
from lending_pipelines.tables import DERIVED

MBA_A_DAY_LATER = {("adco-april", "2005-04-30")}
"""MBA counts payment periods: a payment due on the 1st and missed is "30" on the month's last day. DEFINITIONS counts
days, of which April has passed 29 by then: such a loan is 30 days past due a day later."""

OTS_AT_CLOSE_OF_BUSINESS = {("ots-july", "2006-08-01")}
"""OTS calls a loan 30 days delinquent from the close of its next due date on; DEFINITIONS counts days from there."""


@pytest.fixture(scope="module")
def published(shared_dir):
    def read(name):
        return json.loads((shared_dir / f"oracles/definitions/{name}.json").read_text(encoding="utf-8"))

    return read


def _missed(book, loan_id, due_on):
    """A loan with a monthly payment due on that day and on the same day of the next months, none of them paid."""
    year, month, number = due_on.year, due_on.month, due_on.day
    schedule = [(str(date(year, month + n, number)), "100", "1") for n in range(2)]
    book.loan(loan_id, str(due_on - timedelta(days=31)), "200", schedule)


@pytest.mark.parametrize("method", ["MBA", "OTS"])
def test_mba_and_ots_at_month_ends(published, method):
    examples = [e for e in published("delinquency_definitions")["worked_examples"] if "first_missed_due" in e]
    expected = {
        (example["id"], row.get("month_end") or row["as_of"]): row.get(method) or row.get(f"{method}_close_of_business")
        for example in examples
        for row in example["expected"]
        if method in row or f"{method}_close_of_business" in row
    }
    book = Book()
    for example in examples:
        _missed(book, example["id"], date.fromisoformat(example["first_missed_due"]))
    days = sorted(on for _, on in expected)
    positions = book.positions(days[0], str(day(days[-1]) + timedelta(days=1)), delinquency_method=method)
    found = {}
    for loan_id, on in expected:
        later = timedelta(days=(loan_id, on) in MBA_A_DAY_LATER)
        found[loan_id, on] = positions[str(day(on) + later), loan_id]["bucket"].split("-")[0]
    for key in OTS_AT_CLOSE_OF_BUSINESS & expected.keys():
        assert (found.pop(key), expected.pop(key)) == ("current", "30")
    assert found == expected


def test_rbi_day_end_classes(published):
    """RBI's classes change upon completion of 30, 60 and 90 days overdue."""
    classes = {"current": "SMA-0", "1-29": "SMA-0", "30-59": "SMA-1", "60-89": "SMA-2", "90+": "NPA"}
    examples = [e for e in published("delinquency_definitions")["worked_examples"] if "expected_day_end" in e]
    book = Book()
    for example in examples:
        book.loan(example["id"], str(day(example["due"]) - timedelta(days=30)), "100", [(example["due"], "100", "1")])
    first, last = min(e["due"] for e in examples), max(max(e["expected_day_end"]) for e in examples)
    positions = book.positions(first, last, bucket_edges=(1, 30, 60, 90))
    for example in examples:
        found = {on: classes[positions[on, example["id"]]["bucket"]] for on in example["expected_day_end"]}
        assert found == example["expected_day_end"], example["id"]


def test_portfolio_at_risk_of_a_published_portfolio(published):
    """A loan per band of Sa-Dhan's table, late by the band's first day; what is past due in each is a hundredth."""
    (example,) = published("portfolio_quality")["worked_examples"]
    book, as_of = Book(), date.fromisoformat(example["as_of"])
    for band in example["bands"]:
        first = 0 if band["band"] == "current" else int(band["band"].strip(">").split("-")[0])
        due_on, balance = as_of - timedelta(days=first), Decimal(band["outstanding"])
        schedule = [(str(due_on), str(balance / 100), "0"), ("2004-12-31", str(balance * 99 / 100), "0")]
        book.loan(band["band"], str(due_on - timedelta(days=30)), str(balance), schedule)
    row = book.snapshots(str(as_of))[str(as_of), "all", "*", "USD"]
    expected = example["expected"]
    assert row["total_balance"] == expected["total_outstanding"]
    assert f"{100 * row['delinquent_amount'] / row['total_balance']:.2f}" == expected["par_1_pct"]
    # CGAP's bands begin at 31: with its operator both PARs are those of the table
    assert f"{100 * row['par_30']:.2f}" == example["derived"]["par_30_pct"]


def test_a_loan_is_delinquent_from_its_first_day_past_due():
    """100.00 of 300.00 due on 31 January and not paid: 0 days past due that day, 1 the day after, 2 on 2 February."""
    book = Book()
    book.loan("L1", "2025-01-01", "300", [("2025-01-31", "100", "0"), ("2025-12-31", "200", "0")])
    first, last = "2025-01-31", "2025-02-02"
    positions = book.positions(first, last)
    found = [(row["days_past_due"], row["bucket"]) for row in positions.values()]
    assert found == [(0, "current"), (1, "1-29"), (2, "1-29")]
    aging = book.table("aging_buckets", aging_buckets(memo_of(positions)))
    assert [row["bucket"] for row in aging if row["scope"] == "all"] == ["current", "1-29", "1-29"]
    snapshots = [row for key, row in sorted(book.snapshots(first, last, positions).items()) if key[1] == "all"]
    assert [str(row["delinquent_amount"]) for row in snapshots] == ["0.00", "300.00", "300.00"]
    counts = [json.loads(row["bucket_breakdown"])["1-29"]["count"] for row in snapshots]
    assert counts == [0, 1, 1]


def test_the_active_loans_of_a_bucket_are_added_by_key():
    """O1 has 100.00 and 200.00 in one bucket and 300.00 in another; a loan of nobody is a group of its own."""
    rows = [
        ("O1", "active", "1-29", "100.00", "4.00"),
        ("O1", "active", "1-29", "200.00", "6.00"),
        ("O1", "active", "current", "300.00", "0.00"),
        ("O1", "charged_off", "current", "900.00", "0.00"),
        (None, "active", "current", "50.00", "0.00"),
    ]
    names = ("officer_id", "status", "bucket", "principal_outstanding", "past_due_amount")
    amounts = {name: pa.decimal128(18, 2) for name in names[3:]}
    schema = pa.schema({name: amounts.get(name, pa.string()) for name in (*names, "currency")})
    positions = pa.Table.from_pylist(
        [dict(zip(names, (*row[:3], *map(Decimal, row[3:])), strict=True)) | {"currency": "USD"} for row in rows],
        schema=schema,
    )
    found = buckets_of(ibis.memtable(positions), "officer_id").to_pyarrow().to_pylist()
    assert {
        (row["officer_id"], row["bucket"]): (
            row["loan_count"],
            str(row["principal_outstanding"]),
            str(row["past_due_amount"]),
            row["balance_share"],
        )
        for row in found
    } == {
        ("O1", "1-29"): (2, "300.00", "10.00", 0.5),
        ("O1", "current"): (1, "300.00", "0.00", 0.5),
        (None, "current"): (1, "50.00", "0.00", 1.0),
    }


@pytest.fixture(scope="module")
def book():
    """Three books from 10 to 11 March, each in its currency.

    USD: loans of 100 to 800 that are still late, late for longer, cured, closed, charged off, sold and new. EUR: one of
    two disbursements is reversed. GBP: four late loans: ours, sold on the 11th, an investor's on both days, and sold
    on.
    """
    book, on = Book(), "2025-03-11"
    for number, loan_id in enumerate(("late", "rolls", "cured", "closed", "off", "sold", "paid"), 1):
        due_on = "2025-02-09" if loan_id == "rolls" else "2025-02-10"  # 30 or 29 days before 11 March
        due_on = "2025-04-01" if loan_id == "paid" else due_on
        book.loan(loan_id, "2025-01-10", str(100 * number), [(due_on, str(50 * number), "0")])
    book.loan("new", on, "800", [("2025-04-01", "800", "0")])
    book.txn("cured", "repayment", on, "150")
    book.txn("closed", "repayment", on, "400")
    book.txn("off", "charge_off", on, "500")
    book.add("loan_ownership", investor_id="I1", investor_name="I1", loan_id="sold", assigned_on=day(on))

    for loan_id, principal in (("stays", "100"), ("undone", "300")):
        schedule = [("2025-04-03", principal, "0")]
        book.loan(loan_id, "2025-03-03", principal, schedule, disbursed=False, currency="EUR")
        disbursement = book.txn(loan_id, "disbursement", "2025-03-03", principal)
    book.reverse(disbursement, on)

    for loan_id in ("ours", "sold today", "theirs", "sold on"):
        book.loan(loan_id, "2025-01-10", "100", [("2025-02-20", "50", "0")], currency="GBP")
    for investor_id, loan_id, assigned_on, removed_on in (
        ("I1", "sold today", on, None),
        ("I1", "theirs", "2025-02-01", None),
        ("I1", "sold on", "2025-02-01", day(on)),
        ("I2", "sold on", on, None),
    ):
        row = {"investor_id": investor_id, "investor_name": investor_id, "loan_id": loan_id}
        book.add("loan_ownership", **row, assigned_on=day(assigned_on), removed_on=removed_on)
    return book


@pytest.fixture(scope="module")
def moves(book):
    """The transitions of its loans on 11 March, an expression."""
    on = day("2025-03-11")
    return aging_transitions(book.memo("2025-03-10", str(on)), on, on, Conventions(transition_step="day"))


@pytest.fixture(scope="module")
def transitions(book, moves):
    """The rows of the transitions."""
    return book.table("aging_transitions", moves)


def test_transitions(transitions):
    found = {
        (row["from_bucket"], row["to_bucket"]): (
            row["loan_count"],
            str(row["opening_principal"]),
            row["count_rate"],
            row["balance_rate"],
        )
        for row in transitions
        if (row["scope"], row["currency"]) == ("all", "USD")
    }
    # 2,100 were 1 to 29 days late on 10 March; the loan of 100 is so still, and that of 200 is 30 days late
    assert found == {
        ("1-29", "1-29"): (1, "100.00", 1 / 6, 100 / 2100),
        ("1-29", "30-59"): (1, "200.00", 1 / 6, 200 / 2100),
        ("1-29", "current"): (1, "300.00", 1 / 6, 300 / 2100),
        ("1-29", "closed"): (1, "400.00", 1 / 6, 400 / 2100),
        ("1-29", "charged_off"): (1, "500.00", 1 / 6, 500 / 2100),
        ("1-29", "sold"): (1, "600.00", 1 / 6, 600 / 2100),
        ("current", "current"): (1, "700.00", 1.0, 1.0),
        ("new", "current"): (1, "0.00", None, None),
    }


def test_a_loan_whose_disbursement_is_reversed_leaves_its_bucket_as_pending(book, moves, transitions):
    found = {
        (row["from_bucket"], row["to_bucket"]): (row["loan_count"], str(row["opening_principal"]), row["count_rate"])
        for row in transitions
        if (row["scope"], row["currency"]) == ("all", "EUR")
    }
    assert found == {("current", "current"): (1, "100.00", 0.5), ("current", "pending"): (1, "300.00", 0.5)}
    assert "pending" in next(
        column.values for column in DERIVED["aging_transitions"].columns if column.name == "to_bucket"
    )
    of_all = moves.filter(moves.scope == "all", moves.currency == "EUR")
    [rates] = book.backend.to_pyarrow(roll_rates.direction_rates(of_all, Conventions())).to_pylist()
    assert (rates["stayed_count_rate"], rates["pending_count_rate"], rates["worsened_count_rate"]) == (0.5, 0.5, 0)
    assert (rates["pending_balance_rate"], rates["roll_forward_rate"]) == (0.75, 0)


def test_a_loan_is_sold_only_when_it_was_no_investors_before(transitions):
    found = {
        (row["scope"], row["scope_id"], row["from_bucket"], row["to_bucket"]): row["loan_count"]
        for row in transitions
        if row["scope"] in ("all", "investor") and row["currency"] == "GBP"
    }
    assert found == {
        ("all", "*", "1-29", "sold"): 1,
        ("all", "*", "1-29", "1-29"): 3,
        # I1 opens with two loans; what it sold on is late with its buyer, and new there.
        ("investor", "I1", "1-29", "1-29"): 2,
        ("investor", "I1", "new", "1-29"): 1,
        ("investor", "I2", "new", "1-29"): 1,
    }


def test_a_months_transition_begins_on_the_months_last_day():
    """From 28 February to 31 March; a day whose opening day is not at hand has no transitions."""
    book = Book()
    book.loan("L1", "2025-02-01", "100", [("2025-12-31", "100", "1")])
    table = book.memo("2025-02-28", "2025-03-31")
    moves = book.table(
        "aging_transitions", aging_transitions(table, day("2025-02-28"), day("2025-03-31"), Conventions())
    )
    days = {str(row["business_date"]): str(row["from_date"]) for row in moves}
    assert days == {f"2025-03-{n}": "2025-02-28" for n in (28, 29, 30, 31)}
