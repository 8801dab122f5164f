"""The effects of charge-offs on loans with any transactions and reversals: the definition applied to each day."""

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest
from book import Book, day

from lending_pipelines.metrics import charge_offs

FIRST, LAST = day("1969-12-28"), day("1970-01-20")
LOANS = 300
TYPES = ("disbursement", "capitalization", "waiver", "repayment", "refund", "charge_off", "write_off", "recovery")


@pytest.mark.parametrize("seed", range(3))
def test_the_effects_by_a_day_follow_from_the_transactions_in_force_on_it(seed):
    book, chance = Book(), Random(seed)
    for number in range(LOANS):
        add_transactions(book, f"L{number}", chance)
    rows = book.backend.to_pyarrow(charge_offs.effects(book.read("transactions"), LAST)).to_pylist()
    found = defaultdict(dict)
    for row in rows:
        found[row["loan_id"]][row["on"]] = row
    assert len(found) > LOANS / 2
    for loan_id, transactions in by_loan(book).items():
        assert effects_by_day(found[loan_id]) == defined_by_day(transactions), loan_id


def add_transactions(book, loan_id, chance):
    """Transactions of every type in a few weeks, and reversals of some, and of some reversals."""
    for _ in range(chance.randint(2, 12)):
        on = FIRST + timedelta(days=chance.randint(0, 12))
        split = [chance.choice(["0", "1", f"{chance.randint(0, 300) / 100}"]) for _ in range(3)]
        made = book.txn(loan_id, chance.choice(TYPES), str(on), *split)
        for share in (0.35, 0.3):
            if chance.random() > share:
                break
            on += timedelta(days=chance.randint(0, 4))
            made = book.reverse(made, str(on))


def by_loan(book):
    loans = defaultdict(list)
    for row in book.rows["transactions"]:
        loans[row["loan_id"]].append(row)
    return loans


def effects_by_day(changes):
    """The effects so far at the end of every day, from the changes."""
    days, so_far, since = {}, dict.fromkeys(("principal", "interest", "fees", "not_taken"), Decimal(0)), None
    for on in every_day():
        if on in changes:
            so_far = {name: amount + changes[on][name] for name, amount in so_far.items()}
            since = changes[on]["charged_off_on"]
        days[on] = (*so_far.values(), since)
    return days


def every_day():
    return [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]


def defined_by_day(transactions):
    roots = {row["transaction_id"]: row for row in transactions}
    return {on: defined(in_force(transactions, roots, on)) for on in every_day()}


def in_force(transactions, roots, on):
    """The transactions made by `on` and not reversed by then, and the days on which any was made."""
    signs = defaultdict(int)
    for row in transactions:
        if row["effective_on"] <= on:
            sign, root = 1, row
            while root["type"] == "reversal":
                sign, root = -sign, roots[root["reverses_id"]]
            signs[root["transaction_id"]] += sign
    return [roots[transaction_id] for transaction_id, sign in signs.items() if sign > 0]


def defined(transactions):
    """Charge-offs by docs/definitions.md: recovered principal, interest and fees; not taken; charged off since."""
    days = defaultdict(lambda: defaultdict(Decimal))
    for row in transactions:
        for name in ("principal", "interest", "fees"):
            days[row["effective_on"]][row["type"], name] += row[name]
        days[row["effective_on"]][row["type"], "count"] += 1
    owed = recovered = interest = fees = not_taken = Decimal(0)
    charged_off, since = False, None
    for on, sums in sorted(days.items()):
        received = sums["repayment", "principal"] - sums["refund", "principal"]
        all_is_recovery = charged_off and owed <= 0
        owed += sums["disbursement", "principal"] - sums["waiver", "principal"]
        owed += sums["capitalization", "interest"] + sums["capitalization", "fees"]
        if all_is_recovery:
            beyond = received
            interest += sums["repayment", "interest"] - sums["refund", "interest"]
            fees += sums["repayment", "fees"] - sums["refund", "fees"]
        else:
            beyond = max(received - max(owed, Decimal(0)), Decimal(0)) if charged_off else Decimal(0)
        recovered += beyond
        owed -= received - beyond
        booked = sums["charge_off", "principal"] + sums["write_off", "principal"]
        taken = min(booked, max(owed, Decimal(0)))
        not_taken += booked - taken
        owed -= taken
        charged_off = charged_off or sums["charge_off", "count"] + sums["write_off", "count"] > 0
        since = (since or on) if charged_off and owed <= 0 else None
    return recovered, interest, fees, not_taken, since
