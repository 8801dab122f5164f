"""Numbers and conditions of rules in words, in the unit of the number."""

import pytest
from made_tables import rule

from lending_pipelines.alerts.words import condition, measured

PAR = {"metric": "portfolio_snapshots.par_30", "operator": ">", "threshold": 0.145}


@pytest.mark.parametrize(
    ("given", "value", "shown"),
    [
        (PAR, 0.145, "14.50 %"),
        ({**PAR, "metric": "manager_snapshots.default_rate", "scope": "manager"}, 14.5, "14.50 %"),
        ({**PAR, "metric": "portfolio_snapshots.total_balance", "threshold": 5}, 1000.5, "1,000.50 USD"),
        ({**PAR, "metric": "portfolio_snapshots.loan_count", "threshold": 5}, 1200.0, "1,200"),
        ({**PAR, "detector": "change", "window_days": 7}, 0.145, "+14.50 points"),
        ({**PAR, "detector": "change", "window_days": 7, "unit": "percent"}, 14.5, "+14.50 %"),
        ({"detector": "concentration", "by": "borrower", "threshold": "5 %"}, 0.145, "14.50 %"),
        ({"detector": "covenant", "covenants": [{"metric": "par_30", "max": 0.1}]}, 0.145, "14.50 %"),
        ({"detector": "missed_installments", "installments": 3}, 2.0, "2"),
        ({"detector": "data_received"}, 25.0, "25"),
    ],
)
def test_a_value_is_in_the_unit_of_its_number(given, value, shown):
    assert measured(rule(**given), value, "USD") == shown


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (PAR, "portfolio_snapshots.par_30 > 14.50 %"),
        (
            {**PAR, "detector": "change", "window_days": 7, "threshold": "3 %"},
            "portfolio_snapshots.par_30 > +3.00 points in 7 days",
        ),
        (
            {"metric": PAR["metric"], "detector": "anomaly", "least_distance": "1 %"},
            "portfolio_snapshots.par_30 changes by 4 z or more",
        ),
        (
            {"metric": "aging_buckets.loan_count", "operator": ">", "threshold": 5, "where": {"bucket": "30-59"}},
            "aging_buckets.loan_count (bucket 30-59) > 5",
        ),
        ({"metric": "close_summary.seconds", "operator": ">", "threshold": 7200}, "close_summary.seconds > 7,200"),
        ({"detector": "concentration", "by": "borrower", "threshold": "5 %"}, "concentration by borrower > 5.00 %"),
        ({"detector": "missed_installments", "installments": 3}, "missed_installments >= 3 in 1 or more loans"),
        ({"detector": "close_late", "threshold": 12}, "close_late by 12 hours"),
        ({"detector": "tape_late"}, "tape_late"),
        ({"detector": "data_received"}, "data_received"),
        ({"detector": "covenant", "covenants": [{"metric": "par_30", "max": 0.1}]}, "covenant par_30"),
    ],
)
def test_the_condition_of_each_kind_of_rule(given, shown):
    assert condition(rule(**given)) == shown
