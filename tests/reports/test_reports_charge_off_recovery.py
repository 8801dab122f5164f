"""Charge-offs and recoveries of February 2025 by hand, under both ways of dating a recovery."""

from datetime import date

import pytest
from revenue_lake import FEB_14, FEB_28, JAN_31, POSITIONS, TRANSACTIONS, position, revenue_lake, transaction
from tiny_lake import TinyLake, generate, money, rows, table

from lending_pipelines.conventions import Conventions
from lending_pipelines.reports.registry import get

MAR_31 = date(2025, 3, 31)
# In March 150 more is recovered.
LATER = position(
    MAR_31, "L3", "0.00", "10.00", "0.00", "charged_off", principal_charged_off=money("800.00"), recovered=money("250")
)
FEBRUARY = {"period": "custom", "from_date": "2025-02-01", "to_date": "2025-02-28"}
SUMS = ("charged_off", "recoveries", "net_charged_off", "average_balance")


def later_lake(**settings):
    tables = revenue_lake(loan_positions=[*POSITIONS, LATER]).rows
    tables["portfolio_snapshots"] = [*tables["portfolio_snapshots"], {"business_date": MAR_31, "scope": "all"}]
    return TinyLake(tables, Conventions(**settings))


def amounts(row):
    return [str(row[name]) for name in SUMS]


def test_rates_are_of_the_average_balance_and_of_what_was_charged_off():
    eur, usd = rows(generate(revenue_lake(), "charge_off_recovery"), "Summary")
    assert amounts(eur) == ["800.00", "100.00", "700.00", "400.00"]
    assert eur["net_charge_off_rate"] == pytest.approx(700 / 400 * 365 / 28)
    assert eur["recovery_rate"] == pytest.approx(100 / 800)
    assert amounts(usd) == ["0.00", "0.00", "0.00", "1400.00"]
    assert (usd["net_charge_off_rate"], usd["recovery_rate"]) == (0.0, None)


def test_recoveries_count_when_received():
    eur = rows(generate(later_lake(), "charge_off_recovery", **FEBRUARY), "Summary")[0]
    assert (str(eur["recovered_of_rate"]), eur["recovery_rate"]) == ("100.00", pytest.approx(100 / 800))
    (march,) = rows(generate(later_lake(), "charge_off_recovery"), "Summary")
    assert amounts(march) == ["0.00", "150.00", "-150.00", "0.00"]
    assert march["recovery_rate"] is None


def test_recoveries_count_with_their_charge_off_up_to_the_business_date():
    lake = later_lake(recovery_dating="charge_off")
    eur = rows(generate(lake, "charge_off_recovery", **FEBRUARY), "Summary")[0]
    assert amounts(eur)[:3] == ["800.00", "100.00", "700.00"]
    assert (str(eur["recovered_of_rate"]), eur["recovery_rate"]) == ("250.00", pytest.approx(250 / 800))
    seen_then = rows(generate(lake, "charge_off_recovery", as_of="2025-02-28"), "Summary")[0]
    assert str(seen_then["recovered_of_rate"]) == "100.00"
    (march,) = rows(generate(lake, "charge_off_recovery"), "Summary")
    assert (str(march["recovered_of_rate"]), march["recovery_rate"]) == ("0.00", None)
    monthly = rows(generate(lake, "charge_off_recovery", **FEBRUARY), "Monthly breakdown EUR")
    assert [row["recovery_rate"] for row in monthly] == [pytest.approx(250 / 800)]


def test_the_days_covered_are_the_periods_and_the_business_date():
    generator = get("charge_off_recovery")
    assert generator.covers(generator.parameters(**FEBRUARY), later_lake()) == [JAN_31, FEB_14, FEB_28, MAR_31]


def test_loans_are_those_with_something_charged_off_or_recovered():
    book = generate(revenue_lake(), "charge_off_recovery")
    (loan,) = rows(book, "Loans")
    assert [loan["loan_id"], loan["status"], *amounts(loan | {"average_balance": 0})[:3]] == [
        "L3",
        "charged_off",
        "800.00",
        "100.00",
        "700.00",
    ]
    quiet = generate(revenue_lake(), "charge_off_recovery", product="B")
    assert table(quiet, "Loans").no_data == ("no charge-off and no recovery from 2025-02-01 to 2025-02-28")


def test_without_the_day_before_nothing_of_it_is_known():
    without = [row for row in POSITIONS if row["business_date"] != JAN_31]
    book = generate(revenue_lake(loan_positions=without), "charge_off_recovery")
    assert [amounts(row)[:3] for row in rows(book, "Summary")] == [["None"] * 3] * 2
    assert "2025-01-31 is not closed: the amounts charged off and recovered since then are unknown." in book.notes


def kinds(**transactions_by_type):
    """The split of L3's 800.00 of February, booked by these amounts on 20 February."""
    booked = [
        transaction(90 + number, "L3", kind, "2025-02-20", amount)
        for number, (kind, amount) in enumerate(transactions_by_type.items())
    ]
    book = generate(revenue_lake(transactions=[*TRANSACTIONS, *booked]), "charge_off_recovery")
    eur = [rows(book, title)[0] for title in ("Summary", "By product", "Monthly breakdown EUR", "Loans")]
    assert eur[0]["currency"] == "EUR"
    (split,) = {tuple(str(row[name]) for name in ("charged_off", "charge_offs", "write_offs")) for row in eur}
    return split


def test_charge_offs_and_write_offs_are_apart_in_every_table_and_add_up():
    assert kinds(charge_off="800.00") == ("800.00", "800.00", "0.00")
    assert kinds(write_off="800.00") == ("800.00", "0.00", "800.00")
    assert kinds(charge_off="500.00", write_off="300.00") == ("800.00", "500.00", "300.00")
    # Charged off in part, then the contractual principal written off: 640 are left to write off.
    assert kinds(charge_off="160.00", write_off="800.00") == ("800.00", "160.00", "640.00")
    # Charged off as a whole, then written off: nothing is left.
    assert kinds(charge_off="800.00", write_off="800.00") == ("800.00", "800.00", "0.00")


def test_a_write_off_that_was_reversed_is_none():
    booked = [
        transaction(91, "L3", "write_off", "2025-02-18", "800.00"),
        transaction(92, "L3", "reversal", "2025-02-19", "800.00", of="T91"),
        transaction(93, "L3", "charge_off", "2025-02-20", "800.00"),
    ]
    book = generate(revenue_lake(transactions=[*TRANSACTIONS, *booked]), "charge_off_recovery")
    eur = rows(book, "Summary")[0]
    assert (str(eur["charge_offs"]), str(eur["write_offs"])) == ("800.00", "0.00")
