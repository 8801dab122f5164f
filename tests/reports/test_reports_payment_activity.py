"""Payments of February 2025 by hand, and on a whole lender's home against what loan_positions says was paid."""

from datetime import date
from decimal import Decimal

import pytest
from homes import DAYS, LAST
from revenue_lake import FEB_28, revenue_lake
from tiny_lake import generate, money, rows, table

from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.reports.registry import get
from lending_pipelines.resources import LakeReportSource

COMPONENTS = ("principal", "interest", "fees")


@pytest.fixture(scope="module")
def book():
    return generate(revenue_lake(), "payment_activity")


def test_what_came_in_what_left_again_and_what_stayed(book):
    # USD: 110 + 55 + 30 came in, 55 bounced, 30 was refunded. EUR: a reversal of January's payment, itself undone.
    eur, usd = rows(book, "Summary")
    assert [usd[name] for name in ("repayment_count", "reversal_count")] == [3, 1]
    assert [usd[name] for name in ("repayments", "refunds", "reversals", "net")] == [
        money("195.00"),
        money("-30.00"),
        money("-55.00"),
        money("110.00"),
    ]
    assert [usd[name] for name in COMPONENTS] == [money("100.00"), money("10.00"), money("0.00")]
    assert (eur["repayment_count"], eur["reversal_count"], eur["net"]) == (0, 2, money("0.00"))
    assert book.as_of == FEB_28


def test_each_component_has_its_share_of_what_stayed(book):
    usd = [row for row in rows(book, "By component") if row["currency"] == "USD"]
    assert [(row["component"], row["repayments"], row["net"]) for row in usd] == [
        ("principal", money("180.00"), money("100.00")),
        ("interest", money("10.00"), money("10.00")),
        ("fees", money("5.00"), money("0.00")),
    ]
    assert [row["share"] for row in usd] == pytest.approx([100 / 110, 10 / 110, 0])
    assert [row["share"] for row in rows(book, "By component") if row["currency"] == "EUR"] == [None] * 3


def test_a_reversal_counts_in_the_channel_of_what_it_undoes(book):
    found = {(row["currency"], row["channel"]): row for row in rows(book, "By channel")}
    assert set(found) == {("EUR", "card"), ("USD", "card"), ("USD", "debit"), ("USD", "not recorded")}
    debit = found["USD", "debit"]
    assert (debit["repayments"], debit["reversals"], debit["net"]) == (money("55.00"), money("-55.00"), money("0.00"))
    assert found["USD", "card"]["share"] == pytest.approx(1.0)


def test_days_are_those_on_which_it_counts(book):
    assert [(row["paid_on"], row["net"]) for row in rows(book, "By day USD")] == [
        (date(2025, 2, 5), money("110.00")),
        (date(2025, 2, 12), money("55.00")),
        (date(2025, 2, 14), money("-55.00")),
        (date(2025, 2, 20), money("0.00")),
    ]
    assert [(chart.table, chart.y) for chart in book.charts] == [
        ("By day EUR", COMPONENTS),
        ("By day USD", COMPONENTS),
    ]
    assert [row["net"] for row in table(book, "By day and channel").totals] == [money("0.00"), money("110.00")]


def test_branch_and_product_narrow_together():
    book = generate(revenue_lake(), "payment_activity", branch="nord", product="B")
    assert book.title == f"Payment activity: product {'Ü' * 200}; branch Nord, February 2025"
    assert [row["net"] for row in rows(book, "Summary")] == [money("0.00")]


def test_no_payments_no_table_and_no_book_are_told_apart():
    def reasons(lake, **values):
        return {t.no_data for t in generate(lake, "payment_activity", **values).tables}

    only_february = {"period": "custom", "from_date": "2025-02-06", "to_date": "2025-02-14"}
    lake = revenue_lake(transactions=[row for row in revenue_lake().rows["transactions"] if row["loan_id"] == "L2"])
    assert reasons(lake, **only_february) == {"no payment from 2025-02-06 to 2025-02-14"}
    assert reasons(revenue_lake(transactions=[])) == {"the source has no transactions"}
    before = {"period": "custom", "from_date": "2024-12-01", "to_date": "2024-12-31"}
    assert reasons(revenue_lake(), **before) == {"no loan was disbursed by 2024-12-31"}
    generator = get("payment_activity")
    assert generator.covers(generator.parameters(**before), revenue_lake()) == []


def test_a_last_day_that_is_not_closed_and_an_unknown_product_are_refused():
    with pytest.raises(LendingError, match="loan_positions has no 2025-02-20: the nearest closed days are 2025-02-14"):
        generate(revenue_lake(), "payment_activity", period="custom", from_date="2025-02-01", to_date="2025-02-20")
    with pytest.raises(LendingError, match="no product 'Ratenkredt' on 2025-02-28; did you mean 'Ratenkredit'"):
        generate(revenue_lake(), "payment_activity", product="Ratenkredt")


def test_net_components_are_what_positions_say_was_paid(closed_home):
    opening, last = DAYS[0], LAST
    with closed_home.lake() as lake:
        book = generate(
            LakeReportSource(lake, Conventions()),
            "payment_activity",
            period="custom",
            from_date=DAYS[1].isoformat(),
            to_date=last.isoformat(),
        )
    held = [*closed_home.rows("loan_positions", opening, opening), *closed_home.rows("loan_positions", last, last)]
    for row in rows(book, "Summary"):
        for name in COMPONENTS:
            changed = sum(
                (position[f"{name}_paid"] * (1 if position["business_date"] == last else -1))
                for position in held
                if position["currency"] == row["currency"]
            )
            assert row[name] == changed
        assert row["principal"] > 0
        by_day = sum(day["net"] for day in rows(book, f"By day {row['currency']}"))
        assert row["net"] == by_day == sum((row[name] for name in COMPONENTS), Decimal(0))
