"""Changes of loan terms: each creates a complete new schedule version, and some capitalize or forgive amounts.

A changed schedule includes all principal disbursed and capitalized: a borrower who pays all of it owes nothing.
habits.py decides which loans are changed, and how.
"""

from dataclasses import dataclass, fields

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
"""The maximum number of payments that a term extension adds."""

_FOR_ARREARS = (CAPITALIZATION, FORGIVENESS, REAGE)


@dataclass(frozen=True)
class Modifications:
    """The changes in a chunk, at most one per loan, and the new schedules, one row per change."""

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
        """The changes in force by last_day."""
        return self.day <= last_day


@dataclass(frozen=True)
class _Cases:
    """The changes to make: the loan, the number of its past installments, and its state."""

    loan: Ints
    past: Ints
    day: Ints
    kind: Ints
    outstanding: Ints
    interest_settled: Ints
    principal_settled: Ints
    late_interest: Ints
    late_principal: Ints

    def where(self, chosen: np.ndarray) -> "_Cases":
        """The chosen cases."""
        return _Cases(*(getattr(self, field.name)[chosen] for field in fields(self)))


def modify(loans: Loans, schedule: Schedule, life: Life, random: np.random.Generator) -> Modifications:
    """Change the terms of open loans, by their habits and state."""
    cases = _cases(schedule, life, random)
    _move_money(life, cases)
    count = loans.count[cases.loan]
    size = len(count)
    extension = random.integers(3, LONGEST_EXTENSION + 1, size)
    count = count + np.where(cases.kind == TERM_EXTENSION, extension, 0)
    before_rate = loans.rate[cases.loan]
    reduced = before_rate * random.integers(60, 86, size) // 100
    rate = np.where(cases.kind == RATE_REDUCTION, reduced, before_rate)
    kept = _past(schedule.take(cases.loan), cases)
    future = _future(loans, kept, cases, count, rate, random)
    new = _joined(kept, future, cases.past, count)
    place = np.arange(size)
    return Modifications(
        loan=cases.loan,
        kind=cases.kind,
        day=cases.day,
        before_rate=before_rate,
        after_rate=rate,
        before_count=loans.count[cases.loan],
        after_count=count,
        before_payment=schedule.total[cases.loan, cases.past],
        after_payment=new.total[place, cases.past],
        before_principal=cases.outstanding,
        after_principal=life.state.outstanding[cases.loan],
        schedule=new,
    )


def _cases(schedule: Schedule, life: Life, random: np.random.Generator) -> _Cases:
    """The changes of open loans by their habits, without those that do not suit the state of the loan."""
    habits, state = life.habits, life.state
    loan = np.flatnonzero((habits.modified_after < schedule.count) & state.open)
    past = habits.modified_after[loan]
    interest_due = schedule.cumulative_interest[loan, past - 1]
    principal_due = schedule.cumulative[loan, past - 1] - interest_due
    cases = _Cases(
        loan=loan,
        past=past,
        day=np.maximum(schedule.due[loan, past - 1] + random.integers(1, 5, len(loan)), state.last_event[loan] + 1),
        kind=habits.modification[loan],
        outstanding=state.outstanding[loan],
        interest_settled=state.interest[loan],
        principal_settled=state.principal[loan],
        late_interest=interest_due - state.interest[loan],
        late_principal=principal_due - state.principal[loan],
    )
    in_arrears = (cases.late_principal > 0) & (cases.late_interest > 0)
    suits = in_arrears | ~np.isin(cases.kind, _FOR_ARREARS)
    return cases.where(suits & (cases.day < schedule.due[loan, past]))


def _move_money(life: Life, cases: _Cases) -> None:
    """Capitalize or forgive arrears if the change requires it, and end the delinquency of loans that become current."""
    state, loan = life.state, cases.loan
    capitalized = np.where(cases.kind == CAPITALIZATION, cases.late_interest, 0)
    forgiven_interest = np.where(cases.kind == FORGIVENESS, cases.late_interest, 0)
    forgiven = np.where(cases.kind == FORGIVENESS, cases.late_principal, 0)
    with_capital, with_waiver = capitalized > 0, forgiven > 0
    life.log.add(loan[with_capital], CAPITALIZED, cases.day[with_capital], interest=capitalized[with_capital])
    life.log.add(
        loan[with_waiver], WAIVER, cases.day[with_waiver], forgiven[with_waiver], forgiven_interest[with_waiver]
    )
    state.interest[loan] += capitalized + forgiven_interest
    state.principal[loan] += forgiven
    state.outstanding[loan] += capitalized - forgiven
    state.last_event[loan] = cases.day
    since = state.behind_since[loan]
    cured = (since < cases.day) & np.isin(cases.kind, _FOR_ARREARS)
    life.spells.add(loan[cured], since[cured], cases.day[cured])
    state.behind_since[loan[cured]] = NO_DAY


def _past(schedule: Schedule, cases: _Cases) -> Schedule:
    """The installments up to the change: unchanged, or only their settled amount if arrears are moved."""
    gone = np.arange(schedule.width) < cases.past[:, None]
    principal, interest = np.where(gone, schedule.principal, 0), np.where(gone, schedule.interest, 0)
    moves_principal = np.isin(cases.kind, (CAPITALIZATION, REAGE))[:, None]
    moves_interest = (cases.kind == REAGE)[:, None]
    principal = np.where(moves_principal, _settled_of(principal, cases.principal_settled), principal)
    interest = np.where(moves_interest, _settled_of(interest, cases.interest_settled), interest)
    return Schedule(schedule.start, cases.past, np.where(gone, schedule.due, NO_DAY), principal, interest)


def _settled_of(amounts: Ints, settled: Ints) -> Ints:
    """The settled part of each amount, oldest first."""
    before = amounts.cumsum(axis=1) - amounts
    return np.clip(settled[:, None] - before, 0, amounts)


def _future(
    loans: Loans, kept: Schedule, cases: _Cases, count: Ints, rate: Ints, random: np.random.Generator
) -> Schedule:
    """New level payments for the rest of the debt, in columns from 0."""
    size = len(count)
    row = np.arange(size)
    terms = loans.terms.take(cases.loan)
    coming = count - cases.past
    shift = np.where(cases.kind == DEFERRAL, random.integers(1, 4, size), 0)
    pause = np.minimum(random.integers(2, 5, size), coming - 1)
    ahead = np.broadcast_to(np.arange(kept.width), kept.due.shape)
    in_use = ahead < coming[:, None]
    due = np.where(in_use, terms.due_dates(ahead + 1 + (cases.past + shift)[:, None]), NO_DAY)
    begin = np.column_stack([kept.due[row, cases.past - 1], due[:, :-1]])
    capitalized = np.where(cases.kind == CAPITALIZATION, cases.late_interest, 0)
    balance = loans.principal[cases.loan] + capitalized - kept.principal.sum(axis=1)
    interest_only = np.where(cases.kind == FORBEARANCE, pause, 0)
    principal, interest = amortise(terms, balance, rate, coming, begin, due, interest_only)
    # Reaging spreads the interest in arrears over the future payments.
    spread = np.where(cases.kind == REAGE, cases.late_interest, 0)
    each = spread // coming
    interest += np.where(in_use, each[:, None], 0)
    interest[row, coming - 1] += spread - each * coming
    return Schedule(begin[:, 0], coming, due, principal, interest)


def _joined(kept: Schedule, future: Schedule, past: Ints, count: Ints) -> Schedule:
    """The kept installments followed by the future ones."""
    row, column = np.nonzero(np.arange(future.width) < future.count[:, None])
    place, source = (row, column + past[row]), (row, column)
    due, principal, interest = kept.due.copy(), kept.principal.copy(), kept.interest.copy()
    due[place], principal[place], interest[place] = (
        future.due[source],
        future.principal[source],
        future.interest[source],
    )
    return Schedule(kept.start, count, due, principal, interest)


def modifications_table(changes: Modifications, loans: Loans, posted: Ints, last_day: int) -> pa.Table:
    """The changes known by last_day; `posted` is the posting time of each."""
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
