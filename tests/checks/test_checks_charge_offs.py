"""Charge-offs and payments after them that are booked otherwise than they count are listed with amount and day."""

from datetime import date

from checks_world import FEB_1, FEB_2, JAN_31, World, evaluate, row, whole_world


def book(world: World, name: str, type_: str, day: date, principal: str, **values: str) -> None:
    """Add a transaction of L2, of which 500.00 were disbursed on 31 January."""
    amounts = {"amount": principal, "principal": principal, "interest": "0", "fees": "0"}
    world["transactions"].append(
        row("transactions", transaction_id=name, loan_id="L2", type=type_, effective_on=day, **(amounts | values))
    )


def problems(world: World) -> list[str]:
    return [found["problem"] for found in evaluate(world, "transactions", "charge_offs_as_booked").sample]


def test_what_is_charged_off_beyond_the_principal_and_what_is_received_afterwards_are_both_listed():
    """Of 500.00 40.00 are charged off, then 600.00 written off of the 460.00 left, then 50.00 are repaid."""
    world = whole_world()
    assert problems(world) == []
    book(world, "T4", "charge_off", JAN_31, "40")
    book(world, "T5", "write_off", FEB_1, "600")
    book(world, "T6", "repayment", FEB_2, "50")
    assert sorted(problems(world)) == [
        "140.00 of 2025-02-01 charged off more than the principal outstanding",
        "50.00 of 2025-02-02 received after a charge-off, but not booked as a recovery",
    ]
    assert (
        "loan_id=L2, problem=140.00 of 2025-02-01" in evaluate(world, "transactions", "charge_offs_as_booked").message
    )


def test_the_transactions_of_a_day_count_together_and_charge_offs_last():
    """Of 500.00 50.00 are repaid and 450.00 charged off: 150.00 of the 600.00 booked do not count."""
    world = whole_world()
    book(world, "T4", "charge_off", FEB_1, "600")
    book(world, "T5", "repayment", FEB_1, "50")
    assert problems(world) == ["150.00 of 2025-02-01 charged off more than the principal outstanding"]


def test_a_payment_whose_charge_off_was_reversed_is_a_payment_again():
    world = whole_world()
    book(world, "T4", "charge_off", JAN_31, "500")
    book(world, "T5", "repayment", FEB_1, "50", interest="5", fees="2", amount="57")
    assert problems(world) == ["57.00 of 2025-02-01 received after a charge-off, but not booked as a recovery"]
    book(world, "T6", "reversal", FEB_2, "500", reverses_id="T4")
    assert problems(world) == []
