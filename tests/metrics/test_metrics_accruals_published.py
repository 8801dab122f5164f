"""Daily interest against published ledgers, schedules and note interest of shared/oracles/accrual, to the cent.

Left out, because they follow another rule: level payment schedules (Fineract rounds each installment), APRs of
Regulation Z (rates of whole cash flows), ledgers whose interest a cap limits, the examples of the Federal Reserve (a
twelfth of the rate per month from an unknown date), and examples that are verified to be wrong.
"""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import pytest
from book import Book

from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics.positions import loan_positions

DAILY = Conventions(interest_accrual="daily", non_accrual_interest="continue")
CENT = Decimal("0.01")
FAR = [("2099-12-31", "1", "0")]
DAY_COUNTS = {"ACT/360": "actual/360", "30/360": "30/360"}


@pytest.fixture(scope="module")
def published(shared_dir: Path):
    """Reads a file of the published values."""

    def lines(name: str) -> Iterator[dict]:
        with (shared_dir / "oracles" / "accrual" / f"{name}.jsonl").open() as file:
            yield from map(json.loads, file)

    return lines


def lend(book: Book, loan_id: str, on: str, principal: str, annual_rate: Decimal, day_count: str) -> None:
    book.loan(loan_id, on, principal, FAR, annual_rate=annual_rate, day_count=day_count)


def earned(book: Book, days: set[str]) -> dict[tuple[str, str], Decimal]:
    """interest_earned by day and loan, in one query."""
    rows = loan_positions(book.read, date.fromisoformat(min(days)), date.fromisoformat(max(days)), DAILY)
    rows = rows.filter(rows.business_date.cast("string").isin(sorted(days)))
    rows = book.backend.to_pyarrow(rows.select("business_date", "loan_id", "interest_earned")).to_pylist()
    return {(str(row["business_date"]), row["loan_id"]): row["interest_earned"] for row in rows}


def test_ledgers_and_schedules_of_daily_interest(published):
    book, expected = Book(), {}
    for ledger in [*published("daily_interest_ledgers"), *published("daily_interest_schedules")]:
        a_year = 365 if ledger["rate_per"] == "day" else 1
        capped = a_year == 365 and Decimal(ledger["rate_pct"]) > Decimal(ledger.get("daily_cap_pct", "1"))
        if capped or "interest_cap_reached" in ledger:
            continue
        loan_id, accrued = ledger["id"], Decimal(0)
        lend(
            book,
            loan_id,
            ledger["start_date"],
            ledger["principal"],
            Decimal(ledger["rate_pct"]) / 100 * a_year,
            "actual/365",
        )
        for number, row in enumerate(ledger["rows"]):
            accrued += Decimal(row.get("interest_added", row["interest_accrued"]))
            principal, interest = Decimal(row["principal_paid"]), Decimal(row["interest_paid"])
            if principal < 0:
                book.txn(loan_id, "refund", row["date"], str(-principal), "0")
            elif principal or interest:
                book.txn(loan_id, "repayment", row["date"], str(principal), str(interest))
            if Decimal(row["principal_balance"]) > 0:
                # Each printed amount has four decimals.
                expected[row["date"], loan_id] = accrued, CENT / 2 + number * Decimal("0.00005")
    found = earned(book, {on for on, _ in expected})
    wrong = {key: (found[key], accrued) for key, (accrued, off) in expected.items() if abs(found[key] - accrued) > off}
    assert wrong == {}
    assert len({loan_id for _, loan_id in expected}) == 19 + 34
    assert len(expected) > 300


def test_note_interest_and_worked_examples(published):
    book, expected = Book(), {}

    def case(loan_id, on, ends, principal, annual_rate, day_count, interest):
        lend(book, loan_id, str(on), principal, annual_rate, day_count)
        expected[str(ends), loan_id] = Decimal(interest)

    for note in published("note_interest"):
        # Notes by 30/360 pay whole months, whatever business days are printed. Some notes print no dates.
        begins = date.fromisoformat(note.get("period_start", "2025-01-01"))
        ends = begins + timedelta(days=note["days"])
        if note["day_count"] == "30/360":
            assert note["days"] == 30
            ends = (begins.replace(day=1) + timedelta(days=31)).replace(day=begins.day)
        rate = Decimal(note["annual_rate_pct"]) / 100
        day_count = DAY_COUNTS[note["day_count"]]
        case(note["id"], begins, ends, note["balance"], rate, day_count, note["interest"])
    for example in published("worked_examples"):
        on, loan_id, kind = date(2025, 1, 1), example["id"], example["kind"]
        rate = Decimal(example.get("annual_rate_pct", 0)) / 100
        match kind:
            case "per_diem":
                day_count, interest, days = f"actual/{example['year_days']}", example["per_diem"], 1
            case "simple_interest_days":
                day_count, days = example["day_count"], example["days"]
                interest = example.get("exact_interest", example["interest"])
            case "factor":
                # 100.00 at 4 % for the 30 days of a month; the printed factor has three decimals.
                day_count, days = "30/360", 31
                interest = Decimal(example["monthly_factor_pct"]).quantize(CENT, ROUND_HALF_EVEN)
                example["principal"] = "100"
            case _:
                continue
        case(loan_id, on, on + timedelta(days=days), example["principal"], rate, day_count, interest)
    found = earned(book, {on for on, _ in expected})
    wrong = {key: (found[key], interest) for key, interest in expected.items() if found[key] != interest}
    assert wrong == {}
    assert len(expected) == 44 + 6
