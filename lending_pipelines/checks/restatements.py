"""The sentences of a report about its closed days that differ from what is known now.

Three things can change after a day is closed: transactions, schedules and modifications; the assignments of loans to
portfolios, investors and officers; and the conventions. Sums per loan find the loans that can differ, in one pass over
the positions; only these are recomputed and compared. What a close finds on all closed days is in restatements/.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from lending_pipelines.checks.compare import any_of, differences, together
from lending_pipelines.checks.positions import PARTS, movements
from lending_pipelines.checks.protocol import Read
from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics import instants, positions

_MONEY = (
    *PARTS,
    "interest_earned",
    "scheduled_due",
    "settled",
    "past_due_amount",
    "principal_outstanding",
)
_STATE = ("status", "annual_rate", "days_past_due", "bucket", "oldest_due_on", "next_due_on")
_ASSIGNED = ("portfolio_id", "investor_id", "officer_id")
_SHOWN = ("principal_outstanding", "past_due_amount")
_KEY = ("business_date", "loan_id")

RowCondition = Callable[[ir.Table], ir.BooleanValue]
"""Selects the rows of loan_positions that the sentences are about."""


def all_rows(rows: ir.Table) -> ir.BooleanValue:
    """Select every row."""
    return ibis.literal(True)


def statements_due(
    read: Read, days: Sequence[date], conventions: Conventions, condition: RowCondition = all_rows
) -> list[str]:
    """Sentences about closed days that differ from what is known now: days, loans, and the effect on balances.

    A row of loan_positions counts if `condition` is true for it as closed or as it is now. Only such rows are added up.
    """
    if not days:
        return []
    statements = [
        f"{_span(since, days)} made under other conventions: {stamped}"
        for stamped, since in _other_conventions(read, days, conventions)
    ]
    if suspects := loans_that_can_differ(read, days, conventions):
        changed = _changed(read, days, suspects, conventions, condition)
        totals, loans = together(_totals(changed), _loans(changed))
        statements += _statements(totals.to_pandas(), loans, days)
    return statements


def _other_conventions(read: Read, days: Sequence[date], conventions: Conventions) -> list[tuple[str, list[date]]]:
    """The conventions recorded for days if they differ from the current ones, as text, each with its days."""
    closed = read("closed_days")
    now = conventions.stamp()
    other = closed.filter(closed.business_date.isin(days), closed.conventions != json.dumps(now, sort_keys=True))
    days_by_text: dict[str, set[date]] = {}
    for row in other.select("business_date", "conventions").distinct().to_pyarrow().to_pylist():
        stamped = Conventions.recorded(json.loads(row["conventions"]))
        changed = sorted(name for name in now.keys() | stamped.keys() if now.get(name) != stamped.get(name))
        if not changed:
            continue
        text = ", ".join(f"{name} {stamped.get(name, 'not set')}, now {now.get(name, 'not set')}" for name in changed)
        days_by_text.setdefault(text, set()).add(row["business_date"])
    return [(text, sorted(since)) for text, since in sorted(days_by_text.items())]


def loans_that_can_differ(read: Read, days: Sequence[date], conventions: Conventions) -> list[str]:
    """The loans whose positions on the days can differ from a recomputation, in order of loan_id."""
    weights = _weights(read, days, conventions.timezone)
    stored = _on(read("loan_positions"), days).join(weights.select(business_date="on", place="place"), "business_date")
    suspects = ibis.union(
        _unlike_money(read, days, stored, weights).select("loan_id"),
        _unlike_assignments(read, days, stored, weights).select("loan_id"),
        *(
            _posted_later(read(name), days, weights).select("loan_id")
            for name in ("installments", "modifications", "accruals")
            if name in positions.sources(conventions)
        ),
        _posted_later(read("delinquency_pauses").rename(effective_on="starts_on"), days, weights).select("loan_id"),
    )
    return sorted(suspects.distinct().to_pyarrow()["loan_id"].to_pylist())


def _weights(read: Read, days: Sequence[date], timezone: str) -> ir.Table:
    """A row for each date from the first day to the one after the last: the weights of an amount that counts from it
    on.

    Returns:
        on: the date.
        place: its number, 1 for the first day.
        days: how many of the given days are on or after it.
        places: the sum of the places of these days.
        known: the earliest time up to which the closes of these days knew rows. At least one of them did not know a row
            posted later.
    """
    closed = read("closed_days")
    closed = closed.filter(closed.table_name == "loan_positions").select("business_date", "known_until")
    known_until = {row["business_date"]: row["known_until"] for row in closed.to_pyarrow().to_pylist()}
    wanted = set(days)
    rows = []
    count = places = 0
    on, known = days[-1] + timedelta(days=1), None
    while on >= days[0]:
        place = (on - days[0]).days + 1
        if on in wanted:
            count, places = count + 1, places + place
            at = known_until.get(on) or instants.ends_at(on, timezone)
            known = at if known is None else min(known, at)
        rows.append({"on": on, "place": place, "days": count, "places": places, "known": known})
        on -= timedelta(days=1)
    schema = pa.schema(
        [
            ("on", pa.date32()),
            ("place", pa.int64()),
            ("days", pa.int64()),
            ("places", pa.int64()),
            ("known", pa.timestamp("us")),
        ]
    )
    return ibis.memtable(pa.Table.from_pylist(rows, schema=schema))


def _unlike_money(read: Read, days: Sequence[date], stored: ir.Table, weights: ir.Table) -> ir.Table:
    """The loans whose amounts or number of rows, summed over the days, differ from their transactions."""
    loans = read("loans").select("loan_id", "disbursed_on")
    loans = loans.filter(loans.disbursed_on <= days[-1])
    moves = movements(read("transactions")).join(loans, "loan_id")
    moves = moves.mutate(on=ibis.greatest(moves.effective_on, moves.disbursed_on, ibis.literal(days[0])))
    moves = moves.join(weights, "on")
    due = loans.mutate(on=ibis.greatest(loans.disbursed_on, ibis.literal(days[0]))).join(weights, "on")
    nothing = {part: ibis.literal(0).cast("decimal(38, 2)") for name in PARTS for part in (name, f"placed_{name}")}
    expected = ibis.union(
        due.select("loan_id", rows="days", placed_rows="places", **nothing),
        moves.select(
            "loan_id",
            rows=ibis.literal(0, "int64"),
            placed_rows=ibis.literal(0, "int64"),
            **{name: _times(moves[name], moves.days) for name in PARTS},
            **{f"placed_{name}": _times(moves[name], moves.places) for name in PARTS},
        ).select("loan_id", "rows", "placed_rows", *nothing),
    )
    sums = stored.group_by("loan_id").agg(
        rows=stored.count(),
        placed_rows=stored.place.sum(),
        **{name: stored[name].sum() for name in PARTS},
        **{f"placed_{name}": _times(stored[name], stored.place).sum() for name in PARTS},
    )
    return differences(expected, sums, ["loan_id"], ["rows", "placed_rows", *nothing])


def _unlike_assignments(read: Read, days: Sequence[date], stored: ir.Table, weights: ir.Table) -> ir.Table:
    """The loans whose portfolio, investor or officer on some day differs from the current assignments."""
    spans = positions.assigned(read, days[0], days[-1])
    ends = weights.select(until="on", later_days="days", later_places="places")
    spans = spans.join(weights, "on").join(ends, "until")
    which = ["loan_id", *_ASSIGNED]
    expected = spans.select(*which, days=spans.days - spans.later_days, places=spans.places - spans.later_places)
    sums = stored.group_by(which).agg(days=stored.count(), places=stored.place.sum())
    return differences(expected, sums, which, ["days", "places"])


def _posted_later(rows: ir.Table, days: Sequence[date], weights: ir.Table) -> ir.Table:
    """The rows posted after a day on which they count was closed."""
    rows = rows.mutate(on=ibis.greatest(rows.effective_on, ibis.literal(days[0]))).join(weights, "on")
    return rows.filter(rows.posted_at > rows.known)


def _changed(
    read: Read, days: Sequence[date], loan_ids: Iterable[str], conventions: Conventions, condition: RowCondition
) -> ir.Table:
    """The positions of the loans that differ from a recomputation, or exist on one side only.

    A side for which `condition` is false has null balances. If it is false on both sides, the row is left out.
    """
    loans = ibis.memtable(pa.table({"loan_id": list(loan_ids)}))

    def of_these(name: str) -> ir.Table:
        rows = read(name)
        return rows.semi_join(loans, "loan_id") if "loan_id" in rows.columns else rows

    now = _on(positions.loan_positions(of_these, days[0], days[-1], conventions), days)
    stored = _on(of_these("loan_positions"), days)
    now, stored = (rows.mutate(wanted=condition(rows)) for rows in (now, stored))
    columns = (*_KEY, "currency", *_MONEY, *_STATE, *_ASSIGNED, "wanted")
    both = stored.select(*columns).outer_join(
        now.select(**{f"now_{name}": now[name] for name in columns}),
        [("business_date", "now_business_date"), ("loan_id", "now_loan_id")],
    )
    on_one_side = both.loan_id.isnull() | both.now_loan_id.isnull()

    def differ(names: Iterable[str]) -> ir.BooleanValue:
        return any_of(~both[name].identical_to(both[f"now_{name}"]) for name in names)

    def shown(name: str, prefix: str) -> ir.Value:
        value = both[f"{prefix}{name}"]
        return both[f"{prefix}wanted"].fill_null(False).ifelse(value, ibis.null(value.type()))

    both = both.filter(both.wanted.fill_null(False) | both.now_wanted.fill_null(False))
    compared = both.select(
        **{name: ibis.coalesce(both[name], both[f"now_{name}"]) for name in (*_KEY, "currency")},
        **{f"{side}{name}": shown(name, prefix) for name in _SHOWN for side, prefix in _SIDES},
        transactions=on_one_side | differ(PARTS),
        schedules=~on_one_side & differ((*_MONEY, *_STATE)) & ~differ(PARTS),
        assignments=~on_one_side & differ(_ASSIGNED),
    )
    return compared.filter(compared.transactions | compared.schedules | compared.assignments)


_SIDES = (("stored_", ""), ("now_", "now_"))
"""The prefixes of the positions as closed and as they are now: in the result, and in the joined table."""
_KINDS = {
    "transactions": "the transactions",
    "schedules": "the schedules and modifications",
    "assignments": "the assignments to portfolios, investors and officers",
}


def _totals(changed: ir.Table) -> ir.Table:
    """Balances per day, currency and kind of change."""
    return changed.group_by("business_date", "currency", *_KINDS).agg(
        stored=changed.stored_principal_outstanding.sum(),
        now=changed.now_principal_outstanding.sum(),
        stored_late=changed.stored_past_due_amount.sum(),
        now_late=changed.now_past_due_amount.sum(),
    )


def _loans(changed: ir.Table) -> ir.Table:
    """One row per loan with the kinds of change."""
    return changed.group_by("loan_id").agg(**{kind: changed[kind].any() for kind in _KINDS})


def _statements(per_day: pd.DataFrame, per_loan: pa.Table, days: Sequence[date]) -> list[str]:
    """A sentence for each kind of change."""
    statements = []
    for kind, against in _KINDS.items():
        totals = per_day[per_day[kind]]
        if totals.empty:
            continue
        since = sorted(set(totals["business_date"]))
        loans = sum(per_loan[kind].to_pylist())
        agree = "agrees" if len(since) == 1 else "agree"
        sentence = f"{_span(since, days)} no longer {agree} with {against}: {loans:,} loan{'s' * (loans > 1)}"
        on_last = totals[totals["business_date"] == since[-1]]
        statements.append(sentence + _effect(since[-1], on_last))
    return statements


def _effect(day: date, totals: pd.DataFrame) -> str:
    """The change in what the loans owe on a day, by currency; empty without a change."""
    said = []
    sums = totals.fillna(0).groupby("currency")[["stored", "now", "stored_late", "now_late"]].sum()
    for currency, row in sums.iterrows():
        said += [
            f"{label} {row[stored]:,.2f} {currency} as closed, {row[now]:,.2f} now"
            for label, stored, now in (
                ("principal outstanding", "stored", "now"),
                ("past due", "stored_late", "now_late"),
            )
            if row[stored] != row[now]
        ]
    return f" (on {day}: {', '.join(said)})" if said else ""


def _span(some: Sequence[date], days: Sequence[date]) -> str:
    """Some of the closed days in words."""
    if len(some) == 1:
        return f"closed day {some[0]}"
    between = sum(some[0] <= day <= some[-1] for day in days)
    number = "" if len(some) == between else f"{len(some):,} "
    return f"{number}closed days {some[0]} to {some[-1]}"


def _on(rows: ir.Table, days: Sequence[date]) -> ir.Table:
    rows = rows.filter(rows.business_date.between(ibis.literal(days[0]), ibis.literal(days[-1])))
    full = len(days) == (days[-1] - days[0]).days + 1
    return rows if full else rows.filter(rows.business_date.isin(days))


def _times(amount: ir.DecimalValue, number: ir.IntegerValue) -> ir.DecimalValue:
    return (amount.cast("decimal(38, 2)") * number).cast("decimal(38, 2)")
