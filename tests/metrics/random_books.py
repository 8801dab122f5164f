"""Books of random loans in which everything happens: early and late, partial, reversed, backdated, modified, sold."""

import random
from datetime import date, timedelta
from decimal import Decimal

from book import Book, posted
from hypothesis import strategies as st

FIRST, LAST = date(2024, 1, 1), date(2024, 6, 30)
"""The days within which everything happens."""

EVENTS = ("repayment",) * 12 + ("waiver", "capitalization", "refund", "charge_off", "write_off", "recovery")
_IDS = ("transaction_id", "reverses_id", "modification_id")
STEPS = {"weekly": 7, "biweekly": 14, "monthly": 30, "quarterly": 91, "bullet": 45}


def seeds(number: int) -> st.SearchStrategy[list[int]]:
    """Seeds of so many books. Hypothesis tries the simplest example first, whose seeds begin with 0: it is none."""
    several = st.lists(st.integers(0, 2**32), min_size=number, max_size=number, unique=True)
    return several.filter(lambda seeds: 0 not in seeds)


def random_book(*seeds, loans=30, last=LAST):
    """A book of that many loans for each seed, the same for the same seed. Everything happens up to the last day."""
    book = Book()
    book.add("products", product_id="P1", program_id="G1", name="One", product_type="term")
    book.add("products", product_id="P2", program_id="G2", name="Two", product_type="term")
    for seed in seeds:
        chance = random.Random(seed)
        for number in range(loans):
            _loan(book, chance, f"L{number} of {seed}", last)
    return book


def twin(book, loan_id):
    """Add a loan with the same terms, schedules, transactions and assignments under the name `twin …`."""
    for table, rows in book.rows.items():
        for row in [row for row in rows if row.get("loan_id") == loan_id]:
            ids = {name: f"twin {row[name]}" for name in ("loan_id", *_IDS) if row.get(name)}
            book.add(table, **row | ids)


def _day(chance, first, last):
    return first + timedelta(days=chance.randint(0, max(0, (last - first).days)))


def _money(chance, most):
    return str(Decimal(chance.randint(0, most * 100)) / 100)


def _loan(book, chance, loan_id, last):
    disbursed_on = _day(chance, FIRST, last - timedelta(days=76))
    frequency = chance.choice(list(STEPS))
    schedule = _schedule(chance, disbursed_on, frequency)
    principal = sum(Decimal(item[1]) for item in schedule)
    book.loan(
        loan_id,
        str(disbursed_on),
        str(principal),
        schedule,
        payment_frequency=frequency,
        currency=chance.choice(["USD", "EUR"]),
        product_id=chance.choice(["P1", "P2"]),
        matures_on=date.fromisoformat(schedule[-1][0]),
    )
    for version in range(2, chance.choice([2, 2, 2, 3, 4])):
        effective_on = _day(chance, disbursed_on, last)
        book.schedule(
            loan_id,
            version,
            str(effective_on),
            _schedule(chance, disbursed_on + timedelta(days=chance.randint(0, 20)), frequency),
            posted_at=posted(effective_on + timedelta(days=chance.choice([0, 0, 9]))),
        )
    _transactions(book, chance, loan_id, (disbursed_on, last), schedule)
    _attributes(book, chance, loan_id, disbursed_on, last)


def _schedule(chance, start, frequency):
    due_on = start + timedelta(days=chance.choice([0, STEPS[frequency], STEPS[frequency]]))
    rows = []
    for _ in range(1 if frequency == "bullet" else chance.randint(1, 7)):
        rows.append((str(due_on), _money(chance, 100), chance.choice(["0", "0.01", _money(chance, 20)])))
        due_on += timedelta(days=chance.choice([STEPS[frequency]] * 4 + [1, 0]))
    return rows


def _transactions(book, chance, loan_id, span, schedule):
    disbursed_on, last = span
    done = []
    for due_on, principal, interest in schedule:
        if chance.random() < 0.5:
            on = date.fromisoformat(due_on) + timedelta(days=chance.choice([-5, 0, 0, 0, 1, 40]))
            done.append(book.txn(loan_id, "repayment", str(on), principal, interest, posted_at=_posted(chance, on)))
    for _ in range(chance.randint(0, 6)):
        on = _day(chance, disbursed_on - timedelta(days=2), last)
        split = (_money(chance, 60), _money(chance, 9), _money(chance, 5))
        done.append(book.txn(loan_id, chance.choice(EVENTS), str(on), *split, posted_at=_posted(chance, on)))
    if chance.random() < 0.2:
        done.append(book.txn(loan_id, "disbursement", str(_day(chance, disbursed_on, last)), _money(chance, 50)))
    if chance.random() < 0.1:
        done.append(next(row["transaction_id"] for row in book.rows["transactions"] if row["loan_id"] == loan_id))
    chance.shuffle(done)
    for transaction_id in done[: chance.choice([0, 0, 1, 2, 3])]:
        on, undone = _day(chance, disbursed_on, last), transaction_id
        # Checks refuse the reversal of a reversal's reversal.
        for _ in range(chance.choice([1, 1, 1, 2])):
            undone = book.reverse(undone, str(on), posted_at=_posted(chance, on))
            on += timedelta(days=chance.choice([0, 3, 30]))


def _posted(chance, on):
    """When it was posted: mostly the same day, sometimes weeks later."""
    return posted(on + timedelta(days=chance.choice([0, 0, 0, 1, 25])))


def _attributes(book, chance, loan_id, disbursed_on, last):
    for number, on in enumerate(_some_days(chance, disbursed_on, last)):
        book.add(
            "modifications",
            modification_id=f"M{number}-{loan_id}",
            loan_id=loan_id,
            type="rate_reduction",
            effective_on=on,
            before_rate=chance.choice([None, Decimal("0.110000")]),
            after_rate=chance.choice([None, Decimal("0.090000"), Decimal("0.080000")]),
            posted_at=posted(on),
        )
    intervals = (
        ("officer_assignments", "officer_id", "released_on"),
        ("portfolio_membership", "portfolio_id", "removed_on"),
        ("loan_ownership", "investor_id", "removed_on"),
    )
    for table, holder, ends in intervals:
        days = _some_days(chance, disbursed_on - timedelta(days=1), last)
        for number, on in enumerate(days):
            following = days[number + 1] if number + 1 < len(days) else None
            ends_on = chance.choice([following, on + timedelta(days=2), on + timedelta(days=50)])
            if following and (ends_on is None or ends_on > following):
                ends_on = following
            names = {holder: f"{holder[0]}{chance.randint(1, 3)}", "assigned_on": on, ends: ends_on}
            if table == "portfolio_membership":
                names |= {"portfolio_name": names[holder], "method": "static"}
            if table == "loan_ownership":
                names |= {"investor_name": names[holder]}
            book.add(table, loan_id=loan_id, **names)


def _some_days(chance, first, last):
    return sorted({_day(chance, first, last) for _ in range(chance.choice([0, 0, 1, 2, 3]))})
