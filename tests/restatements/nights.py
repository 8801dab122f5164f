"""Nights of closes with backdated events, beside a plain recomputation of what each should find.

`python tests/restatements/nights.py 365` simulates that many nights of 20 loans; it takes minutes.
"""

import sys
import tempfile
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
        for each, closed_at in closes.items():
            if closed_at == known_at:
                reported[each] = Reference(lender.book.rows, known_at).positions(each, each)
        in_force |= by_value(lender.detect())
        differing = {key: pair for key, pair in in_force.items() if pair[0] != pair[1]}
        yield differing, oracle(lender.book, reported, known_at)
        day += timedelta(days=gap)
    lender.engine.close()


def oracle(book, reported, known_at):
    """By (day, loan, column): the value as known when the day was closed, and as known now, where they differ.

    `reported` has the positions of each closed day, recomputed as known when it was closed.
    """
    now = Reference(book.rows, known_at).positions(min(reported), max(reported))
    found = {}
    for day, then in reported.items():
        for loan_id in {loan for on, loan in (*then, *now) if on == str(day)}:
            sides = then.get((str(day), loan_id)), now.get((str(day), loan_id))
            for name in COMPARED:
                before, after = (text(name, row[name]) if row else None for row in sides)
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
        lender = Lender(Path(folder), random_book(1, loans=20))
        for number, (found, expected) in enumerate(simulate(lender, [1] * nights, set(range(0, nights, 7))), start=1):
            assert found == expected, f"night {number}: {set(found.items()) ^ set(expected.items())}"
            print(f"night {number}: {len(found):,} values differ, as expected", flush=True)
