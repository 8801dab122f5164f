"""The directions in which loans moved, from a few rows of aging_transitions, worked by hand."""

from datetime import date
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest

from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics import roll_rates
from lending_pipelines.metrics.delinquency import aging_transitions
from lending_pipelines.tables import TABLES

JAN, FEB, MAR = date(2025, 1, 31), date(2025, 2, 28), date(2025, 3, 31)

# day, from, to, loans, opening principal
MOVES = [
    (FEB, "current", "current", 6, "600"),
    (FEB, "current", "1-29", 2, "300"),
    (FEB, "current", "closed", 1, "100"),
    (FEB, "current", "sold", 1, "0"),
    (FEB, "60-89", "current", 1, "50"),
    (FEB, "60-89", "1-29", 1, "30"),
    (FEB, "60-89", "90-119", 1, "15"),
    (FEB, "60-89", "charged_off", 1, "5"),
    (FEB, "new", "current", 4, "0"),
    (MAR, "current", "current", 10, "1000"),
    (MAR, "120+", "120+", 1, "0"),
]


def _table(name, rows):
    return ibis.memtable(pa.Table.from_pylist(rows, schema=TABLES[name].arrow_schema))


@pytest.fixture(scope="module")
def moves():
    rows = [
        {
            "business_date": day,
            "currency": "USD",
            "from_bucket": before,
            "to_bucket": after,
            "loan_count": count,
            "opening_principal": Decimal(principal),
        }
        for day, before, after, count, principal in MOVES
    ]
    return _table("aging_transitions", rows)


def _by(rows, *keys):
    return {tuple(row[key] for key in keys): row for row in rows.to_pyarrow().to_pylist()}


def test_directions_of_each_bucket(moves):
    rates = _by(roll_rates.direction_rates(moves, Conventions(), "business_date"), "business_date", "from_bucket")
    assert set(rates) == {(FEB, "current"), (FEB, "60-89"), (MAR, "current"), (MAR, "120+")}
    current, late = rates[FEB, "current"], rates[FEB, "60-89"]
    assert (current["opening_loans"], current["opening_principal"]) == (10, Decimal("1000.00"))
    none = dict.fromkeys(roll_rates.DIRECTIONS, 0)
    expected = none | {"stayed": 0.6, "worsened": 0.2, "closed": 0.1, "sold": 0.1}
    assert {d: current[f"{d}_count_rate"] for d in roll_rates.DIRECTIONS} == expected
    expected = none | {"stayed": 0.6, "worsened": 0.3, "closed": 0.1}
    assert {d: current[f"{d}_balance_rate"] for d in roll_rates.DIRECTIONS} == expected
    expected = none | {"cured": 0.5, "improved": 0.3, "worsened": 0.15, "charged_off": 0.05}
    assert {d: late[f"{d}_balance_rate"] for d in roll_rates.DIRECTIONS} == expected
    assert (current["roll_forward_rate"], late["roll_forward_rate"]) == (0.3, 0.2)


def test_a_bucket_without_principal_has_rates_by_count_alone(moves):
    last = _by(roll_rates.direction_rates(moves, Conventions()), "from_bucket")[("120+",)]
    assert (last["stayed_count_rate"], last["stayed_balance_rate"], last["roll_forward_rate"]) == (1.0, None, None)


def test_days_together_weigh_by_what_was_there(moves):
    rows = _by(roll_rates.pooled(moves), "from_bucket", "to_bucket")
    # 6 of 10 and 10 of 10 stayed; 600 of 1,000 and 1,000 of 1,000
    stayed = rows["current", "current"]
    assert (stayed["loan_count"], stayed["opening_principal"]) == (16, Decimal("1600.00"))
    assert (stayed["count_rate"], stayed["balance_rate"]) == (0.8, 0.8)
    assert not any("new" in key for key in rows)


def test_net_flow_is_the_next_bucket_now_over_this_one_before(moves):
    balances = {"current": "900", "1-29": "250", "90-119": "40"}
    aging = [
        {"business_date": FEB, "currency": "USD", "bucket": bucket, "principal_outstanding": Decimal(balance)}
        for bucket, balance in balances.items()
    ]
    rates = _by(
        roll_rates.net_flow_rates(moves, _table("aging_buckets", aging), Conventions()), "from_bucket", "business_date"
    )
    assert {key: row["net_flow_rate"] for key, row in rates.items()} == {
        ("current", FEB): 0.25,  # 250 ÷ 1,000
        ("60-89", FEB): 0.4,  # 40 ÷ 100
        ("current", MAR): 0.0,
    }


def test_over_months_a_loan_goes_from_its_first_bucket_to_its_last():
    def position(day, loan_id, bucket, status="active"):
        return {
            "business_date": day,
            "loan_id": loan_id,
            "currency": "USD",
            "status": status,
            "bucket": bucket,
            "principal_outstanding": Decimal(100),
        }

    rows = [
        position(JAN, "L1", "current"),
        position(JAN, "L2", "current"),
        position(FEB, "L1", "1-29"),
        position(MAR, "L1", "30-59"),
        position(MAR, "L2", "current", "closed"),
        position(MAR, "L3", "current"),
    ]
    moved = aging_transitions(_table("loan_positions", rows), MAR, MAR, Conventions(), months=2)
    found = _by(moved.filter(moved.scope == "all"), "from_bucket", "to_bucket")
    assert {key: (row["from_date"], row["loan_count"], row["count_rate"]) for key, row in found.items()} == {
        ("current", "30-59"): (JAN, 1, 0.5),
        ("current", "closed"): (JAN, 1, 0.5),
        ("new", "current"): (JAN, 1, None),
    }
