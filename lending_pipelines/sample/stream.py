"""The complete sample as a stream of tables, by chunks of loans. This module only calls the others in order."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from lending_pipelines.sample.accruals import Accruals
from lending_pipelines.sample.collecting import collections_tables
from lending_pipelines.sample.columns import NO_DAY, Ints, days, ids, instants, moment, money, table
from lending_pipelines.sample.compliance import house_checks, loan_checks
from lending_pipelines.sample.events import DISBURSEMENT, Events, posting_times, transactions_table
from lending_pipelines.sample.fees import charge_fees, fees_table, processing_fee
from lending_pipelines.sample.habits import NEVER, draw_habits
from lending_pipelines.sample.ledger import accounts_table, house_entries, transaction_entries
from lending_pipelines.sample.lender import Lender
from lending_pipelines.sample.life import Life
from lending_pipelines.sample.loans import (
    CHUNK,
    Loans,
    borrowers_table,
    draw_loans,
    loans_table,
    officer_assignments_table,
)
from lending_pipelines.sample.modifying import LONGEST_EXTENSION, Modifications, modifications_table, modify
from lending_pipelines.sample.platform import platform_tables
from lending_pipelines.sample.schedules import Schedule, level_schedule
from lending_pipelines.sample.spec import SampleSpec
from lending_pipelines.tables import SERVICING

Progress = Callable[[int, int], None]
"""Called after each chunk with the number of finished loans and of all loans."""

_OFFICE_CLOSES = 61_200
"""17:00 UTC in seconds. Changes of terms are posted at the end of the day on which they take effect."""


EMPTY_TABLES = ("delinquency_pauses", "loan_owners", "accruals")
"""The tables that are empty: this lender pauses no delinquency, and its servicing system knows no owners of loans and
accrues interest in the ledger only."""


@dataclass
class _Counters:
    """The next number of each kind of id, across all chunks."""

    transaction: int = 1
    fee: int = 1
    collections: Ints = field(default_factory=lambda: np.ones(2, dtype=np.int64))


def generate(spec: SampleSpec) -> Iterator[tuple[str, pa.Table]]:
    """Yield (servicing table, rows): many chunks per table, and every table at least once.

    The same spec gives the same rows. The chunks of a table are in key order. journal_lines and compliance_checks have
    the rows of loans before those of the lender.
    """
    lender, accruals, counters = Lender(spec), Accruals(spec), _Counters()
    yield from lender.tables()
    yield "gl_accounts", accounts_table()
    for name in EMPTY_TABLES:
        yield name, SERVICING[name].arrow_schema.empty_table()
    for chunk in range(-(-spec.loans // CHUNK)):
        yield from _chunk_tables(lender, chunk, accruals, counters)
    yield "journal_lines", accruals.journal()
    yield "journal_lines", house_entries(spec)
    yield "compliance_checks", house_checks(spec)


def write_sample(spec: SampleSpec, write: Callable[[str, pa.Table], None], progress: Progress | None) -> dict[str, int]:
    """Write the complete sample, chunk by chunk. Returns the rows per table."""
    counts = dict.fromkeys(SERVICING, 0)
    for name, rows in generate(spec):
        write(name, rows)
        counts[name] += rows.num_rows
        if name == "loans" and progress:
            progress(counts[name], spec.loans)
    return counts


def _chunk_tables(
    lender: Lender, chunk: int, accruals: Accruals, counters: _Counters
) -> Iterator[tuple[str, pa.Table]]:
    """The tables of a chunk of loans."""
    spec = lender.spec
    approved = draw_loans(lender, chunk)
    loans = approved.disbursed_only()
    schedule, changes, life = _lives(lender, loans, chunk)
    late = life.spells.arrays()
    random = spec.random("events", chunk)
    logged, fees = charge_fees(loans, life.log, late, random, spec)
    events = logged.ordered_until(spec.last_day)
    posted = posting_times(events, spec, random)
    numbers = counters.transaction + np.arange(len(posted))
    loan_ids = loans.ids
    settled_on = np.where(life.state.open, NO_DAY, life.state.last_event)
    accruals.add(loans, schedule, changes, events)

    everyone = np.full(len(approved.number), NO_DAY)
    everyone[: len(loans.number)] = settled_on
    changed = np.zeros(len(approved.number), dtype=np.int64)
    np.maximum.at(changed, events.loan, posted)
    changed_at = moment(changes.day, _OFFICE_CLOSES)
    known = changes.known(spec.last_day)
    changed[changes.loan[known]] = np.maximum(changed[changes.loan[known]], changed_at[known])
    yield "borrowers", borrowers_table(lender, approved, everyone)
    yield "loans", loans_table(lender, approved, changed)
    yield "officer_assignments", officer_assignments_table(lender, loans, settled_on)
    yield "installments", _installments(spec, loans, schedule, changes, events, posted, changed_at)
    yield "transactions", transactions_table(events, posted, loan_ids, numbers, random)
    fee_rows = fees_table(fees, loan_ids, counters.fee, spec.last_day, random)
    yield "fees", fee_rows
    yield "modifications", modifications_table(changes, loans, changed_at, spec.last_day)
    yield "journal_lines", transaction_entries(events, posted, numbers, loan_ids, loans.currency)
    payment = schedule.total[:, 0]
    work = dict(collections_tables(lender, loans, late, events, payment, counters.collections))
    yield from work.items()
    yield "compliance_checks", loan_checks(approved, spec.random("compliance", chunk))
    yield from platform_tables(spec, approved)
    counters.transaction += len(posted)
    counters.fee += fee_rows.num_rows
    counters.collections += [work["collection_contacts"].num_rows, work["promises_to_pay"].num_rows]


def _lives(lender: Lender, loans: Loans, chunk: int) -> tuple[Schedule, Modifications, Life]:
    """The loans' first schedules, their changes of terms, and their events."""
    random = lender.spec.random("life", chunk)
    width = int(loans.count.max(initial=1)) + LONGEST_EXTENSION
    schedule = level_schedule(loans.terms, loans.principal, loans.rate, loans.count, width)
    habits = draw_habits(lender, loans, schedule.due, random)
    life = Life(loans.principal, loans.disbursed, habits, random)
    life.live(schedule, np.zeros_like(loans.count), habits.modified_after)
    changes = modify(loans, schedule, life, random)
    current = schedule.replaced(changes.loan, changes.schedule)
    life.live(current, habits.modified_after, np.full_like(loans.count, NEVER))
    life.finish(current)
    return schedule, changes, life


def _installments(
    spec: SampleSpec,
    loans: Loans,
    schedule: Schedule,
    changes: Modifications,
    events: Events,
    posted: Ints,
    changed_at: Ints,
) -> pa.Table:
    """Both versions of the schedules, ordered by loan."""
    known = changes.known(spec.last_day)
    versions = schedule.stacked(changes.schedule.take(np.flatnonzero(known)))
    loan = np.append(np.arange(len(loans.number)), changes.loan[known])
    version = np.append(np.ones(len(loans.number), dtype=np.int64), np.full(int(known.sum()), 2))
    since = np.append(loans.disbursed, changes.day[known])
    paid_out = events.kind == DISBURSEMENT
    known_at = np.append(posted[paid_out], changed_at[known])
    order = np.lexsort((version, loan))
    row, period = np.nonzero(np.arange(versions.width) < versions.count[order][:, None])
    row = order[row]
    fee = np.where(period == 0, processing_fee(loans)[loan[row]], 0)
    return table(
        "installments",
        loan_id=ids("L", loans.number[loan[row]]),
        version=version[row],
        number=period + 1,
        due_on=days(versions.due[row, period]),
        principal=money(versions.principal[row, period]),
        interest=money(versions.interest[row, period]),
        fees=money(fee),
        effective_on=days(since[row]),
        posted_at=instants(known_at[row]),
    )
