"""Seven modifications of six loans, small enough to work by hand; and what they moved on a whole lender's home."""

from datetime import date
from decimal import Decimal

import pytest
from tiny_lake import TinyLake, generate, money, rows, table

FEB = date(2025, 2, 28)


def _modified(number, loan_id, type_, on, **terms):
    decimals = {name: value if value is None or "term" in name else Decimal(value) for name, value in terms.items()}
    return {
        "modification_id": f"M{number}",
        "loan_id": loan_id,
        "type": type_,
        "effective_on": date.fromisoformat(on),
    } | decimals


def _position(loan_id, currency, status, days_past_due, outstanding, charged_off="0"):
    return {
        "business_date": FEB,
        "loan_id": loan_id,
        "currency": currency,
        "portfolio_id": "P1" if loan_id == "L2" else None,
        "status": status,
        "days_past_due": days_past_due,
        "principal_outstanding": money(outstanding),
        "principal_charged_off": money(charged_off),
    }


@pytest.fixture
def lake():
    return TinyLake(
        {
            "modifications": [
                _modified(
                    1,
                    "L1",
                    "rate_reduction",
                    "2025-02-10",
                    before_rate="0.24",
                    after_rate="0.12",
                    before_term=12,
                    after_term=12,
                    before_payment="100.00",
                    after_payment="90.00",
                    before_principal="1000.00",
                    after_principal="1000.00",
                ),
                _modified(
                    2,
                    "L2",
                    "rate_reduction",
                    "2025-02-28",
                    before_rate="0.18",
                    after_rate="0.09",
                    before_term=36,  # without a term after it, it says nothing of terms
                    before_payment="200.00",
                    after_payment="150.00",
                ),
                _modified(
                    3,
                    "L3",
                    "principal_forgiveness",
                    "2025-02-01",
                    before_principal="500.00",
                    after_principal="400.00",
                ),
                _modified(4, "L1", "term_extension", "2025-01-05", before_term=12, after_term=24),
                _modified(5, "L4", "capitalization", "2024-06-30"),
                _modified(6, "L5", "deferral", "2024-02-29"),  # a day too early to be watched
                _modified(7, "L6", "deferral", "2025-03-01"),  # after the period
            ],
            "loan_positions": [
                _position("L1", "USD", "active", 0, "900.00"),
                _position("L2", "USD", "active", 60, "500.00"),
                _position("L3", "EUR", "active", 59, "400.00"),
                _position("L4", "USD", "charged_off", 0, "0.00", charged_off="310.00"),
                _position("L5", "USD", "charged_off", 0, "0.00", charged_off="70.00"),
                _position("L6", "USD", "active", 90, "80.00"),
            ],
            "portfolio_snapshots": [
                {"business_date": FEB, "scope": "portfolio", "scope_id": "P1", "name": "Ångström" + "x" * 192}
            ],
            "loans": [{"loan_id": f"L{n}", "currency": "EUR" if n == 3 else "USD"} for n in range(1, 7)],
        }
    )


def test_volume_and_terms_by_type_and_currency(report):
    book = report("modification_summary")
    forgiven, reduced = rows(book, "By type")
    assert (forgiven["type"], forgiven["currency"], forgiven["modifications"]) == ("principal_forgiveness", "EUR", 1)
    assert (forgiven["before_rate"], forgiven["after_payment"]) == (None, None)
    assert forgiven["principal_change"] == money("-100.00")
    assert (reduced["currency"], reduced["modifications"], reduced["loans"]) == ("USD", 2, 2)
    # (0.24 + 0.18) / 2 and (0.12 + 0.09) / 2; 100 + 200 and 90 + 150.
    assert (reduced["before_rate"], reduced["after_rate"]) == pytest.approx((0.21, 0.105))
    assert (reduced["before_term"], reduced["after_term"]) == (12, 12)
    assert (reduced["before_payment"], reduced["after_payment"]) == (money("300.00"), money("240.00"))
    assert (reduced["before_principal"], reduced["principal_change"]) == (money("1000.00"), money("0.00"))
    assert [(row["currency"], row["modifications"]) for row in table(book, "By type").totals] == [
        ("EUR", 1),
        ("USD", 2),
    ]
    assert book.summary == {
        "EUR": {"modifications": 1, "principal_change": "-100.00"},
        "USD": {"modifications": 2, "principal_change": "0.00"},
    }


def _outcome(row):
    return tuple(row[name] for name in ("modified_loans", "redefaulted_loans", "exposure", "redefaulted_exposure"))


def test_loans_that_went_bad_again_by_their_latest_modification(report):
    book = report("modification_summary")
    by_type = {(row["currency"], row["type"]): row for row in rows(book, "Re-default by type")}
    assert {key: _outcome(row) for key, row in by_type.items()} == {
        ("EUR", "principal_forgiveness"): (1, 0, money("400.00"), money("0.00")),
        ("USD", "capitalization"): (1, 1, money("310.00"), money("310.00")),
        ("USD", "rate_reduction"): (2, 1, money("1400.00"), money("500.00")),
    }
    assert by_type["USD", "rate_reduction"]["redefault_rate"] == 0.5
    assert by_type["USD", "rate_reduction"]["redefault_exposure_rate"] == pytest.approx(5 / 14)
    euros, dollars = table(book, "Re-default by type").totals
    assert _outcome(dollars) == (3, 2, money("1710.00"), money("810.00"))
    assert (euros["redefault_rate"], dollars["redefault_rate"]) == (0, pytest.approx(2 / 3))
    months = rows(book, "Re-default by month USD")
    assert [(row["modified_month"], row["redefault_rate"]) for row in months] == [("2024-06", 1.0), ("2025-02", 0.5)]
    assert [chart.table for chart in book.charts] == ["Re-default by month EUR", "Re-default by month USD"]


def test_the_first_page_has_the_volume_of_the_period_and_the_outcome_of_loans_modified_before(report):
    euros, dollars = report("modification_summary").headlines.arrow().to_pylist()
    assert (euros["modifications"], euros["principal_change"]) == (1, money("-100.00"))
    assert (dollars["modifications"], dollars["modified_loans"], dollars["redefaulted_loans"]) == (2, 3, 2)
    assert dollars["redefault_rate"] == pytest.approx(2 / 3)


def test_what_counts_as_re_default_can_be_chosen(report):
    wider = report("modification_summary", redefault_days=61, redefault_months=13)
    dollars = table(wider, "Re-default by type").totals[1]
    # L2 at 60 days no longer counts; L5, modified in February 2024, is watched too.
    assert _outcome(dollars) == (4, 2, money("1780.00"), money("380.00"))


def test_the_modifications_of_the_period_are_listed_the_latest_first(report):
    book = report("modification_summary", max_listed=2)
    assert [row["modification_id"] for row in rows(book, "Modifications")] == ["M2", "M1"]
    assert book.notes[-1] == "Modifications: first 2 of 3."
    assert [row["modification_id"] for row in rows(report("modification_summary"), "Modifications")] == [
        "M2",
        "M1",
        "M3",
    ]


def test_the_loans_of_a_portfolio_with_a_long_name(report):
    book = report("modification_summary", portfolio="P1")
    assert "Ångström" + "x" * 192 in book.title
    assert [row["loan_id"] for row in rows(book, "Modifications")] == ["L2"]
    assert [_outcome(row)[:2] for row in table(book, "Re-default by type").totals] == [(1, 1)]


def test_no_modifications_are_not_zero_modifications(lake, report):
    quiet = report("modification_summary", period="custom", from_date="2020-01-01", to_date="2020-01-31")
    assert table(quiet, "By type").no_data == "no loan was modified from 2020-01-01 to 2020-01-31"
    assert table(quiet, "Re-default by type").no_data == "2020-01-31 is not closed"
    lake.rows["modifications"] = []
    without = report("modification_summary")
    assert {t.no_data for t in without.tables} == {"the source has no modifications"}
    assert (without.charts, without.summary) == ([], {})


def test_what_was_changed_is_what_the_positions_and_transactions_say(closed_home, home_source):
    book = generate(home_source, "modification_summary", period="custom", from_date="2020-01-01", to_date="2025-03-14")
    listed = rows(book, "Modifications")
    assert sum(row["modifications"] for row in rows(book, "By type")) == len(closed_home.rows("modifications")) > 0
    moved = {
        row["loan_id"]: row["interest"] + row["fees"]
        for row in closed_home.rows("transactions")
        if row["type"] == "capitalization"
    }
    rates = {row["loan_id"]: row["annual_rate"] for row in closed_home.rows("loan_positions", date(2025, 3, 14))}
    for row in listed:
        assert row["after_rate"] == rates[row["loan_id"]]
        if row["type"] == "capitalization":
            assert row["after_principal"] - row["before_principal"] == moved[row["loan_id"]]
    assert {row["type"] for row in listed} >= {"capitalization"}
