"""Tables that each look right and contradict one another are named by loan."""

from datetime import date
from decimal import Decimal

import pytest
from checks_world import FEB_2, evaluate, find, whole_world

from lending_pipelines.checks import Outcome


def found(world, table, name) -> Outcome:
    return evaluate(world, table, name, FEB_2, FEB_2)


def loans(outcome):
    return [row["loan_id"] for row in outcome.sample]


def test_payments_on_a_loan_that_was_never_disbursed():
    world = whole_world()
    world["transactions"] = [row for row in world["transactions"] if row["transaction_id"] != "T1"]
    unpaid = {"status": "pending", "principal_disbursed": Decimal(0), "principal_outstanding": Decimal(-100)}
    find(world["loan_positions"], loan_id="L1", business_date=FEB_2).update(unpaid)
    error = found(world, "loan_positions", "paid_without_disbursement")
    assert (error.severity, error.blocking, loans(error)) == ("error", True, ["L1"])
    warning = found(world, "loans", "disbursements_exist")
    assert (warning.severity, warning.blocking, loans(warning)) == ("warn", False, ["L1"])


def _repaid_early(world):
    find(world["transactions"], transaction_id="T2")["effective_on"] = date(2024, 12, 31)


def _schedule_too_short(world):
    find(world["installments"], loan_id="L1", number=2)["principal"] = Decimal(850)


def _never_due(world):
    find(world["loan_positions"], loan_id="L1", business_date=FEB_2)["next_due_on"] = None


def _other_term(world):
    find(world["loans"], loan_id="L1")["term_count"] = 3


def _other_rate(world):
    find(world["loans"], loan_id="L1")["annual_rate"] = Decimal("0.25")


def _unknown_product(world):
    find(world["loan_positions"], loan_id="L1", business_date=FEB_2)["product_id"] = "gone"


@pytest.mark.parametrize(
    ("table", "name", "contradict"),
    [
        ("transactions", "repaid_after_disbursement", _repaid_early),
        ("loan_positions", "schedule_covers_principal", _schedule_too_short),
        ("loan_positions", "active_has_due_dates", _never_due),
        ("loans", "terms_match_schedule", _other_term),
        ("loans", "terms_match_schedule", _other_rate),
        ("loan_positions", "assigned_to_known", _unknown_product),
    ],
)
def test_a_contradiction_is_a_warning_that_names_the_loan(table, name, contradict):
    world = whole_world()
    assert found(world, table, name).passed
    contradict(world)
    warning = found(world, table, name)
    assert (warning.severity, warning.blocking, loans(warning)) == ("warn", False, ["L1"])
