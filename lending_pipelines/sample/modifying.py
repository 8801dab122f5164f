"""Changes of loan terms: each gives the loan a new complete schedule version, and some move money.

A changed schedule adds up so that a borrower who pays all of it owes nothing: its principal is the principal disbursed
and capitalized. Which loans are changed, and how, is drawn in habits.py.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lending_pipelines.sample.columns import NO_DAY, Ints, days, ids, instants, labels, money, rates, table
from lending_pipelines.sample.events import CAPITALIZATION as CAPITALIZED
from lending_pipelines.sample.events import WAIVER
from lending_pipelines.sample.habits import (
    CAPITALIZATION,
    DEFERRAL,
    FORBEARANCE,
    FORGIVENESS,
    MODIFICATIONS,
    RATE_REDUCTION,
    REAGE,
    TERM_EXTENSION,
)
from lending_pipelines.sample.life import Life
from lending_pipelines.sample.loans import Loans
from lending_pipelines.sample.schedules import Schedule, amortise

LONGEST_EXTENSION = 12


@dataclass(frozen=True)
class Modifications:
    """The changes made in a chunk, one a loan at most, and the new schedules, a row each."""

    loan: Ints
    kind: Ints
    day: Ints
    before_rate: Ints
    after_rate: Ints
    before_count: Ints
    after_count: Ints
    before_payment: Ints
    after_payment: Ints
    before_principal: Ints
    after_principal: Ints
    schedule: Schedule

    def known(self, last_day: int) -> np.ndarray:
        """Which of the changes were in force by last_day."""
        return self.day <= last_day


def modify(loans: Loans, schedule: Schedule, life: Life, random: np.random.Generator) -> Modifications:
    """Change the terms of the loans whose habits say so and that are open and in the state that the change is for."""
    habits, state = life.habits, life.state
    rows = np.flatnonzero((habits.modified_after < schedule.count) & state.open)
    past = habits.modified_after[rows]
    last_due, next_due = schedule.due[rows, past - 1], schedule.due[rows, past]
    day = np.maximum(last_due + 1 + random.integers(0, 4, len(rows)), state.last_event[rows] + 1)
    kind = habits.modification[rows]
    principal_due = schedule.cumulative[rows, past - 1] - schedule.cumulative_interest[rows, past - 1]
    late_principal = principal_due - state.principal[rows]
    late_interest = schedule.cumulative_interest[rows, past - 1] - state.interest[rows]
    in_arrears = (late_principal > 0) & (late_interest > 0)
    suits = (day < next_due) & (in_arrears | ~np.isin(kind, (CAPITALIZATION, FORGIVENESS, REAGE)))
    rows, past, day, kind = rows[suits], past[suits], day[suits], kind[suits]
    late_principal, late_interest = late_principal[suits], late_interest[suits]
    before_principal = state.outstanding[rows].copy()
    settled = state.interest[rows].copy(), state.principal[rows].copy()
    _move_money(life, rows, day, kind, late_principal, late_interest)
    return _new_terms(
        loans,
        schedule,
        rows,
        past,
        day,
        kind,
        settled,
        late_interest,
        before_principal,
        state.outstanding[rows],
        random,
    )


def _move_money(life: Life, rows: Ints, day: Ints, kind: Ints, late_principal: Ints, late_interest: Ints) -> None:
    """Capitalize or forgive the arrears, where that is the change, and end the time behind of loans made current."""
    state = life.state
    capitalizes, forgives = kind == CAPITALIZATION, kind == FORGIVENESS
    life.log.add(rows[capitalizes], CAPITALIZED, day[capitalizes], interest=late_interest[capitalizes])
    life.log.add(rows[forgives], WAIVER, day[forgives], late_principal[forgives], late_interest[forgives])
    state.interest[rows] += np.where(capitalizes | forgives, late_interest, 0)
    state.principal[rows] += np.where(forgives, late_principal, 0)
    state.outstanding[rows] += np.where(capitalizes, late_interest, np.where(forgives, -late_principal, 0))
    state.last_event[rows] = day
    since = state.behind_since[rows]
    cured = (since < day) & np.isin(kind, (CAPITALIZATION, FORGIVENESS, REAGE))
    life.spells.add(rows[cured], since[cured], day[cured])
    state.behind_since[rows[cured]] = NO_DAY


def _new_terms(
    loans: Loans,
    schedule: Schedule,
    rows: Ints,
    past: Ints,
    day: Ints,
    kind: Ints,
    settled: tuple[Ints, Ints],
    late_interest: Ints,
    before_principal: Ints,
    after_principal: Ints,
    random: np.random.Generator,
) -> Modifications:
    size = len(rows)
    shift = np.where(kind == DEFERRAL, random.integers(1, 4, size), 0)
    extension = np.where(kind == TERM_EXTENSION, random.integers(3, LONGEST_EXTENSION + 1, size), 0)
    after_rate = np.where(kind == RATE_REDUCTION, loans.rate[rows] * random.integers(60, 86, size) // 100, 0)
    after_rate = np.where(kind == RATE_REDUCTION, after_rate, loans.rate[rows])
    count = loans.count[rows] + extension
    interest_only = np.where(kind == FORBEARANCE, np.minimum(random.integers(2, 5, size), count - past - 1), 0)
    kept = _past(schedule.take(rows), past, kind, settled)
    capitalized = np.where(kind == CAPITALIZATION, late_interest, 0)
    balance = loans.principal[rows] + capitalized - kept.principal.sum(axis=1)
    spread = np.where(kind == REAGE, late_interest, 0)
    new = _with_future(loans, kept, rows, past, count, shift, after_rate, interest_only, balance, spread)
    place = np.arange(size)
    return Modifications(
        loan=rows,
        kind=kind,
        day=day,
        before_rate=loans.rate[rows],
        after_rate=after_rate,
        before_count=loans.count[rows],
        after_count=count,
        before_payment=schedule.total[rows, past],
        after_payment=new.total[place, past],
        before_principal=before_principal,
        after_principal=after_principal,
        schedule=new,
    )


def _past(schedule: Schedule, past: Ints, kind: Ints, settled: tuple[Ints, Ints]) -> Schedule:
    """The installments up to the change: as they were, or, where arrears move on, only what was settled of them."""
    interest_settled, principal_settled = settled
    gone = np.arange(schedule.width) < past[:, None]
    principal, interest = np.where(gone, schedule.principal, 0), np.where(gone, schedule.interest, 0)
    moves_principal = np.isin(kind, (CAPITALIZATION, REAGE))[:, None]
    moves_interest = (kind == REAGE)[:, None]
    principal = np.where(moves_principal, _settled_of(principal, principal_settled), principal)
    interest = np.where(moves_interest, _settled_of(interest, interest_settled), interest)
    return Schedule(schedule.start, past, np.where(gone, schedule.due, NO_DAY), principal, interest)


def _settled_of(amounts: Ints, settled: Ints) -> Ints:
    """How much of each amount is settled, the oldest first."""
    before = amounts.cumsum(axis=1) - amounts
    return np.clip(settled[:, None] - before, 0, amounts)


def _with_future(
    loans: Loans,
    kept: Schedule,
    rows: Ints,
    past: Ints,
    count: Ints,
    shift: Ints,
    rate: Ints,
    interest_only: Ints,
    balance: Ints,
    spread: Ints,
) -> Schedule:
    """The kept past with new level payments after it; `spread` is interest that is shared out over these."""
    terms = loans.terms.take(rows)
    coming = count - past
    ahead = np.broadcast_to(np.arange(kept.width), kept.due.shape)
    due = np.where(ahead < coming[:, None], terms.due_dates(ahead + 1 + (past + shift)[:, None]), NO_DAY)
    last_due = kept.due[np.arange(len(rows)), past - 1]
    begin = np.column_stack([last_due, due[:, :-1]])
    principal, interest = amortise(terms, balance, rate, coming, begin, due, interest_only)
    each = spread // coming
    interest += np.where(ahead < coming[:, None], each[:, None], 0)
    interest[np.arange(len(rows)), coming - 1] += spread - each * coming
    full_due, full_principal, full_interest = kept.due.copy(), kept.principal.copy(), kept.interest.copy()
    row, column = np.nonzero(ahead < coming[:, None])
    place = row, column + past[row]
    full_due[place] = due[row, column]
    full_principal[place] += principal[row, column]
    full_interest[place] += interest[row, column]
    return Schedule(kept.start, count, full_due, full_principal, full_interest)


def modifications_table(changes: Modifications, loans: Loans, posted: Ints, last_day: int) -> pa.Table:
    """The changes known by last_day; `posted` is when each became known."""
    known = changes.known(last_day)
    numbers = loans.number[changes.loan[known]]
    return table(
        "modifications",
        modification_id=ids("M", numbers),
        loan_id=ids("L", numbers),
        type=labels(MODIFICATIONS, changes.kind[known]),
        effective_on=days(changes.day[known]),
        before_rate=rates(changes.before_rate[known]),
        after_rate=rates(changes.after_rate[known]),
        before_term=changes.before_count[known],
        after_term=changes.after_count[known],
        before_payment=money(changes.before_payment[known]),
        after_payment=money(changes.after_payment[known]),
        before_principal=money(changes.before_principal[known]),
        after_principal=money(changes.after_principal[known]),
        posted_at=instants(posted[known]),
    )
