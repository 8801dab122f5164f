"""Every id in a portfolio or of an investor is a loan. Other ids are a warning."""

import pytest
from checks_world import evaluate, row, whole_world


@pytest.mark.parametrize("table", ["portfolio_membership", "loan_ownership"])
def test_an_assignment_of_what_is_no_loan(table):
    world = whole_world()
    world[table] = [row(table, loan_id="L1")]
    assert evaluate(world, table, "assigned_loans_exist").passed
    world[table].append(row(table, loan_id="NO-SUCH-LOAN"))
    outcome = evaluate(world, table, "assigned_loans_exist")
    assert (outcome.passed, outcome.severity, outcome.blocking) == (False, "warn", False)
    assert [found["loan_id"] for found in outcome.sample] == ["NO-SUCH-LOAN"]
