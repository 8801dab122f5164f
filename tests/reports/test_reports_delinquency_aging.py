from datetime import date
from decimal import Decimal

import pytest

from lending_pipelines.conventions import Conventions


def table(book, title):
    return next(t for t in book.tables if t.title == title)


def test_buckets_are_in_order_of_lateness_and_add_up_to_the_snapshot(report, rows):
    book = report("delinquency_aging")
    usd = [row for row in rows(book, "Aging") if row["currency"] == "USD"]
    assert [(row["bucket"], row["loan_count"]) for row in usd] == [
        ("current", 1),
        ("1-29", 0),
        ("30-59", 1),
        ("60-89", 0),
        ("90-119", 1),
        ("120+", 0),
    ]
    assert [str(row["principal_outstanding"]) for row in usd if not row["loan_count"]] == ["0.00"] * 3
    totals = table(book, "Aging").totals
    snapshot = rows(report("portfolio_summary"), "Summary")
    for total, reported in zip(totals, snapshot, strict=True):
        assert total["currency"] == reported["currency"]
        assert total["principal_outstanding"] == reported["total_balance"]
        assert total["past_due_amount"] == reported["past_due_amount"]
        assert total["loan_count"] == reported["loan_count"]


def test_buckets_by_portfolio_add_up_to_all_buckets(report, rows):
    book = report("delinquency_aging")
    found = rows(book, "Aging by portfolio")
    # L1 and L2 in P1, L4 in P2, L5 in no portfolio; L3 is closed.
    assert [row["bucket"] for row in found] == [*Conventions().buckets] * 3
    found = [row for row in found if row["loan_count"]]
    assert [(row["currency"], row["portfolio_id"], row["name"], row["bucket"], row["loan_count"]) for row in found] == [
        ("EUR", "P2", "=Øst", "1-29", 1),
        ("USD", "P1", "Consumer North", "current", 1),
        ("USD", "P1", "Consumer North", "30-59", 1),
        ("USD", None, "in no portfolio", "90-119", 1),
    ]
    assert [str(row["principal_outstanding"]) for row in found] == ["300.00", "100.00", "200.00", "400.00"]
    assert [str(row["past_due_amount"]) for row in found] == ["30.00", "0.00", "50.00", "400.00"]
    # 100 and 200 of the 300 of P1.
    assert [row["balance_share"] for row in found] == [1.0, pytest.approx(1 / 3), pytest.approx(2 / 3), 1.0]
    names = ("currency", "loan_count", "principal_outstanding", "past_due_amount")
    in_all, by_portfolio = (table(book, title).totals for title in ("Aging", "Aging by portfolio"))
    assert [[row[name] for name in names] for row in by_portfolio] == [[row[name] for name in names] for row in in_all]


def test_buckets_by_portfolio_are_of_the_scope(report, rows):
    found = rows(report("delinquency_aging", program="R1"), "Aging by portfolio")
    assert [(row["portfolio_id"], row["bucket"]) for row in found if row["loan_count"]] == [
        ("P1", "current"),
        ("P1", "30-59"),
        (None, "90-119"),
    ]


def test_transition_rates_out_of_a_bucket_add_up_to_one(report, rows):
    book = report("delinquency_aging")
    by_count = {row["from_bucket"]: row for row in rows(book, "Transition rates by count")}
    assert list(by_count) == ["current", "60-89"]
    assert by_count["current"]["opening_loans"] == 4
    assert by_count["current"]["closed"] == 0.75
    assert by_count["current"]["30-59"] == 0.25
    assert by_count["current"]["current"] == 0.0
    across = (*Conventions().buckets, "closed", "charged_off", "sold")
    for title in ("Transition rates by count", "Transition rates by balance"):
        for row in rows(book, title):
            assert sum(row[to] for to in across) == pytest.approx(1)


def test_entries_are_in_the_transitions_and_not_in_the_rates(report, rows):
    entries = [row for row in rows(report("delinquency_aging"), "Transitions") if row["from_bucket"] == "new"]
    assert [(row["to_bucket"], row["loan_count"], row["count_rate"]) for row in entries] == [("current", 1, None)]


def test_a_rate_without_meaning_is_blank(lake, report, rows):
    lake.rows["aging_transitions"] = [
        {**row, "opening_principal": Decimal("0.00"), "balance_rate": None} for row in lake.rows["aging_transitions"]
    ]
    row = rows(report("delinquency_aging"), "Transition rates by balance")[0]
    assert row["current"] is None
    assert row["closed"] is None


def test_the_cure_rate_is_the_rate_from_late_to_current(report, rows):
    book = report("delinquency_aging")
    [cure] = rows(book, "Cure rates")
    assert (cure["from_bucket"], cure["opening_loans"], cure["cured_loans"]) == ("60-89", 2, 1)
    assert (cure["cure_count_rate"], cure["cure_balance_rate"]) == (0.5, 0.2)
    [total] = table(book, "Cure rates").totals
    assert (total["from_bucket"], total["cured_principal"], total["cure_count_rate"]) == (
        "all late",
        Decimal("100.00"),
        0.5,
    )


def test_the_history_has_a_column_per_bucket_and_a_stacked_chart(report, rows):
    book = report("delinquency_aging")
    first, last = rows(book, "Bucket history USD")
    assert first["business_date"] == date(2025, 1, 31)
    assert (first["60-89"], first["30-59"], first["total"]) == (Decimal("500.00"), Decimal("0.00"), Decimal("1000.00"))
    assert (last["90-119"], last["total"]) == (Decimal("400.00"), Decimal("700.00"))
    chart = next(chart for chart in book.charts if chart.table == "Bucket history USD")
    assert (chart.kind, chart.x, chart.y) == ("stacked", "business_date", Conventions().buckets)


def test_the_largest_overdue_loans_are_ranked_within_their_currency(report, rows):
    loans = rows(report("delinquency_aging", top_loans=1), "Largest overdue loans")
    assert [(row["currency"], row["loan_id"]) for row in loans] == [("EUR", "L4"), ("USD", "L5")]
    loans = rows(report("delinquency_aging"), "Largest overdue loans")
    assert [row["loan_id"] for row in loans] == ["L4", "L5", "L2"]


def test_a_loan_is_overdue_from_its_first_day_past_due(lake, report, rows):
    late = {"L1": 1, "L2": 0}
    lake.rows["loan_positions"] = [
        row | {"days_past_due": late.get(row["loan_id"], row["days_past_due"])} for row in lake.rows["loan_positions"]
    ]
    loans = rows(report("delinquency_aging"), "Largest overdue loans")
    assert {row["loan_id"] for row in loans} == {"L1", "L4", "L5"}


def test_a_scope_narrows_the_loans_too(report, rows):
    book = report("delinquency_aging", portfolio="P1")
    assert [row["loan_id"] for row in rows(book, "Largest overdue loans")] == ["L2"]
    assert (
        table(book, "Cure rates").no_data
        == "no loan was past due one month before 2025-02-28, or that day is not closed"
    )


def test_a_day_without_loans_says_no_data(lake, report):
    for name in ("aging_buckets", "loan_positions", "aging_transitions"):
        lake.rows[name] = [{**row, "currency": "USD", "scope_id": "elsewhere"} for row in lake.rows[name]]
    lake.rows["loan_positions"] = [
        {**row, "days_past_due": 0, "status": "closed"} for row in lake.rows["loan_positions"]
    ]
    book = report("delinquency_aging")
    assert {t.title: t.no_data for t in book.tables if t.frame.empty} == {
        "Aging": "no loan is active on 2025-02-28",
        "Aging by portfolio": "no loan is active on 2025-02-28",
        "Transitions": "no loan was active one month before 2025-02-28, or that day is not closed",
        "Transition rates by count": "no loan was active one month before 2025-02-28, or that day is not closed",
        "Transition rates by balance": "no loan was active one month before 2025-02-28, or that day is not closed",
        "Cure rates": "no loan was past due one month before 2025-02-28, or that day is not closed",
        "Largest overdue loans": "no loan is past due on 2025-02-28",
    }
