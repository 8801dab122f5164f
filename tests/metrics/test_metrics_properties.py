"""What holds for every book: identities of positions and aging, and agreement with a plain reading of DEFINITIONS.

One example is one or more whole books of random loans over half a year, so few examples say much.
"""

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal

import pytest
from book import each_day, memo_of, posted
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from random_books import FIRST, LAST, random_book
from reference import OFF, Reference

from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics.delinquency import aging_buckets, aging_transitions

SEEDS = st.integers(0, 2**32)
# A smaller seed makes no simpler book: nothing to shrink.
few = settings(max_examples=2, phases=(Phase.explicit, Phase.reuse, Phase.generate))
DAY = timedelta(days=1)


CONVENTIONS = [{}, {"dpd_method": "strict"}, {"delinquency_method": "OTS"}]


@pytest.mark.parametrize("conventions", CONVENTIONS, ids=str)
@settings(few, max_examples=1)
@given(seeds=st.lists(SEEDS, min_size=3, max_size=3, unique=True))
def test_positions_are_what_the_definitions_say(conventions, seeds):
    """Three books at once, because their positions take no longer than those of one."""
    book = random_book(*seeds)
    expected = Reference(book.rows, **conventions).positions(FIRST, LAST)
    _assert_same(book.positions(str(FIRST), str(LAST), **conventions), expected)


@few
@given(seed=SEEDS, on=st.dates(FIRST, LAST), conventions=st.sampled_from(CONVENTIONS))
def test_a_day_of_a_range_equals_the_day_alone(seed, on, conventions):
    book = random_book(seed)
    in_range = book.positions(str(FIRST), str(LAST), **conventions)
    alone = book.positions(str(on), **conventions)
    _assert_same(alone, {key: row for key, row in in_range.items() if row["business_date"] == on})


@few
@given(seed=SEEDS, on=st.dates(FIRST + 60 * DAY, LAST))
def test_a_snapshot_of_a_range_equals_that_of_the_day_alone(seed, on):
    book = random_book(seed)
    in_range = book.snapshots(str(FIRST), str(LAST))
    alone = book.snapshots(str(on))
    # To the last bit: IRRs and shares are no exception.
    assert alone == {key: row for key, row in in_range.items() if row["business_date"] == on}


@few
@given(seed=SEEDS, on=st.dates(FIRST, LAST))
def test_known_at_gives_positions_as_they_were_known(seed, on):
    book, without = random_book(seed), random_book(seed)
    known_at = posted(on)
    for table in ("loans", "installments", "transactions", "modifications"):
        without.rows[table] = [row for row in without.rows[table] if row["posted_at"] <= known_at]
    _assert_same(book.positions(str(FIRST), str(LAST), known_at=known_at), without.positions(str(FIRST), str(LAST)))


@few
@given(seed=SEEDS, paid_on=st.dates(FIRST, LAST - 20 * DAY))
def test_a_reversal_restores_the_earlier_position(seed, paid_on):
    book, without = random_book(seed), random_book(seed)
    reversed_on = paid_on + 20 * DAY
    for loan in without.rows["loans"]:
        for type_ in ("repayment", "charge_off", "capitalization", "waiver"):
            done = book.txn(loan["loan_id"], type_, str(paid_on), "7.50", "1.25", "0.40")
            book.reverse(done, str(reversed_on))
    undone, untouched = (b.positions(str(paid_on - DAY), str(LAST)) for b in (book, without))
    between = {str(on) for on in each_day(paid_on, reversed_on - DAY)}
    for rows in (undone, untouched):
        for row in rows.values():
            # What had been earned the day before a charge-off is history: nothing later changes it.
            if row["status"] == "charged_off":
                del row["interest_earned"]
    _assert_same(*({key: row for key, row in rows.items() if key[0] not in between} for rows in (undone, untouched)))
    in_between = {key: row for key, row in undone.items() if key[0] in between}
    expected = Reference(book.rows).positions(paid_on, reversed_on - DAY)
    for row in (*in_between.values(), *expected.values()):
        if row["status"] == "charged_off":
            row.pop("interest_earned", None)
    _assert_same(in_between, expected)
    assert all(in_between[key]["principal_forgiven"] != untouched[key]["principal_forgiven"] for key in in_between)


@few
@given(seed=SEEDS)
def test_every_book_keeps_the_identities(seed):
    book = random_book(seed)
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
