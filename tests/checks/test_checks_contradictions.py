"""Tables that each look right and contradict one another are named by loan."""

from datetime import date, datetime
from decimal import Decimal

import pytest
from checks_world import FEB_1, FEB_2, JAN_31, evaluate, find, row, whole_world

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
    find(world["loan_positions"], loan_id="L1", business_date=FEB_2)["principal_outstanding"] = Decimal(0)
    assert found(world, "loan_positions", "paid_without_disbursement").passed


def test_a_loan_is_disbursed_by_the_end_of_the_day():
    world = whole_world()
    assert evaluate(world, "loans", "disbursements_exist", JAN_31, JAN_31).passed
    find(world["transactions"], transaction_id="T3")["effective_on"] = FEB_1
    assert loans(evaluate(world, "loans", "disbursements_exist", JAN_31, JAN_31)) == ["L2"]
    assert evaluate(world, "loans", "disbursements_exist", FEB_1, FEB_1).passed


def _repaid_early(world):
    find(world["transactions"], transaction_id="T2")["effective_on"] = date(2024, 12, 31)


def _schedule_too_short(world):
    find(world["installments"], loan_id="L1", number=2)["principal"] = Decimal(850)


def _no_schedule(world):
    world["installments"] = [due for due in world["installments"] if due["loan_id"] != "L1"]


def _never_due(world):
    find(world["loan_positions"], loan_id="L1", business_date=FEB_2)["next_due_on"] = None


def _other_term(world):
    find(world["loans"], loan_id="L1")["term_count"] = 3


def _other_rate(world):
    find(world["loans"], loan_id="L1")["annual_rate"] = Decimal("0.25")


def _unknown_product(world):
    find(world["loan_positions"], loan_id="L1", business_date=FEB_2)["product_id"] = "gone"


def _unknown_officer(world):
    world["staff"] = [row("staff", staff_id="S1")]
    find(world["loan_positions"], loan_id="L1", business_date=FEB_2)["officer_id"] = "gone"


@pytest.mark.parametrize(
    ("table", "name", "contradict"),
    [
        ("transactions", "repaid_after_disbursement", _repaid_early),
        ("loan_positions", "schedule_covers_principal", _schedule_too_short),
        ("loan_positions", "schedule_covers_principal", _no_schedule),
        ("loan_positions", "active_has_due_dates", _never_due),
        ("loans", "terms_match_schedule", _other_term),
        ("loans", "terms_match_schedule", _other_rate),
        ("loan_positions", "assigned_to_known", _unknown_product),
        ("loan_positions", "assigned_to_known", _unknown_officer),
    ],
)
def test_a_contradiction_is_a_warning_that_names_the_loan(table, name, contradict):
    world = whole_world()
    assert found(world, table, name).passed
    contradict(world)
    warning = found(world, table, name)
    assert (warning.severity, warning.blocking, loans(warning)) == ("warn", False, ["L1"])


@pytest.mark.parametrize(("last", "covers"), [("899.97", False), ("899.98", True), ("900.02", True), ("900.03", False)])
def test_a_schedule_may_differ_from_the_principal_by_a_cent_an_installment(last, covers):
    # 100.00 and the last installment, of 1,000.00 disbursed.
    world = whole_world()
    find(world["installments"], loan_id="L1", number=2)["principal"] = Decimal(last)
    assert found(world, "loan_positions", "schedule_covers_principal").passed == covers


@pytest.mark.parametrize("column", ["principal_charged_off", "principal_forgiven"])
def test_a_schedule_may_leave_out_principal_that_is_no_longer_due(column):
    world = whole_world()
    find(world["installments"], loan_id="L1", number=2)["principal"] = Decimal(850)
    position = find(world["loan_positions"], loan_id="L1", business_date=FEB_2)
    for amount, covers in (("49.97", False), ("49.98", True)):
        position[column] = Decimal(amount)
        assert found(world, "loan_positions", "schedule_covers_principal").passed == covers


def test_capitalized_interest_is_in_the_schedule():
    world = whole_world()
    find(world["loan_positions"], loan_id="L1", business_date=FEB_2)["principal_capitalized"] = Decimal(25)
    assert loans(found(world, "loan_positions", "schedule_covers_principal")) == ["L1"]
    find(world["installments"], loan_id="L1", number=2)["principal"] = Decimal(925)
    assert found(world, "loan_positions", "schedule_covers_principal").passed


def test_parties_that_the_source_does_not_keep_are_not_missed():
    world = whole_world()
    find(world["loan_positions"], loan_id="L1", business_date=FEB_2)["officer_id"] = "gone"
    assert world["staff"] == []
    assert found(world, "loan_positions", "assigned_to_known").passed


def test_a_message_names_the_loans_and_what_is_wrong():
    world = whole_world()
    for loan_id, product in (("L1", "gone"), ("L2", "lost\r")):
        find(world["loan_positions"], loan_id=loan_id, business_date=FEB_2)["product_id"] = product
    assert found(world, "loan_positions", "assigned_to_known").message == (
        "loan_positions: assigned_to_known fails for 2 rows on 2025-02-02 (loan_id=L1, column=product_id, "
        "missing_id=gone; loan_id=L2, column=product_id, missing_id='lost\\r'): the portfolio, officer and product "
        "of every position exist"
    )


def test_a_loan_taken_over_in_mid_life_may_have_fewer_installments():
    # Of 2,000.00 over 24 installments 1,000.00 and two installments were left.
    world = whole_world()
    find(world["loans"], loan_id="L1").update(principal=Decimal(2000), term_count=24)
    assert found(world, "loans", "terms_match_schedule").passed
    find(world["loans"], loan_id="L1")["term_count"] = 1
    assert loans(found(world, "loans", "terms_match_schedule")) == ["L1"]


@pytest.mark.parametrize(("term_count", "matches"), [(1, False), (2, True), (3, True), (4, False)])
def test_a_term_counts_payments_or_installments(term_count, matches):
    """Two payments, one of them of interest alone, and an installment of 0.00, as in a moratorium."""
    world = whole_world()
    first, last = (find(world["installments"], loan_id="L1", number=number) for number in (1, 2))
    first["principal"], last["principal"] = Decimal(0), Decimal(1000)
    nothing = {"number": 3, "due_on": date(2025, 2, 28), "principal": Decimal(0), "interest": Decimal(0)}
    world["installments"].append(last | nothing)
    find(world["loans"], loan_id="L1").update(principal=Decimal(1000), term_count=term_count)
    problems = [row["problem"] for row in found(world, "loans", "terms_match_schedule").sample]
    assert any("term_count" in problem for problem in problems) != matches


def _effective_later(world):
    for installment in world["installments"]:
        installment["effective_on"] = date(2025, 1, 20)


def _posted_later(world):
    find(world["installments"], loan_id="L1", number=2)["posted_at"] = datetime(2025, 1, 20)


def _modified(world):
    world["modifications"] = [row("modifications", modification_id="M1", loan_id="L1", effective_on=date(2025, 1, 20))]


@pytest.mark.parametrize("rewrite", [_effective_later, _posted_later, _modified])
def test_a_schedule_rewritten_in_place_is_not_compared_with_the_terms(rewrite):
    world = whole_world()
    _other_term(world)
    assert loans(found(world, "loans", "terms_match_schedule")) == ["L1"]
    rewrite(world)
    assert found(world, "loans", "terms_match_schedule").passed


def test_a_modification_with_a_version_of_its_own_leaves_the_first_schedule_to_compare():
    world = whole_world()
    _modified(world)
    later = find(world["installments"], loan_id="L1", number=2) | {"version": 2, "effective_on": date(2025, 1, 20)}
    world["installments"].append(later)
    assert found(world, "loans", "terms_match_schedule").passed
    _other_term(world)
    assert loans(found(world, "loans", "terms_match_schedule")) == ["L1"]


def test_a_rate_that_looks_like_a_percentage_is_told_once():
    world = whole_world()
    find(world["loans"], loan_id="L1")["annual_rate"] = Decimal("12.56")
    assert found(world, "loans", "terms_match_schedule").passed
    assert "L1" in loans(found(world, "loans", "rates_are_fractions"))
