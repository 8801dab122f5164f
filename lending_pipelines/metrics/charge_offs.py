"""Charge-offs: the principal that they remove, the charge-off date of a loan, and later recoveries.

The rules apply to a loan's transactions that are not reversed by the day, in order of days; within a day, charge-offs
come last:

- A charge-off or write-off counts up to the principal outstanding.
- After the day of a charge-off, principal received above the principal outstanding is a recovery. After a day at whose
  end no principal is outstanding, all cash received is a recovery, regardless of its type in the source.

Few loans have charge-offs, and a charge-off depends on all earlier transactions. A Python function processes them.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from lending_pipelines.metrics import events
from lending_pipelines.metrics.money import ZERO, cents, from_cents, money

_EFFECTS = ibis.dtype(
    "array<struct<on: date, principal: int64, interest: int64, fees: int64, not_taken: int64, charged_off_on: date>>"
)
_SPLIT = ("principal", "interest", "fees")
_RELEVANT = ("disbursement", "capitalization", "waiver", "repayment", "refund", *events.CHARGE_OFFS)


def effects(transactions: ir.Table, last: date) -> ir.Table:
    """The effects of charge-offs on a loan's transactions by `last`, for each day with an effect.

    Returns:
        For loans with charge-offs: loan_id; on, the day; principal, interest and fees that become recoveries on that
        day; not_taken, the principal of charge-offs above the principal outstanding; and charged_off_on, the day from
        which the loan is fully charged off (null if it is not).
    """
    charged_off = transactions.filter(transactions.type.isin(events.CHARGE_OFFS)).select("loan_id").distinct()
    rows = events.signed(transactions, last, lambda rows: rows.semi_join(charged_off, "loan_id"))
    rows = rows.filter(rows.type.isin(_RELEVANT))
    loans = rows.group_by("loan_id").agg(
        on=rows.on.collect(),
        root_on=rows.root_on.collect(),
        type=rows.type.collect(),
        sign=rows.sign.cast("int64").collect(),
        **{name: cents(rows[name]).collect() for name in _SPLIT},
    )
    followed = loans.select(
        "loan_id",
        effect=_follow(loans.on, loans.root_on, loans.type, loans.sign, *(loans[name] for name in _SPLIT)),
    )
    followed = followed.mutate(effect=followed.effect.unnest())
    effect = followed.effect
    return followed.select(
        "loan_id",
        on=effect["on"],
        charged_off_on=effect["charged_off_on"],
        **{name: from_cents(effect[name]) for name in (*_SPLIT, "not_taken")},
    )


def level(effects: ir.Table, first: date, last: date) -> ir.Table:
    """The level of fully charged-off loans over the days first..last: loan_id, on, charged_off_on."""
    following = ibis.window(group_by="loan_id", order_by="on")
    until = ibis.coalesce(effects.on.lead().over(following), ibis.literal(last + timedelta(days=1)))
    rows = effects.mutate(until=until).filter(lambda row: row.until > first)
    return rows.select("loan_id", "charged_off_on", on=ibis.greatest(rows.on, ibis.literal(first)))


def counted(signed: ir.Table, effects: ir.Table) -> ir.Table:
    """The transactions of `events.signed`, with rows added for the `effects` of charge-offs."""
    own = {
        "on": effects.on,
        "root_on": effects.on,
        "channel": ibis.null("string"),
        "is_reversal": ibis.literal(False),
        "sign": ibis.literal(1, "int8"),
    }
    recovered = effects.select(
        "loan_id",
        *_SPLIT,
        **own,
        type=ibis.literal(events.RECOVERED_PAYMENT),
        amount=money(effects.principal + effects.interest + effects.fees),
    )
    not_taken = effects.select(
        "loan_id",
        **own,
        type=ibis.literal(events.CHARGE_OFFS[0]),
        principal=money(-effects.not_taken),
        interest=ZERO,
        fees=ZERO,
        amount=money(-effects.not_taken),
    )
    rows = ibis.union(recovered.select(*signed.columns), not_taken.select(*signed.columns))
    return ibis.union(signed, rows.filter(rows.amount != 0))


@dataclass(slots=True)
class _Booked:
    """The sums in cents of the transactions in force of one day and type; `number` is their count."""

    number: int = 0
    principal: int = 0
    interest: int = 0
    fees: int = 0


_NOTHING = _Booked()


@dataclass(frozen=True)
class _Effect:
    """The effects of charge-offs by a day in cents, and the day from which the loan is fully charged off."""

    principal: int = 0
    interest: int = 0
    fees: int = 0
    not_taken: int = 0
    charged_off_on: date | None = None


_DATES, _COUNTS = "array<date>", "array<int64>"


@ibis.udf.scalar.pyarrow(
    signature=((_DATES, _DATES, "array<string>", _COUNTS, _COUNTS, _COUNTS, _COUNTS), _EFFECTS),
)
def _follow(on, root_on, type, sign, principal, interest, fees):
    """For each row (a loan): the effects of its charge-offs on its transactions, for each day with an effect."""
    loans = zip(*(column.to_pylist() for column in (on, root_on, type, sign, principal, interest, fees)), strict=True)
    return pa.array([list(_changes(sorted(zip(*loan, strict=True)))) for loan in loans], type=_EFFECTS.to_pyarrow())


def _changes(transactions: list[tuple]) -> Iterator[dict]:
    booked: dict[date, dict[str, _Booked]] = defaultdict(lambda: defaultdict(_Booked))
    before, charged_off = _Effect(), False
    for index, (on, root_on, type, sign, *split) in enumerate(transactions):
        entry = booked[root_on][type]
        entry.number += sign
        entry.principal += sign * split[0]
        entry.interest += sign * split[1]
        entry.fees += sign * split[2]
        charged_off = charged_off or type in events.CHARGE_OFFS
        if not charged_off:
            continue
        if index + 1 < len(transactions) and transactions[index + 1][0] == on:
            continue
        now = _as_they_stand(booked)
        if now != before:
            amounts = (new - old for new, old in zip(astuple(now)[:4], astuple(before)[:4], strict=True))
            yield {
                "on": on,
                **dict(zip((*_SPLIT, "not_taken"), amounts, strict=True)),
                "charged_off_on": now.charged_off_on,
            }
        before = now


def _as_they_stand(booked: dict[date, dict[str, _Booked]]) -> _Effect:
    """The effects of a loan's charge-offs, from its transactions in order of days."""
    outstanding, principal, interest, fees, not_taken = 0, 0, 0, 0, 0
    since, any_before = None, False
    for day in sorted(booked):
        entries = booked[day]
        repaid, refunded = entries.get("repayment", _NOTHING), entries.get("refund", _NOTHING)
        received = repaid.principal - refunded.principal
        nothing_left = any_before and outstanding <= 0
        capitalized = entries.get("capitalization", _NOTHING)
        outstanding += entries.get("disbursement", _NOTHING).principal
        outstanding += capitalized.interest + capitalized.fees
        outstanding -= entries.get("waiver", _NOTHING).principal
        recovered = 0
        if nothing_left:
            recovered = received
            interest += repaid.interest - refunded.interest
            fees += repaid.fees - refunded.fees
        elif any_before:
            recovered = max(0, received - max(0, outstanding))
        principal += recovered
        outstanding -= received - recovered
        charge_offs = [entries[type] for type in events.CHARGE_OFFS if type in entries]
        charged = sum(entry.principal for entry in charge_offs)
        taken = min(charged, max(0, outstanding))
        outstanding -= taken
        not_taken += charged - taken
        any_before = any_before or sum(entry.number for entry in charge_offs) > 0
        since = (since or day) if any_before and outstanding <= 0 else None
    return _Effect(principal, interest, fees, not_taken, since)
