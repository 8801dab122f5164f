"""Checks of the servicing tables name rows with a wrong reference, split, reversal or number."""

from decimal import Decimal

import pytest
from checks_world import DISBURSED, FEB_1, JAN_31, evaluate, find, row, whole_world

from lending_pipelines.tables import SERVICING
from lending_pipelines.tables.references import REFERENCES


def found(world, table, name, column):
    outcome = evaluate(world, table, name)
    assert outcome.failed_rows == len(outcome.sample)
    return [row[column] for row in outcome.sample]


def test_references_name_columns_that_exist():
    for table, columns in REFERENCES.items():
        for column, (parent, key) in columns.items():
            assert column in SERVICING[table].names
            assert SERVICING[parent].key == (key,)


@pytest.mark.parametrize(("table", "key"), [("transactions", "transaction_id"), ("installments", "loan_id")])
def test_a_row_of_an_unknown_loan(table, key):
    world = whole_world()
    stray = world[table][0] | {"loan_id": "L9", key: "L9"}
    world[table].append(stray)
    outcome = evaluate(world, table, "references_exist")
    assert [(r["column"], r["missing_id"], r[key]) for r in outcome.sample] == [("loan_id", "L9", "L9")]
    assert outcome.blocking == (table == "transactions")


@pytest.mark.parametrize("parent", ["branches", "borrowers"])
def test_parties_are_missed_only_where_the_source_keeps_them(parent):
    world = whole_world()
    column = {name: table for name, (table, _) in REFERENCES["loans"].items()}
    (name,) = (name for name, table in column.items() if table == parent)
    find(world["loans"], loan_id="L2")[name] = "unknown"
    world[parent] = []
    assert evaluate(world, "loans", "references_exist").passed
    key = SERVICING[parent].key[0]
    world[parent] = [row(parent, **{key: value}) for value in ("P", "x")]
    outcome = evaluate(world, "loans", "references_exist")
    assert [(r["loan_id"], r["column"], r["missing_id"]) for r in outcome.sample] == [("L2", name, "unknown")]


def test_a_team_leader_who_is_not_there():
    world = whole_world()
    world["staff"] = [row("staff", staff_id="S1"), row("staff", staff_id="S2", team_leader_id="S9")]
    assert found(world, "staff", "references_exist", "staff_id") == ["S2"]


@pytest.mark.parametrize("changed", [{"amount": "109.99"}, {"interest": "10.01"}, {"fees": "-1", "principal": "101"}])
def test_an_amount_that_does_not_split(changed):
    world = whole_world()
    find(world["transactions"], transaction_id="T2").update({k: Decimal(v) for k, v in changed.items()})
    assert found(world, "transactions", "amounts_split", "transaction_id") == ["T2"]


def reversal(world, transaction_id, of, **values):
    target = find(world["transactions"], transaction_id=of)
    new = target | {"transaction_id": transaction_id, "type": "reversal", "reverses_id": of, "effective_on": FEB_1}
    world["transactions"].append(new | values)


def problems(world):
    outcome = evaluate(world, "transactions", "reversals_mirror")
    return {row["transaction_id"]: row["problem"] for row in outcome.sample}


def test_a_reversal_that_mirrors_its_target():
    world = whole_world()
    reversal(world, "R1", "T2")
    assert problems(world) == {}


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"reverses_id": None}, "no reverses_id"),
        ({"reverses_id": "T9"}, "reverses a transaction that does not exist"),
        ({"loan_id": "L2"}, "reverses another loan's transaction"),
        ({"principal": Decimal(110), "interest": Decimal(0)}, "split differs from its transaction"),
        ({"effective_on": DISBURSED}, "effective before the reversed transaction"),
        ({"type": "refund"}, "reverses_id on a transaction that is not a reversal"),
    ],
)
def test_a_reversal_that_does_not_mirror_its_target(values, problem):
    world = whole_world()
    reversal(world, "R1", "T2", **values)
    assert problems(world) == {"R1": problem}


def test_a_transaction_reversed_twice():
    world = whole_world()
    reversal(world, "R1", "T2")
    reversal(world, "R2", "T2")
    assert problems(world) == {"R1": "reversed more than once", "R2": "reversed more than once"}


def test_reversals_of_reversals():
    world = whole_world()
    reversal(world, "R1", "T2")
    reversal(world, "R2", "R1")
    assert problems(world) == {}
    assert found(world, "transactions", "reversals_reversed", "transaction_id") == ["R2"]
    # Undone, redone, and undone again: one reversal in force.
    reversal(world, "R3", "T2")
    assert problems(world) == {}
    reversal(world, "R4", "R2")
    assert problems(world)["R4"] == "reverses the reversal of a reversal"


@pytest.mark.parametrize(
    "values", [{"number": 3}, {"effective_on": JAN_31}, {"interest": Decimal(-1)}, {"principal": Decimal(-1)}]
)
def test_a_schedule_that_is_not_whole(values):
    world = whole_world()
    find(world["installments"], loan_id="L1", number=2).update(values)
    outcome = evaluate(world, "installments", "schedules_whole")
    assert [(row["loan_id"], row["version"]) for row in outcome.sample] == [("L1", 1)]


def test_a_schedule_that_starts_at_the_second_installment():
    world = whole_world()
    find(world["installments"], loan_id="L2", number=1)["number"] = 2
    assert found(world, "installments", "schedules_whole", "loan_id") == ["L2"]


@pytest.mark.parametrize(("rate", "suspect"), [("3.00000000", []), ("3.00000001", ["L1"]), ("12.50000000", ["L1"])])
def test_a_rate_that_looks_like_a_percentage_is_a_warning(rate, suspect):
    world = whole_world()
    find(world["loans"], loan_id="L1")["annual_rate"] = Decimal(rate)
    assert found(world, "loans", "rates_are_fractions", "loan_id") == suspect
    outcome = evaluate(world, "loans", "rates_are_fractions")
    assert (outcome.severity, outcome.blocking) == ("warn", False)


def test_either_rate_of_a_modification_may_look_like_a_percentage():
    world = whole_world()
    terms = dict.fromkeys(name for name in SERVICING["modifications"].names if name.startswith(("before", "after")))
    common = terms | {"loan_id": "L1", "type": "rate_reduction", "effective_on": JAN_31, "posted_at": None}
    world["modifications"] = [
        common | {"modification_id": "M1", "before_rate": Decimal("12.5"), "after_rate": Decimal("0.1")},
        common | {"modification_id": "M2", "before_rate": None, "after_rate": Decimal("9.9")},
        common | {"modification_id": "M3", "before_rate": None, "after_rate": None},
    ]
    assert found(world, "modifications", "rates_are_fractions", "modification_id") == ["M1", "M2"]
