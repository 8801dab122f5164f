"""What a notification shows of an alert: the loans behind it, and its number in words. Worked by hand."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from made_tables import DAY, MadeTables, rule

from lending_pipelines.alerts import words
from lending_pipelines.alerts.notices import Channels, content
from lending_pipelines.alerts.printed import as_text, facts
from lending_pipelines.alerts.top_loans import top_loans
from lending_pipelines.conventions import Conventions
from lending_pipelines.register.alert_models import Alert

BEFORE = DAY - timedelta(days=1)


def loan(loan_id, day, branch="B1", late=0, **amounts):
    values = {name: Decimal(amount) for name, amount in amounts.items()}
    place = {"business_date": day, "loan_id": loan_id, "branch_id": branch, "currency": "USD", "status": "active"}
    return place | {"days_past_due": late} | values


def anomaly(column, **values):
    least = "1 %" if column != "loan_count" else 5
    return rule(
        detector="anomaly", metric=f"portfolio_snapshots.{column}", scope="branch", least_distance=least, **values
    )


def alert(**values):
    given = {
        "alert_id": "a1", "rule_id": "r1", "topic": "t", "subject_kind": "branch", "subject_id": "B1", "text": "text",
        "currency": "USD", "opened_on": DAY, "last_on": DAY, "severity": "warning", "state": "open", "value": 400.0,
        "threshold": 350.0, "details": {"low": -10.0, "high": 350.0},
    }  # fmt: skip
    return Alert(**given | values)


def behind(rows, given):
    return top_loans(MadeTables({"loan_positions": rows}), [alert()], {"r1": given}, lambda manager: [manager])["a1"]


def test_behind_an_anomaly_are_the_loans_that_changed_its_number_most():
    # L1 pays 300.00, L2 is refunded 50.00, L3 pays nothing, L4 is new and pays 7.00; L9 is of another branch.
    rows = [
        loan("L1", BEFORE, total_collected="100.00"), loan("L1", DAY, total_collected="400.00"),
        loan("L2", BEFORE, total_collected="80.00"), loan("L2", DAY, total_collected="30.00"),
        loan("L3", BEFORE, total_collected="5.00", late=90), loan("L3", DAY, total_collected="5.00", late=91),
        loan("L4", DAY, total_collected="7.00"),
        loan("L9", BEFORE, "B2"), loan("L9", DAY, "B2", total_collected="900.00"),
    ]  # fmt: skip
    found = behind(rows, anomaly("total_collected"))
    assert [(row["loan_id"], row["change"]) for row in found] == [("L1", "+300.00"), ("L2", "-50.00"), ("L4", "+7.00")]


def test_behind_an_anomaly_of_par_are_the_loans_that_came_or_left():
    # L1 reaches 30 days with 200.00, L2 repays 10.00 of 100.00 at risk, L3 pays up: 60.00 are no longer at risk.
    rows = [
        loan("L1", BEFORE, late=29, principal_outstanding=200), loan("L1", DAY, late=30, principal_outstanding=200),
        loan("L2", BEFORE, late=40, principal_outstanding=100), loan("L2", DAY, late=41, principal_outstanding=90),
        loan("L3", BEFORE, late=50, principal_outstanding=60), loan("L3", DAY, late=0, principal_outstanding=60),
    ]  # fmt: skip
    found = behind(rows, anomaly("par_30"))
    assert [(row["loan_id"], row["change"]) for row in found] == [("L1", "+200.00"), ("L3", "-60.00"), ("L2", "-10.00")]


def test_a_score_has_no_loans_behind_its_change():
    given = rule(detector="anomaly", metric="portfolio_snapshots.health_score", scope="branch", least_distance=5)
    assert behind([loan("L1", DAY, late=90)], given) == []


def test_other_alerts_name_the_largest_loans_past_due():
    rows = [loan("L1", DAY, late=31, principal_outstanding=5), loan("L2", DAY, late=1, principal_outstanding=9)]
    given = rule(metric="portfolio_snapshots.par_30", scope="branch", operator=">", threshold="10 %")
    (found,) = behind(rows, given)
    assert (found["loan_id"], "change" in found) == ("L1", False)


def test_the_loans_at_risk_are_those_of_par_itself():
    """With par_operator ">", a loan of exactly 30 days is not in PAR 30."""
    made = MadeTables({"loan_positions": [loan("L1", DAY, late=30), loan("L2", DAY, late=31)]})
    given = {"r1": rule(metric="portfolio_snapshots.par_30", scope="branch", operator=">", threshold="10 %")}
    for conventions, expected in ((Conventions(), ["L1", "L2"]), (Conventions(par_operator=">"), ["L2"])):
        found = top_loans(replace(made, conventions=conventions), [alert()], given, lambda manager: [manager])
        assert [row["loan_id"] for row in found["a1"]] == expected


@pytest.mark.parametrize(
    ("given", "value", "threshold", "expected"),
    [
        (
            {"detector": "change", "metric": "portfolio_snapshots.total_balance", "operator": "<",
             "threshold": "-10 %", "window_days": 7, "unit": "percent"},
            -12.5, -10.0, [("Change of total balance in 7 days", "-12.50 %"), ("Threshold", "below -10.00 %")],
        ),
        (
            {"detector": "change", "metric": "portfolio_snapshots.par_30", "operator": ">=", "threshold": "3 %",
             "window_days": 1},
            0.031, 0.03, [("Change of PAR 30 in 1 day", "+3.10 points"), ("Threshold", "at or above +3.00 points")],
        ),
        (
            {"detector": "anomaly", "metric": "portfolio_snapshots.total_collected", "least_distance": 5},
            400.0, 350.0, [("Change of total collected in a day", "+400.00 USD"),
                           ("Threshold", "-10.00 USD to +350.00 USD expected")],
        ),
        (
            {"metric": "portfolio_snapshots.par_30", "operator": ">", "threshold": "15 %"},
            0.162, 0.15, [("PAR 30", "16.20 %"), ("Threshold", "above 15.00 %")],
        ),
    ],
)  # fmt: skip
def test_a_change_is_printed_as_a_change(given, value, threshold, expected):
    made = rule(scope="branch", **given)
    data = content("opened", alert(value=value, threshold=threshold), made, Channels(("a",)))
    assert facts(data)[:2] == expected
    assert expected[0][1] in as_text(data)


def test_a_change_in_words():
    assert words.change(Decimal("0.031"), "fraction") == "+3.10 points"
    assert words.change(Decimal(-1000), "money", "USD") == "-1,000.00 USD"
    assert words.change(Decimal(0), "count") == "0"
