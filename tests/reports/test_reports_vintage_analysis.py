"""Pools of three loans worked by hand, with a month that is not closed; and pools that add up to a lender's portfolio.

L1 (USD, January, 1,000): 300 charged off in March, at 2 months on book, and 60 recovered in April, at 3.
L2 (USD, March, 3,000): 500 charged off on its second day, and that undone in April, at 1.
=Ø (EUR, March, 200). January, March and April are closed, February is not.
"""

from datetime import date
from decimal import Decimal

import pytest
from tiny_lake import TinyLake, generate, money, rows, table

from lending_pipelines.errors import LendingError
from lending_pipelines.reports.registry import get

JAN, MAR, APR = date(2025, 1, 31), date(2025, 3, 31), date(2025, 4, 30)
BEGAN = {"L1": (date(2025, 1, 15), "USD", "1000"), "L2": (date(2025, 3, 10), "USD", "3000")}
BEGAN["=Ø"] = (date(2025, 3, 31), "EUR", "200")


def _position(day, loan_id, owed, late=0, charged_off="0", recovered="0", status="active"):
    disbursed_on, currency, principal = BEGAN[loan_id]
    return {
        "business_date": day,
        "loan_id": loan_id,
        "currency": currency,
        "product_id": "P1",
        "vintage": "2025Q1",
        "disbursed_on": disbursed_on,
        "status": status,
        "principal_disbursed": money(principal),
        "principal_outstanding": money(owed),
        "days_past_due": late,
        "principal_charged_off": money(charged_off),
        "recovered": money(recovered),
    }


def _flow(transaction_id, loan_id, type_, on, principal, reverses=None):
    return {
        "transaction_id": transaction_id,
        "loan_id": loan_id,
        "type": type_,
        "effective_on": on,
        "amount": money(principal),
        "principal": money(principal),
        "reverses_id": reverses,
    }


@pytest.fixture
def lake():
    days = [{"business_date": day, "scope": "all", "scope_id": "*", "currency": "USD"} for day in (JAN, MAR, APR)]
    return TinyLake(
        {
            "portfolio_snapshots": [*days, days[-1] | {"scope": "product", "scope_id": "P1"}],
            "loan_positions": [
                _position(JAN, "L1", "1000.00"),
                _position(MAR, "L1", "600.00", 0, "300.00", status="charged_off"),
                _position(MAR, "L2", "2500.00", 0, "500.00", status="charged_off"),
                _position(MAR, "=Ø", "200.00"),
                _position(APR, "L1", "600.00", 0, "300.00", "60.00", status="charged_off"),
                _position(APR, "L2", "2500.00", 30),
                _position(APR, "=Ø", "100.00", 91),
            ],
            "transactions": [
                _flow("T1", "L1", "disbursement", date(2025, 1, 15), "1000.00"),
                _flow("T2", "L1", "repayment", date(2025, 2, 15), "100.00"),
                _flow("T3", "L1", "charge_off", date(2025, 3, 20), "300.00"),
                _flow("T4", "L1", "recovery", date(2025, 4, 10), "60.00"),
                _flow("T0", "L2", "disbursement", date(2025, 3, 10), "3000.00"),
                _flow("T5", "L2", "charge_off", date(2025, 3, 11), "500.00"),
                _flow("T6", "L2", "reversal", date(2025, 4, 1), "500.00", "T5"),
                _flow("T7", "L1", "recovery", date(2025, 5, 1), "40.00"),  # after the day
            ],
        }
    )


def _curve(book, pool, *names):
    return [
        (row["months_on_book"], *(row[name] for name in names))
        for row in rows(book, "By months on book")
        if row["pool"] == pool
    ]


def test_pools_as_they_stand(lake):
    book = generate(lake, "vintage_analysis")
    euro, dollar = rows(book, "Pools")
    assert (euro["currency"], euro["original_principal"], euro["late_90"]) == (
        "EUR",
        Decimal("200.00"),
        Decimal("100.00"),
    )
    assert (euro["loan_count"], euro["charged_off_loans"]) == (1, 0)
    assert (dollar["pool"], dollar["loan_count"], dollar["charged_off_loans"]) == ("2025Q1", 2, 1)
    assert (dollar["months_on_book"], dollar["original_principal"]) == (1, Decimal("4000.00"))
    assert (dollar["net_loss"], dollar["net_loss_rate"]) == (Decimal("240.00"), 0.06)
    assert (dollar["pool_factor"], dollar["late_30"], dollar["late_60"]) == (0.775, Decimal("2500.00"), Decimal("0.00"))
    assert book.summary["USD"] == {"original_principal": "4000.00", "net_loss": "240.00"}


def test_a_pool_is_followed_to_the_age_of_its_youngest_loan(lake):
    # at 0: 500 of L2; at 1: undone again. What L1 lost at 2 and 3 is of ages that L2 has not reached
    book = generate(lake, "vintage_analysis")
    expected = [(0, Decimal("500.00"), 0.125), (1, Decimal("0.00"), 0.0)]
    assert _curve(book, "2025Q1", "net_loss", "net_loss_rate")[2:] == expected


def test_a_month_that_is_not_closed_is_blank_and_losses_are_known_all_the_same(lake):
    dollars = _curve(
        generate(lake, "vintage_analysis"), "2025Q1", "principal_outstanding", "late_30", "late_30_of_original"
    )[2:]
    # at 0: L1 in January, 1,000, and L2 in March, 2,500; at 1: L1 in February, which is not closed
    assert dollars == [(0, Decimal("3500.00"), Decimal("0.00"), 0.0), (1, None, None, None)]


def test_pools_of_a_month(lake):
    book = generate(lake, "vintage_analysis", cohort="month")
    assert [row["pool"] for row in rows(book, "Pools")] == ["2025-03", "2025-01", "2025-03"]
    january = _curve(book, "2025-01", "charged_off", "recovered", "net_loss_rate", "pool_factor")
    nothing, lost = Decimal("0.00"), Decimal("300.00")
    assert january == [
        (0, nothing, nothing, 0.0, 1.0),
        (1, nothing, nothing, 0.0, None),
        (2, lost, nothing, 0.3, 0.6),
        (3, lost, Decimal("60.00"), 0.24, 0.6),
    ]
    march = rows(book, "30+ days past due, of original USD")
    assert [(row["months_on_book"], row["2025-01"], row["2025-03"]) for row in march] == [
        (0, 0.0, 0.0),
        (1, None, pytest.approx(2500 / 3000)),
        (2, 0.0, None),
        (3, 0.0, None),
    ]


def test_shares_of_what_is_outstanding(lake):
    book = generate(lake, "vintage_analysis", cohort="month", late_share_of="outstanding")
    late = rows(book, "90+ days past due, of outstanding EUR")
    assert [(row["months_on_book"], row["2025-03"]) for row in late] == [(0, 0.0), (1, 1.0)]


def test_par_operator_decides_who_is_late(lake):
    lake.conventions = lake.conventions.model_copy(update={"par_operator": ">"})
    assert rows(generate(lake, "vintage_analysis"), "Pools")[1]["late_30"] == 0  # 30 days are not more than 30


def test_the_latest_pools_alone_are_followed_by_age(lake):
    book = generate(lake, "vintage_analysis", cohort="month", pools=1, months=1)
    assert {(row["currency"], row["pool"]) for row in rows(book, "By months on book")} == {
        ("EUR", "2025-03"),
        ("USD", "2025-03"),
    }
    assert len(rows(book, "Pools")) == 3
    generator = get("vintage_analysis")
    assert generator.covers(generator.parameters(cohort="month", pools=1), lake) == [MAR, APR]
    assert generator.covers(generator.parameters(), lake) == [JAN, MAR, APR]


def test_nothing_closed_of_an_age_is_no_data_and_no_chart(lake):
    lake.rows["loan_positions"] = [row for row in lake.rows["loan_positions"] if row["business_date"] == APR]
    book = generate(lake, "vintage_analysis")
    assert table(book, "30+ days past due, of original USD").no_data.startswith("no pool has an age at which")
    assert "Cumulative net loss USD" in [chart.title for chart in book.charts]
    assert "30+ days past due, of original USD" not in [chart.title for chart in book.charts]


def test_an_empty_book_and_an_unknown_product(lake):
    with pytest.raises(LendingError, match="there is no product 'P2' on 2025-04-30; use one of 'P1'"):
        generate(lake, "vintage_analysis", product="P2")
    lake.rows["loan_positions"] = [_position(APR, "L1", "0") | {"product_id": "P9"}]
    book = generate(lake, "vintage_analysis", product="P1")
    assert table(book, "Pools").no_data == "no loan was disbursed by 2025-04-30"
    assert table(book, "By months on book").frame.empty


def test_vintages_add_up_to_the_portfolio(closed_home, home_source):
    book = generate(home_source, "vintage_analysis", cohort="month", months=360, pools=60)
    whole = {
        row["currency"]: row
        for row in closed_home.rows("portfolio_snapshots", book.as_of, book.as_of)
        if row["scope"] == "all"
    }
    for total in table(book, "Pools").totals:
        snapshot = whole.pop(total["currency"])
        assert total["original_principal"] == snapshot["total_disbursed"]
        assert total["principal_outstanding"] == snapshot["total_balance"]
        assert total["net_loss"] == snapshot["charged_off"] - snapshot["recovered"]
        assert float(total["late_30"]) == pytest.approx(float(snapshot["total_balance"]) * snapshot["par_30"])
    assert not whole
    curves = {(r["currency"], r["pool"], r["months_on_book"]): r for r in rows(book, "By months on book")}
    lost = 0
    for pool in rows(book, "Pools"):
        # the pool of one month has reached the business date, at which it stands as it is listed
        last = curves[pool["currency"], pool["pool"], pool["months_on_book"]]
        lost += pool["net_loss"] != 0
        for name in ("original_principal", "net_loss", "principal_outstanding", "late_30", "late_60", "late_90"):
            assert last[name] == pool[name], (pool["pool"], name)
    assert lost > 3
