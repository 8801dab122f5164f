"""Charge-offs: the principal that they remove, the charge-off date of a loan, and later recoveries.

The rules apply to a loan's transactions that are not reversed by the day, in order of days; within a day, charge-offs
come last:

- A charge-off or write-off counts up to the principal outstanding.
- After the day of a charge-off, principal received above the principal outstanding is a recovery. After a day at whose
  end no principal is outstanding, all cash received is a recovery, regardless of its type in the source.

Few loans have charge-offs, and a charge-off depends on all earlier transactions. A Python function processes them.
"""

import math
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from itertools import groupby, islice
from operator import itemgetter
from typing import NamedTuple

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from lending_pipelines.metrics import events
from lending_pipelines.metrics.money import ZERO, as_count, cents, from_cents, money

_EFFECTS = ibis.dtype(
    "array<struct<on: date, principal: int64, interest: int64, fees: int64, not_taken: int64, charged_off_on: date>>"
)
_SPLIT = ("principal", "interest", "fees")
_LENT = ("disbursement", "capitalization", "waiver")
_RECEIVED = ("repayment", "refund")


def of_charged_off(transactions: ir.Table, last: date) -> ir.Table:
    """The transactions of `events.signed` of the loans with a charge-off or write-off by `last`."""
    charge_offs = transactions.filter(transactions.type.isin(events.CHARGE_OFFS), transactions.effective_on <= last)
    loans = charge_offs.select("loan_id").distinct()
    return events.signed(transactions, last, lambda rows: rows.semi_join(loans, "loan_id"))


def effects(transactions: ir.Table, last: date) -> ir.Table:
    """The effects of charge-offs on a loan's transactions by `last`, for each day with an effect.

    Returns:
        For loans with charge-offs: loan_id; on, the day; principal, interest and fees that become recoveries on that
        day; not_taken, the principal of charge-offs above the principal outstanding; and charged_off_on, the day from
        which the loan is fully charged off (null if it is not).
    """
    rows = of_charged_off(transactions, last)
    booked = _booked(rows.filter(rows.type.isin((*_LENT, *_RECEIVED, *events.CHARGE_OFFS))))
    lists = [booked[name].collect().name(name) for name in booked.columns if name != "loan_id"]
    loans = booked.group_by("loan_id").agg(lists)
    followed = loans.select("loan_id", effect=_follow(*(loans[name] for name in loans.columns[1:])))
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


def _booked(rows: ir.Table) -> ir.Table:
    """The sums of each loan's transactions by on and root_on: loan_id, and the parameters of `_follow` in order."""
    received = rows.type.isin(_RECEIVED)
    charge_off = rows.type.isin(events.CHARGE_OFFS)
    sign = rows.type.isin(("refund", "waiver")).ifelse(-rows.sign, rows.sign)
    principal, interest, fees = (cents(rows[name]) * sign for name in _SPLIT)

    def total(number: ir.IntegerColumn, where: ir.BooleanColumn) -> ir.IntegerValue:
        return as_count(ibis.coalesce(number.sum(where=where), 0))

    return rows.group_by("loan_id", "on", "root_on").agg(
        lent=total((rows.type == "capitalization").ifelse(interest + fees, principal), rows.type.isin(_LENT)),
        principal=total(principal, received),
        interest=total(interest, received),
        fees=total(fees, received),
        charged=total(principal, charge_off),
        charge_offs=total(sign, charge_off),
    )


_DATES, _COUNTS = "array<date>", "array<int64>"


@ibis.udf.scalar.pyarrow(
    signature=((_DATES, _DATES, _COUNTS, _COUNTS, _COUNTS, _COUNTS, _COUNTS, _COUNTS), _EFFECTS),
)
def _follow(on, root_on, lent, principal, interest, fees, charged, charge_offs):
    """For each row (a loan): the effects of its charge-offs on its transactions, for each day with an effect.

    Each list has one entry for each day and root day. Amounts are in cents: `lent` is disbursed and capitalized, less
    waived; principal, interest and fees are received, less refunds; `charged` is the principal of charge-offs.
    `charge_offs` is the number of charge-offs, less reversed ones.
    """
    columns = (on, root_on, lent, principal, interest, fees, charged, charge_offs)
    # The lists of all loans are converted at once. One by one, this takes longer than the rest.
    entries = zip(*(_numbers(column) for column in columns), strict=True)
    loans = [sorted(islice(entries, size)) for size in pc.list_value_length(on).to_pylist()]
    return _effects_of(loans)


def _numbers(lists: pa.Array | pa.ChunkedArray) -> list[int]:
    """The elements of all lists; dates as days since 1970-01-01."""
    return pc.list_flatten(lists).to_numpy(zero_copy_only=False).astype("int64").tolist()


def _effects_of(loans: list[list[tuple[int, ...]]]) -> pa.ListArray:
    effects: list[tuple[int | None, ...]] = []
    ends = [0]
    for loan in loans:
        effects += _changes(loan)
        ends.append(len(effects))
    fields = list(_EFFECTS.to_pyarrow().value_type)
    columns = zip(*effects, strict=True) if effects else [()] * len(fields)
    arrays = [
        pa.array(column, pa.int32()).cast(field.type) if field.type == pa.date32() else pa.array(column, field.type)
        for column, field in zip(columns, fields, strict=True)
    ]
    return pa.ListArray.from_arrays(ends, pa.StructArray.from_arrays(arrays, fields=fields))


class _Loan(NamedTuple):
    """A loan at the end of a day, with the effects of charge-offs so far: amounts in cents, days as numbers."""

    principal: int = 0
    interest: int = 0
    fees: int = 0
    not_taken: int = 0
    charged_off_on: int | None = None
    outstanding: int = 0
    any_charge_off: bool = False


def _effect(loan: _Loan) -> tuple[int, int, int, int, int | None]:
    return loan[:5]


def _changes(entries: Iterable[tuple[int, ...]]) -> Iterator[tuple[int | None, ...]]:
    """The effects of each day with an effect, from the entries of a loan in order of days.

    A day without reversals continues from the loan at the end of the day before. A reversal changes an earlier day, so
    the loan is followed again from its first day.
    """
    booked: dict[int, list[int]] = {}
    latest = -math.inf
    loan = _Loan()
    for on, of_day in groupby(entries, key=itemgetter(0)):
        in_order = on > latest
        for _, root_on, *amounts in of_day:
            in_order = in_order and root_on == on
            others = booked.get(root_on)
            booked[root_on] = amounts if others is None else [a + b for a, b in zip(others, amounts, strict=True)]
            latest = max(latest, root_on)
        before = _effect(loan)
        loan = _after(loan, on, booked[on]) if in_order else _from_start(booked)
        if _effect(loan) != before:
            amounts = [new - old for new, old in zip(loan[:4], before[:4], strict=True)]
            yield on, *amounts, loan.charged_off_on


def _from_start(booked: dict[int, list[int]]) -> _Loan:
    loan = _Loan()
    for day in sorted(booked):
        loan = _after(loan, day, booked[day])
    return loan


def _after(loan: _Loan, day: int, booked: list[int]) -> _Loan:
    """The loan at the end of a day, from the loan at the end of the day before and the day's entries of `_follow`."""
    lent, received, interest, fees, charged, charge_offs = booked
    outstanding = loan.outstanding + lent
    if loan.any_charge_off and loan.outstanding <= 0:
        recovered = received
    else:
        recovered = max(0, received - max(0, outstanding)) if loan.any_charge_off else 0
        interest = fees = 0
    outstanding -= received - recovered
    taken = min(charged, max(0, outstanding))
    outstanding -= taken
    any_charge_off = loan.any_charge_off or charge_offs > 0
    since = day if loan.charged_off_on is None else loan.charged_off_on
    return _Loan(
        loan.principal + recovered,
        loan.interest + interest,
        loan.fees + fees,
        loan.not_taken + charged - taken,
        since if any_charge_off and outstanding <= 0 else None,
        outstanding,
        any_charge_off,
    )
