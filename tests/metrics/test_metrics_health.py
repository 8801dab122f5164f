"""The health score from sums: categories at their thresholds, unknown rates, cut-off parts, and the conventions."""

from decimal import Decimal

import ibis
import pytest

from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics import health


def scored(conventions=None, **sums):
    """Health of sums: of 100 due nothing is collected, nothing is in default, and neither growth nor yield is known."""
    row = {
        "counted_loans": 1,
        "defaulted_loans": 0,
        "due_in_window": Decimal(100),
        "collected_in_window": Decimal(0),
        "opening_outstanding": Decimal(0),
        "income_in_year": Decimal(0),
        "balance_days": Decimal(0),
        "outstanding": Decimal(100),
    }
    types = {name: "int64" if name.endswith("loans") else "decimal(18, 2)" for name in row}
    sums = ibis.memtable([row | sums], schema=types)
    return health.scored(sums, "outstanding", conventions or Conventions()).to_pyarrow().to_pylist()[0]


@pytest.mark.parametrize(
    ("collected", "score", "category"),
    [
        # 30 for no default and 10 for an unknown growth, and 40 % of what is collected.
        ("24.99", 49.996, "Critical"),
        ("25", 50.0, "Warning"),
        ("74.99", 69.996, "Warning"),
        ("75", 70.0, "Good"),
        ("99.99", 79.996, "Good"),
        ("100", 80.0, "Excellent"),
        ("500", 80.0, "Excellent"),
        ("-20", 40.0, "Critical"),
    ],
)
def test_categories_begin_exactly_at_their_thresholds(collected, score, category):
    row = scored(collected_in_window=Decimal(collected))
    assert (row["health_score"], row["health_category"]) == (score, category)


def test_what_is_not_known_scores_nothing_and_is_named():
    row = scored(counted_loans=0, due_in_window=Decimal(0))
    assert [row[name] for name in ("collection_rate", "default_rate", "growth_rate", "portfolio_yield")] == [None] * 4
    assert row["missing"] == "collection_rate, default_rate, portfolio_yield"
    assert (row["growth_score"], row["health_score"]) == (50.0, 10.0)


def test_a_part_is_cut_off_at_its_ends():
    best = scored(opening_outstanding=Decimal(50), income_in_year=Decimal(100), balance_days=Decimal(365))
    assert (best["growth_rate"], best["growth_score"], best["portfolio_yield"], best["yield_score"]) == (
        100.0,
        100.0,
        10_000.0,
        100.0,
    )
    worst = scored(defaulted_loans=1, opening_outstanding=Decimal(1000), outstanding=Decimal(0))
    assert (worst["default_score"], worst["growth_rate"], worst["growth_score"]) == (0.0, -100.0, 0.0)


def test_weights_and_thresholds_are_conventions():
    chosen = Conventions(health_weights=(0, 0, 100, 0), health_thresholds=(10, 20, 50))
    row = scored(chosen)
    assert (row["health_score"], row["health_category"]) == (50.0, "Excellent")
