"""Nights of closes with backdated events, beside a plain recomputation of what each should find.

`python tests/restatements/nights.py 365` simulates that many nights of 30 loans, in which everything happens until the
last night; it takes minutes.
"""

import sys
import tempfile
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "metrics"))

from book import posted
from closing import Lender, by_value
from random_books import random_book
from reference import Reference

from lending_pipelines.restatements.compare import COMPARED

FIRST = date(2024, 4, 1)


def simulate(lender, gaps, closed_again):
    """Close a day after each gap, with what was posted by its evening, and detect.

    Nights whose number is in `closed_again` close the day before again too.

    Yields:
        What is in force, and what a plain recomputation finds: (reported, restated) by (day, loan, column).
    """
    closes, reported, in_force = {}, {}, {}
    known = Known(lender.book.rows, [FIRST + timedelta(days=sum(gaps[:number])) for number in range(len(gaps))])
    day = FIRST
    for number, gap in enumerate(gaps):
        known_at = posted(day) + timedelta(hours=10)
        lender.sync(known_at)
        if number in closed_again and closes:
            again = max(closes)
            lender.close(again, again)
            closes[again] = known_at
            in_force = {key: pair for key, pair in in_force.items() if key[0] != again}
        lender.close(day, day)
        closes[day] = known_at
        now = known.positions(known_at)
        for each, closed_at in closes.items():
            if closed_at == known_at:
                reported[each] = {loan_id: rows.get(each) for loan_id, rows in now.items()}
        in_force |= by_value(lender.detect())
        differing = {key: pair for key, pair in in_force.items() if pair[0] != pair[1]}
        yield differing, oracle(reported, now)
        day += timedelta(days=gap)
    lender.engine.close()


class Known:
    """The positions of each loan on some days, recomputed plainly whenever more rows of the loan are known."""

    def __init__(self, rows, days):
        self.days = days
        self.of_loans = defaultdict(lambda: defaultdict(list))
        for loan in rows["loans"]:
            for name, table in rows.items():
                found = [row for row in table if row.get("loan_id", loan["loan_id"]) == loan["loan_id"]]
                self.of_loans[loan["loan_id"]][name] = found
        self.found = {}

    def positions(self, known_at):
        """By loan: the position of each day, as known at a time."""
        return {loan_id: self._of_loan(loan_id, rows, known_at) for loan_id, rows in self.of_loans.items()}

    def _of_loan(self, loan_id, rows, known_at):
        # Rows are only added, so that their number says whether they are the same.
        number = sum(row.get("posted_at") is None or row["posted_at"] <= known_at for t in rows.values() for row in t)
        if self.found.get(loan_id, (None, None))[0] != number:
            rows = Reference(rows, known_at).positions(self.days[0], self.days[-1], set(self.days))
            self.found[loan_id] = number, {row["business_date"]: row for row in rows.values()}
        return self.found[loan_id][1]


def oracle(reported, now):
    """By (day, loan, column): the value as known when the day was closed, and as known now, where they differ.

    `reported` has the position of each loan on each closed day, as known when it was closed, and `now` as known now.
    """
    found = {}
    for day, then in reported.items():
        for loan_id, row in then.items():
            sides = row, now[loan_id].get(day)
            if sides[0] is sides[1]:
                continue
            for name in COMPARED:
                before, after = (text(name, side[name]) if side else None for side in sides)
                if before != after:
                    found[day, loan_id, name] = before, after
    return found


def text(name, value):
    """A value of a column of loan_positions, as the table restatements has it."""
    if name == "annual_rate":
        return f"{value:.8f}"
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, date) else None if value is None else str(value)


if __name__ == "__main__":
    nights = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        lender = Lender(Path(folder), random_book(1, loans=30, last=FIRST + timedelta(days=nights)))
        for number, (found, expected) in enumerate(simulate(lender, [1] * nights, set(range(0, nights, 7))), start=1):
            assert found == expected, f"night {number}: {set(found.items()) ^ set(expected.items())}"
            print(f"night {number}: {len(found):,} values differ, as expected", flush=True)
