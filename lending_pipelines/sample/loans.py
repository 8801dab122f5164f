"""The borrowers and loans of one chunk: borrowers, terms and responsible officers.

Events of the loans are in other modules.
"""

from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa

from lending_pipelines.sample.columns import (
    NO_DAY,
    Ints,
    days,
    ids,
    instants,
    labels,
    moment,
    money,
    pick,
    rates,
    table,
)
from lending_pipelines.sample.lender import CURRENCIES, DAY_COUNTS, FREQUENCIES, PRODUCTS, Lender, staff_ids
from lending_pipelines.sample.schedules import BULLET, Terms
from lending_pipelines.sample.spec import SampleSpec

CHUNK = 4096
"""The number of loans in a chunk. A loan's random numbers depend on its chunk, so another size gives another sample."""

BORROWERS_A_LOAN = 0.75
SEASONED_SHARE = 0.55
_SEGMENTS = ("micro", "small_business", "salaried", "self_employed", "farmer")
_PURPOSES = ("working_capital", "equipment", "vehicle", "education", "home_improvement", "inventory", "agriculture")
_FROM_PRODUCT = {
    "share": np.array([p.share for p in PRODUCTS]),
    "low": np.array([p.amounts[0] for p in PRODUCTS]),
    "high": np.array([p.amounts[1] for p in PRODUCTS]),
    "low_rate": np.array([p.rates[0] for p in PRODUCTS]),
    "high_rate": np.array([p.rates[1] for p in PRODUCTS]),
    "day_count": np.array([DAY_COUNTS.index(p.day_count) for p in PRODUCTS]),
    "secured": np.array([p.secured for p in PRODUCTS]),
}
_PURPOSE_BY_PRODUCT = np.array([[0, 5, 1], [0, 5, 4], [3, 4, 3], [2, 2, 2], [0, 5, 1], [6, 6, 1]])


@dataclass(frozen=True)
class Loans:
    """Loans as arrays. Codes are indexes of PRODUCTS, CURRENCIES, FREQUENCIES, DAY_COUNTS and the lender's branches.

    Approved loans that are not yet disbursed come last; their `disbursed` is NO_DAY.
    """

    number: Ints
    borrower: Ints
    product: Ints
    branch: Ints
    seat: Ints
    currency: Ints
    principal: Ints
    rate: Ints
    day_count: Ints
    count: Ints
    frequency: Ints
    bullet_months: Ints
    approved: Ints
    disbursed: Ints
    score: Ints
    purpose: Ints
    collateral: Ints

    def disbursed_only(self) -> "Loans":
        """The loans without those that are not yet disbursed."""
        size = int((self.disbursed < NO_DAY).sum())
        return Loans(*(getattr(self, field.name)[:size] for field in fields(self)))

    @property
    def ids(self) -> pa.Array:
        """loan_id of each loan."""
        return ids("L", self.number)

    @property
    def terms(self) -> Terms:
        """The inputs of the schedules."""
        return Terms(self.disbursed, self.frequency, self.bullet_months, self.day_count)

    def officer(self, lender: Lender, day: Ints) -> Ints:
        """The staff number of the officer in the loan's seat on the day."""
        later = day >= lender.handovers[self.branch, self.seat]
        return lender.officers[self.branch, self.seat, later.astype(np.int64)]


def draw_loans(lender: Lender, chunk: int) -> Loans:
    """Draw the loans of a chunk."""
    spec, random = lender.spec, lender.spec.random("loans", chunk)
    size = min(CHUNK, spec.loans - chunk * CHUNK)
    borrowers = borrower_count(size)
    home = pick(random, borrowers, lender.branch_shares)
    whose = np.concatenate([random.permutation(borrowers), random.integers(0, borrowers, size - borrowers)])
    whose = random.permutation(whose)
    product = pick(random, size, _FROM_PRODUCT["share"])
    branch = home[whose]
    score = np.clip(np.rint(random.normal(690, 55, size)), 480, 840).astype(np.int64)
    low_rate, high_rate = _FROM_PRODUCT["low_rate"][product], _FROM_PRODUCT["high_rate"][product]
    riskier = np.clip((780 - score) / 250 + random.normal(0, 0.1, size), 0, 1)
    low, high = _FROM_PRODUCT["low"][product], _FROM_PRODUCT["high"][product]
    principal = np.rint(low * (high / low) ** random.random(size) / 50).astype(np.int64) * 5_000
    frequency, term = _frequency_and_term(product, random)
    approved, disbursed = _dates(spec, size, random)
    secured = _FROM_PRODUCT["secured"][product]
    collateral = np.rint(principal * random.uniform(1.05, 1.8, size) / 10_000).astype(np.int64) * 10_000
    return Loans(
        number=chunk * CHUNK + np.arange(size) + 1,
        borrower=chunk * borrower_count(CHUNK) + whose + 1,
        product=product,
        branch=branch,
        seat=_seats(lender, branch, random),
        currency=lender.branch_currency[branch],
        principal=principal,
        rate=np.rint((low_rate + (high_rate - low_rate) * riskier) * 400).astype(np.int64) * 2_500,
        day_count=_FROM_PRODUCT["day_count"][product],
        count=np.where(frequency == BULLET, 1, term),
        frequency=frequency,
        bullet_months=np.where(frequency == BULLET, term, 0),
        approved=approved,
        disbursed=disbursed,
        score=np.where(random.random(size) < 0.06, -1, score),
        purpose=_PURPOSE_BY_PRODUCT[product, random.integers(0, 3, size)],
        collateral=np.where(secured, collateral, -1),
    )


def _seats(lender: Lender, branch: Ints, random: np.random.Generator) -> Ints:
    """The officer seat of each loan. In a healthy book the small branch in euros has only one."""
    seats = random.integers(0, lender.seats, len(branch))
    alone = (lender.branch_currency[branch] > 0) & (lender.spec.book == "healthy")
    return np.where(alone, 0, seats)


def borrower_count(loans: int) -> int:
    """The number of borrowers for this number of loans."""
    return int(np.ceil(loans * BORROWERS_A_LOAN))


def borrowers_table(lender: Lender, loans: Loans, settled_on: Ints) -> pa.Table:
    """The borrowers of a chunk. Some leave after their last loan is settled; settled_on is NO_DAY for open loans."""
    spec = lender.spec
    random = spec.random("borrowers", int(loans.number[0]))
    numbers, first_loan, place = np.unique(loans.borrower, return_index=True, return_inverse=True)
    joined = np.full(len(numbers), NO_DAY)
    np.minimum.at(joined, place, loans.approved)
    done = np.zeros(len(numbers), dtype=np.int64)
    np.maximum.at(done, place, settled_on)
    left = done + random.integers(1, 120, len(numbers))
    leaves = (random.random(len(numbers)) < 0.3) & (left <= spec.last_day)
    return table(
        "borrowers",
        borrower_id=borrower_ids(numbers),
        branch_id=ids("B", loans.branch[first_loan] + 1, 3),
        segment=labels(_SEGMENTS, random.integers(0, len(_SEGMENTS), len(numbers))),
        joined_on=days(joined - random.integers(0, 200, len(numbers))),
        left_on=days(np.where(leaves, left, NO_DAY)),
    )


def borrower_ids(numbers: Ints) -> pa.Array:
    """borrower_id by number; null for a negative one."""
    return ids("C", numbers)


def loans_table(lender: Lender, loans: Loans, changed: Ints) -> pa.Table:
    """The loans. `changed` is the time of the last change in microseconds, or 0."""
    random = lender.spec.random("loan rows", int(loans.number[0]))
    size = len(loans.number)
    posted = moment(loans.approved, random.integers(8 * 3600, 18 * 3600, size))
    pending = loans.disbursed >= NO_DAY
    start = np.where(pending, 0, loans.disbursed)
    terms = Terms(start, loans.frequency, loans.bullet_months, loans.day_count)
    ends = np.where(pending[:, None], NO_DAY, terms.due_dates(np.column_stack([np.ones_like(start), loans.count])))
    taken_by = loans.officer(lender, np.where(pending, loans.approved, loans.disbursed))
    regions = [region for _, region in lender.branches]
    return table(
        "loans",
        loan_id=loans.ids,
        borrower_id=borrower_ids(loans.borrower),
        product_id=labels([p.product_id for p in PRODUCTS], loans.product),
        branch_id=ids("B", loans.branch + 1, 3),
        officer_id=staff_ids(taken_by),
        currency=labels(CURRENCIES, loans.currency),
        principal=money(loans.principal),
        annual_rate=rates(loans.rate),
        day_count=labels(DAY_COUNTS, loans.day_count),
        term_count=loans.count,
        payment_frequency=labels(FREQUENCIES, loans.frequency),
        approved_on=days(loans.approved),
        disbursed_on=days(loans.disbursed),
        first_due_on=days(ends[:, 0]),
        matures_on=days(ends[:, 1]),
        purpose=labels(_PURPOSES, loans.purpose),
        collateral_value=money(loans.collateral, loans.collateral >= 0),
        credit_score=pa.array(loans.score, mask=loans.score < 0),
        region=labels(regions, loans.branch),
        posted_at=instants(posted),
        updated_at=instants(np.maximum(posted, changed)),
    )


def officer_assignments_table(lender: Lender, loans: Loans, settled_on: Ints) -> pa.Table:
    """The officer of each disbursed loan: the holder of its seat, until a handover while the loan was open."""
    handover = lender.handovers[loans.branch, loans.seat]
    passed = (handover > loans.disbursed) & (handover < settled_on) & (handover <= lender.spec.last_day)
    rows = np.concatenate([np.arange(len(passed)), np.flatnonzero(passed)])
    since = np.concatenate([loans.disbursed, handover[passed]])
    first = loans.officer(lender, loans.disbursed)
    second = lender.officers[loans.branch, loans.seat, 1]
    officer = np.concatenate([first, second[passed]])
    until = np.concatenate([np.where(passed, handover, NO_DAY), np.full(int(passed.sum()), NO_DAY)])
    order = np.lexsort((since, rows))
    return table(
        "officer_assignments",
        loan_id=ids("L", loans.number[rows[order]]),
        assigned_on=days(since[order]),
        officer_id=staff_ids(officer[order]),
        released_on=days(until[order]),
    )


def _frequency_and_term(product: Ints, random: np.random.Generator) -> tuple[Ints, Ints]:
    """A random payment frequency and term of each loan, from those of its product."""
    frequency, term = np.zeros_like(product), np.zeros_like(product)
    for code, kind in enumerate(PRODUCTS):
        rows = np.flatnonzero(product == code)
        frequencies = [FREQUENCIES.index(name) for name in kind.frequencies]
        frequency[rows] = random.choice(frequencies, len(rows))
        term[rows] = random.choice(kind.terms, len(rows))
    return frequency, term


def _dates(spec: SampleSpec, size: int, random: np.random.Generator) -> tuple[Ints, Ints]:
    """The days of approval and disbursement. The last loans are approved and not yet disbursed."""
    seasoned = random.permutation(size) < round(SEASONED_SHARE * size)
    disbursed = np.where(
        seasoned,
        random.integers(spec.history_day, spec.first_day, size),
        random.integers(spec.first_day, spec.last_day + 1, size),
    )
    approved = disbursed - random.integers(1, 13, size)
    waiting = size // 100 + (size > 1)
    pending = np.arange(size) >= size - waiting
    approved = np.where(pending, spec.last_day - random.integers(0, 15, size), approved)
    return approved, np.where(pending, NO_DAY, disbursed)
