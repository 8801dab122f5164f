"""What holds for every book: identities of positions and aging, and agreement with a plain reading of DEFINITIONS.

One example is some whole books of random loans over half a year, so few examples say much. Several books are one,
because their positions take no longer than those of one.
"""

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal

import pytest
from book import each_day, memo_of, posted
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from random_books import FIRST, LAST, random_book, seeds, twin
from reference import OFF, Reference

from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics.delinquency import aging_buckets, aging_transitions

# A smaller seed makes no simpler book: nothing to shrink.
few = settings(max_examples=1, phases=(Phase.explicit, Phase.reuse, Phase.generate))
DAY = timedelta(days=1)
OWED = "principal_outstanding"
RESTORED = (
    OWED,
    "principal_disbursed",
    "principal_paid",
    "interest_paid",
    "fees_paid",
    "principal_forgiven",
    "settled",
)
"""The amounts that a reversal restores whatever happened before it."""


def seeds_with_days(first, last):
    """The seeds of two books, each with a day."""
    return st.tuples(seeds(2), st.tuples(st.dates(first, last), st.dates(first, last))).map(
        lambda drawn: list(zip(*drawn, strict=True))
    )


@pytest.mark.parametrize("conventions", [{}, {"dpd_method": "strict"}, {"delinquency_method": "OTS"}], ids=str)
@few
@given(seeds=seeds(3), on=st.dates(FIRST, LAST))
def test_positions_are_what_the_definitions_say_in_a_range_and_on_a_day_alone(conventions, seeds, on):
    book = random_book(*seeds)
    expected = Reference(book.rows, **conventions).positions(FIRST, LAST)
    in_range = book.positions(str(FIRST), str(LAST), **conventions)
    _assert_same(in_range, expected)
    alone = book.positions(str(on), **conventions)
    _assert_same(alone, {key: row for key, row in in_range.items() if row["business_date"] == on})


@few
@given(seeds=seeds(2), days=st.tuples(*[st.dates(FIRST + 60 * DAY, LAST)] * 2))
def test_a_snapshot_of_a_range_equals_that_of_the_day_alone(seeds, days):
    book = random_book(*seeds)
    in_range = book.snapshots(str(FIRST), str(LAST))
    for on in days:
        alone = book.snapshots(str(on))
        # To the last bit: IRRs and shares are no exception.
        assert alone == {key: row for key, row in in_range.items() if row["business_date"] == on}, on


@few
@given(examples=seeds_with_days(FIRST, LAST))
def test_known_at_gives_positions_as_they_were_known(examples):
    known, without = {}, random_book(*(seed for seed, _ in examples))
    for seed, on in examples:
        known |= random_book(seed).positions(str(FIRST), str(LAST), known_at=posted(on))
    known_at = {loan["loan_id"]: posted(on) for seed, on in examples for loan in random_book(seed).rows["loans"]}
    for table in ("loans", "installments", "transactions", "modifications"):
        without.rows[table] = [row for row in without.rows[table] if row["posted_at"] <= known_at[row["loan_id"]]]
    _assert_same(known, without.positions(str(FIRST), str(LAST)))


@few
@given(examples=seeds_with_days(FIRST, LAST - 20 * DAY))
def test_a_reversal_restores_the_earlier_position(examples):
    """Beside each loan its twin, which is paid on the example's day. 20 days later the payments are reversed."""
    book = random_book(*(seed for seed, _ in examples))
    paid_on = {loan["loan_id"]: on for seed, on in examples for loan in random_book(seed).rows["loans"]}
    for loan_id, on in paid_on.items():
        twin(book, loan_id)
        for type_ in ("repayment", "charge_off", "capitalization", "waiver"):
            done = book.txn(f"twin {loan_id}", type_, str(on), "7.50", "1.25", "0.40")
            book.reverse(done, str(on + 20 * DAY))
    rows = book.positions(str(min(paid_on.values()) - DAY), str(LAST))
    for on in set(paid_on.values()):
        loans = {loan_id for loan_id, day in paid_on.items() if day == on}
        _assert_restored(book, rows, loans, on)


def _assert_restored(book, rows, loan_ids, paid_on):
    """The twins of these loans, paid on one day, have other positions until the reversal, and then the same again."""
    reversed_on = paid_on + 20 * DAY
    since = {key: row for key, row in rows.items() if row["business_date"] >= paid_on - DAY}
    untouched = {key: row for key, row in since.items() if key[1] in loan_ids}
    twins = {f"twin {loan_id}": loan_id for loan_id in loan_ids}
    undone = {(on, twins[name]): row | {"loan_id": twins[name]} for (on, name), row in since.items() if name in twins}
    between = {str(on) for on in each_day(paid_on, reversed_on - DAY)}
    in_between = {key for key in undone if key[0] in between}
    # When a loan was repaid or drawn again stays history, and decides its status and its interest.
    once_repaid = {key[1] for rows in (undone, untouched) for key in in_between if rows[key][OWED] <= 0}
    loans = [loan for loan in book.rows["loans"] if loan["loan_id"] in twins]
    reference = Reference(book.rows | {"loans": loans}).positions(paid_on - DAY, LAST)
    reference = {(on, twins[name]): row | {"loan_id": twins[name]} for (on, name), row in reference.items()}
    expected = {
        key: reference[key] if key[0] in between or key[1] in once_repaid else row for key, row in untouched.items()
    }
    for key in untouched.keys() - in_between:
        assert [undone[key][name] for name in RESTORED] == [untouched[key][name] for name in RESTORED], key
    for rows in (undone, untouched, expected):
        for row in rows.values():
            # What had been earned the day before a charge-off is history: nothing later changes it.
            if row["status"] == "charged_off":
                row.pop("interest_earned", None)
    _assert_same(undone, expected)
    assert in_between
    assert all(undone[key]["principal_forgiven"] != untouched[key]["principal_forgiven"] for key in in_between)


@few
@given(seeds=seeds(2))
def test_every_book_keeps_the_identities(seeds):
    book = random_book(*seeds)
    positions = book.positions(str(FIRST), str(LAST))
    _check_roll_forward(book, positions)
    _check_history_is_complete(book, positions)
    _check_overdue_past_maturity_stays_late(book, positions)
    table = memo_of(positions)
    _check_aging_totals(book.backend.to_pyarrow(aging_buckets(table)).to_pylist(), positions)
    for step in ("day", "week", "month"):
        moves = aging_transitions(table, FIRST, LAST, Conventions(transition_step=step))
        _check_transitions(book.backend.to_pyarrow(moves).to_pylist(), positions)


def _assert_same(got, expected):
    assert got.keys() == expected.keys()
    for key, row in expected.items():
        assert got[key] == row, {name: (got[key][name], row[name]) for name in row if got[key][name] != row[name]}


def _check_roll_forward(book, positions):
    """opening + the day's events = closing, the events added up from the book's own rows.

    Charge-offs take no more than is owed, and money after them is recovered: `Reference.owed` says what they move.
    """
    effect = {"disbursement": 1, "capitalization": 1, "repayment": -1, "refund": 1, "waiver": -1}
    reference = Reference(book.rows)
    events = {loan["loan_id"]: reference.events(loan["loan_id"]) for loan in book.rows["loans"]}
    charged_off = {id_ for id_, found in events.items() if any(root["type"] in OFF for _, root, _ in found)}
    assert charged_off < events.keys()
    moved = defaultdict(Decimal)
    for loan_id, found in events.items():
        for on, root, sign in found:
            part = root["interest"] + root["fees"] if root["type"] == "capitalization" else root["principal"]
            moved[loan_id, on] += sign * effect.get(root["type"], 0) * part
        if loan_id in charged_off:
            for on in {event[0] for event in found}:
                before, after = ([event for event in found if event[0] <= day] for day in (on - DAY, on))
                moved[loan_id, on] = reference.owed(after) - reference.owed(before)
    for (text, loan_id), closing in positions.items():
        on = date.fromisoformat(text)
        opening = positions.get((str(on - DAY), loan_id))
        if opening:
            change = closing["principal_outstanding"] - opening["principal_outstanding"]
            assert change == moved[loan_id, on], (text, loan_id)


def _check_history_is_complete(book, positions):
    """Every disbursed loan has every day, whatever became of it; a charged-off loan keeps what was charged off."""
    expected = {
        (str(on), loan["loan_id"])
        for loan in book.rows["loans"]
        for on in each_day(max(FIRST, loan["disbursed_on"]), LAST)
    }
    assert positions.keys() == expected
    for (text, loan_id), row in positions.items():
        before = positions.get((str(date.fromisoformat(text) - DAY), loan_id))
        if before and before["status"] == "charged_off" and not _reversals(book, loan_id):
            # A capitalization or a disbursement after it is owed.
            assert row["status"] == ("active" if row["principal_outstanding"] > 0 else "charged_off")
            assert row["principal_charged_off"] >= before["principal_charged_off"]


def _reversals(book, loan_id):
    return [row for row in book.rows["transactions"] if row["loan_id"] == loan_id and row["type"] == "reversal"]


def _check_overdue_past_maturity_stays_late(book, positions):
    last_due = defaultdict(lambda: FIRST)
    for row in book.rows["installments"]:
        last_due[row["loan_id"]] = max(last_due[row["loan_id"]], row["due_on"])
    for (_, loan_id), row in positions.items():
        past = (row["business_date"] - last_due[loan_id]).days
        if past > 0 and row["past_due_amount"] > 0:
            assert row["status"] == "active"
            assert row["days_past_due"] >= past


def _check_aging_totals(aging, positions):
    """Per day, currency and level, buckets add up to the active positions; shares to 1."""
    expected, found, shares = defaultdict(_zeros), defaultdict(_zeros), defaultdict(float)
    levels = ("portfolio", "program", "product", "branch", "investor", "vintage")
    for row in positions.values():
        if row["status"] != "active":
            continue
        ids = {"all": "*"} | {level: row[level if level == "vintage" else f"{level}_id"] for level in levels}
        for scope, scope_id in ids.items():
            if scope_id is not None:
                key = (row["business_date"], scope, scope_id, row["currency"], row["bucket"])
                for n, value in enumerate((1, row["principal_outstanding"], row["past_due_amount"])):
                    expected[key][n] += value
    totals = defaultdict(Decimal)
    for row in aging:
        totals[_scope(row)] += row["principal_outstanding"]
    for row in aging:
        scope = _scope(row)
        found[*scope, row["bucket"]] = [row["loan_count"], row["principal_outstanding"], row["past_due_amount"]]
        # Loans that owe interest alone have no share of a balance of nothing.
        if totals[scope]:
            shares[scope] += row["balance_share"]
        else:
            assert row["balance_share"] is None
    assert found == expected
    assert shares
    assert all(share == pytest.approx(1) for share in shares.values())


def _scope(row):
    return row["business_date"], row["scope"], row["scope_id"], row["currency"]


def _zeros():
    return [0, Decimal(0), Decimal(0)]


def _check_transitions(moves, positions):
    """Rates out of a bucket add up to 1, and the loans moved are all those that were active on the opening day."""
    counts, balances, opening, closing = (defaultdict(float) for _ in range(4))
    totals = defaultdict(Decimal)
    for row in moves:
        totals[*_scope(row), row["from_bucket"]] += row["opening_principal"]
    for row in moves:
        if row["from_bucket"] != "new":
            key = (*_scope(row), row["from_bucket"])
            counts[key] += row["count_rate"]
            if totals[key]:
                balances[key] += row["balance_rate"]
            else:
                assert row["balance_rate"] is None
        if row["scope"] == "all":
            opening[row["business_date"], row["from_date"]] += row["loan_count"] * (row["from_bucket"] != "new")
            stays = row["to_bucket"] not in ("closed", "charged_off", "sold", "pending")
            closing[row["business_date"]] += row["loan_count"] * (stays or row["to_bucket"] == "sold")
    assert all(rate == pytest.approx(1) for rate in (*counts.values(), *balances.values()))
    active = defaultdict(int)
    for row in positions.values():
        active[row["business_date"]] += row["status"] == "active"
    assert all(active[from_date] == count for (_, from_date), count in opening.items())
    assert all(active[on] == count for on, count in closing.items())
