"""The peer lending platform: users, wallets, offers and requests, and gateway payments."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from lending_pipelines.sample.columns import (
    DAY_MICROSECONDS,
    NO_DAY,
    Ints,
    days,
    ids,
    instants,
    labels,
    moment,
    money,
    pick,
    table,
)
from lending_pipelines.sample.lender import CURRENCIES
from lending_pipelines.sample.loans import CHUNK, Loans, borrower_ids
from lending_pipelines.sample.spec import SampleSpec

_ASSETS = (*CURRENCIES, "USDC")
_SEGMENTS = ("borrower", "retail_investor", "institutional_investor")
_STATUSES = ("open", "completed", "cancelled")
_OPEN, _COMPLETED, _CANCELLED = range(len(_STATUSES))
_PAYMENT_STATUSES = ("pending", "verified", "failed")
_PENDING = 0
_BORROWERS_ON_PLATFORM = 0.4
_INVESTORS_A_LOAN = 0.05
_SECOND_WALLET_SHARE = 0.2
_MOST_MOVEMENTS = 6
_MOST_TICKETS = 3
_MOST_PAYMENTS = 4


def platform_tables(spec: SampleSpec, loans: Loans) -> Iterator[tuple[str, pa.Table]]:
    """The platform's tables for the borrowers of a chunk and a share of the investors."""
    chunk = int(loans.number[0]) // CHUNK
    random = spec.random("platform", chunk)
    borrowers = np.unique(loans.borrower)
    members = borrowers[random.random(len(borrowers)) < _BORROWERS_ON_PLATFORM]
    investors = int(np.ceil(len(loans.number) * _INVESTORS_A_LOAN))
    borrower = np.append(members, np.full(investors, -1))
    size = len(borrower)
    user = chunk * 2 * CHUNK + np.arange(size) + 1
    joined = random.integers(spec.history_day, spec.last_day + 1, size)
    invests = borrower < 0
    segment = np.where(invests, 1 + pick(random, size, (0.9, 0.1)), 0)
    yield (
        "users",
        table(
            "users",
            user_id=ids("U", user),
            borrower_id=borrower_ids(borrower),
            segment=labels(_SEGMENTS, segment),
            joined_on=days(joined),
        ),
    )
    yield from _wallets(user, joined, spec, random)
    yield "tickets", _tickets(user, joined, invests, spec, random)
    yield "gateway_payments", _gateway_payments(user, joined, spec, random)


def _wallets(user: Ints, joined: Ints, spec: SampleSpec, random: np.random.Generator) -> Iterator[tuple[str, pa.Table]]:
    """The wallets of the users, one or two each, and their movements."""
    asset = pick(random, len(user), (0.85, 0.05, 0.1))
    second = np.flatnonzero(random.random(len(user)) < _SECOND_WALLET_SHARE)
    owner = np.append(np.arange(len(user)), second)
    asset = np.append(asset, (asset[second] + 1) % len(_ASSETS))
    number = user[owner] * 2 - 1 + (np.arange(len(owner)) >= len(user))
    yield (
        "wallets",
        table(
            "wallets",
            wallet_id=ids("W", number),
            user_id=ids("U", user[owner]),
            asset_type=labels(_ASSETS, asset),
            opened_on=days(joined[owner]),
        ),
    )
    wallet, order = _several(len(owner), _MOST_MOVEMENTS, random)
    moved = random.integers(1_000, 200_000, len(wallet))
    # Every third movement withdraws half of the previous deposit, so no wallet is below zero.
    takes_out = order % 3 == 2
    amount = np.where(takes_out, -(np.roll(moved, 1) // 2), moved)
    day = _spread(joined[owner[wallet]], order, _MOST_MOVEMENTS, spec)
    yield (
        "wallet_transactions",
        table(
            "wallet_transactions",
            wallet_transaction_id=ids("WT", number[wallet] * _MOST_MOVEMENTS + order, 10),
            wallet_id=ids("W", number[wallet]),
            amount=money(amount),
            occurred_at=instants(moment(day, random.integers(0, 20_000, len(day)) + order * 10_000)),
        ),
    )


def _tickets(user: Ints, joined: Ints, invests: np.ndarray, spec: SampleSpec, random: np.random.Generator) -> pa.Table:
    row, order = _several(len(user), _MOST_TICKETS, random)
    opened = _spread(joined[row], order, _MOST_TICKETS, spec)
    status = pick(random, len(row), (0.15, 0.7, 0.15))
    closed = opened + random.integers(0, 30, len(row))
    status = np.where(closed > spec.last_day, _OPEN, status)
    return table(
        "tickets",
        ticket_id=ids("TK", user[row] * _MOST_TICKETS + order, 10),
        user_id=ids("U", user[row]),
        asset_type=labels(_ASSETS, pick(random, len(row), (0.85, 0.05, 0.1))),
        side=labels(("lend", "borrow"), np.where(invests[row], 0, 1)),
        amount=money(random.integers(2, 400, len(row)) * 5_000),
        status=labels(_STATUSES, status),
        opened_on=days(opened),
        closed_on=days(np.where(status == _OPEN, NO_DAY, closed)),
    )


def _gateway_payments(user: Ints, joined: Ints, spec: SampleSpec, random: np.random.Generator) -> pa.Table:
    row, order = _several(len(user), _MOST_PAYMENTS, random)
    number = user[row] * _MOST_PAYMENTS + order
    day = _spread(joined[row], order, _MOST_PAYMENTS, spec)
    status = pick(random, len(row), (0.02, 0.92, 0.06))
    # Verification takes hours, not days: pending payments are of the last day.
    day = np.where(status == _PENDING, spec.last_day, day)
    return table(
        "gateway_payments",
        payment_id=ids("GP", number, 10),
        user_id=ids("U", user[row]),
        amount=money(random.integers(500, 150_000, len(row))),
        currency=labels(CURRENCIES, pick(random, len(row), (0.95, 0.05))),
        status=labels(_PAYMENT_STATUSES, status),
        paid_at=instants(day * DAY_MICROSECONDS + random.integers(0, DAY_MICROSECONDS, len(row))),
        reference=ids("GW", number, 10),
    )


def _several(size: int, most: int, random: np.random.Generator) -> tuple[Ints, Ints]:
    """(row, order): 0 to most - 1 items per row, in order."""
    times = random.integers(0, most, size)
    row = np.repeat(np.arange(size), times)
    return row, np.arange(len(row)) - np.repeat(times.cumsum() - times, times)


def _spread(since: Ints, order: Ints, most: int, spec: SampleSpec) -> Ints:
    """Days between `since` and the last day, in order."""
    return since + (spec.last_day - since) * (order + 1) // (most + 1)
