"""Daily interest, and interest as the servicing system recorded it, worked by hand from docs/definitions.md."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from book import SCHEDULE, Book, column, day, each_day, posted
from hypothesis import given, settings
from hypothesis import strategies as st

from lending_pipelines.metrics.accruals import AccrualInputError

DAILY = {"interest_accrual": "daily"}
LATER = [("2026-12-31", "1", "0")]
"""A schedule on which nothing is due in 2025."""


def lend(book, loan_id, on, principal, rate="0.10", day_count="actual/365", schedule=LATER):
    book.loan(loan_id, on, principal, schedule, annual_rate=Decimal(rate), day_count=day_count)


def change_rate(book, loan_id, on, before, after):
    book.add(
        "modifications",
        modification_id=f"M-{loan_id}-{on}",
        loan_id=loan_id,
        type="rate_reduction",
        effective_on=day(on),
        before_rate=Decimal(before),
        after_rate=Decimal(after),
        posted_at=posted(day(on)),
    )


def pause(book, loan_id, starts_on, ends_on):
    book.add(
        "delinquency_pauses",
        pause_id=f"P-{loan_id}-{starts_on}",
        loan_id=loan_id,
        starts_on=day(starts_on),
        ends_on=day(ends_on),
        posted_at=posted(day(starts_on)),
    )


def accrue(book, accrual_id, on, interest, *, loan_id="L1", reverses=None, posted_at=None):
    book.add(
        "accruals",
        accrual_id=accrual_id,
        loan_id=loan_id,
        effective_on=day(on),
        posted_at=posted_at or posted(day(on)),
        interest=Decimal(interest),
        fees=Decimal(0),
        reverses_id=reverses,
    )


@pytest.fixture(scope="module")
def year():
    """Loans of every kind. Most accrue 10.00 a day: 36,500.00 at 10 %."""
    book = Book()
    for loan_id in ("plain", "prepaid", "capitalized", "topped up", "overpaid", "off", "part off", "closed", "again"):
        lend(book, loan_id, "2025-01-01", "36500")
    book.txn("prepaid", "repayment", "2025-01-11", "18250", "70")
    book.txn("capitalized", "capitalization", "2025-01-11", interest="100")
    book.txn("topped up", "disbursement", "2025-01-11", "36500")
    book.txn("overpaid", "repayment", "2025-01-11", "40000", "100")
    book.txn("overpaid", "refund", "2025-02-10", "40000")
    book.txn("off", "charge_off", "2025-02-01", "36500")
    book.txn("part off", "charge_off", "2025-02-01", "18250")
    book.txn("closed", "repayment", "2025-01-11", "36500", "99.50")
    book.txn("again", "repayment", "2025-01-11", "36500", "99.50")
    book.txn("again", "disbursement", "2025-02-01", "3650")

    lend(book, "rate", "2025-01-01", "36500")
    change_rate(book, "rate", "2025-02-01", "0.10", "0.05")
    lend(book, "free", "2025-01-01", "36500", rate="0")

    due = [("2025-02-01", "0", "310"), ("2026-12-31", "36500", "0")]
    for loan_id in ("late", "paused", "paused twice", "paused for good"):
        lend(book, loan_id, "2025-01-01", "36500", schedule=due)
    pause(book, "paused", "2025-03-01", "2025-03-11")
    pause(book, "paused twice", "2025-03-01", "2025-03-11")
    pause(book, "paused twice", "2025-05-08", "2025-05-18")
    pause(book, "paused for good", "2025-01-15", "2999-12-31")
    book.txn("late", "repayment", "2025-06-01", "0", "310")

    for loan_id in ("cash", "bounced"):
        lend(book, loan_id, "2025-01-01", "36500", schedule=[("2025-02-01", "0", "1600"), ("2026-12-31", "36500", "0")])
        book.txn(loan_id, "repayment", "2025-05-10", "0", "1000")
    book.txn("cash", "repayment", "2025-05-20", "0", "500")
    book.txn("cash", "repayment", "2025-06-01", "0", "200")
    book.txn("cash", "repayment", "2025-06-12", "0", "50")
    book.reverse(book.txn("bounced", "repayment", "2025-05-20", "0", "500"), "2025-05-25")

    lend(book, "half", "2025-01-01", "182.50", rate="0.01")
    lend(book, "third", "2025-01-01", "1000", rate="0.01", day_count="30/360")
    for day_count in ("actual/365", "actual/360", "actual/actual"):
        lend(book, day_count, "2023-12-31", "36600", day_count=day_count)
    lend(book, "30/360", "2024-01-15", "36000", day_count="30/360")
    lend(book, "huge", "1925-01-01", "100000000000000", rate="0.365")
    lend(book, "backdated", "2025-01-01", "36500")
    book.txn("backdated", "repayment", "2025-01-11", "18250", posted_at=posted(day("2025-01-20")))
    return book


@pytest.fixture(scope="module")
def rows(year):
    return year.positions("2024-01-01", "2025-07-31", **DAILY)


@pytest.fixture(scope="module")
def cash(year):
    return year.positions("2025-05-01", "2025-06-12", **DAILY, non_accrual_interest="cash")


def of(rows, loan_id, *days, name="interest_earned"):
    values = column(rows, name, loan_id)
    return [values[on] for on in days]


def test_a_day_accrues_the_rate_on_the_principal_of_the_day_before(rows):
    assert of(rows, "plain", "2025-01-01", "2025-01-02", "2025-01-31", "2025-07-31") == [
        "0.00",
        "10.00",
        "300.00",
        "2110.00",  # 211 days
    ]
    assert set(column(rows, "interest_earned", "free").values()) == {"0.00"}


def test_a_change_of_principal_counts_from_the_next_day(rows):
    days = ("2025-01-11", "2025-01-12", "2025-01-21")
    assert of(rows, "prepaid", *days) == ["100.00", "105.00", "150.00"]
    assert of(rows, "topped up", *days) == ["100.00", "120.00", "300.00"]
    # Capitalized interest bears interest: 36,600.00 accrues 10.0274 a day.
    assert of(rows, "capitalized", *days) == ["100.00", "110.03", "200.27"]
    assert of(rows, "prepaid", *days, name="interest_receivable") == ["30.00", "35.00", "80.00"]
    assert of(rows, "capitalized", *days, name="interest_receivable") == ["0.00", "10.03", "100.27"]


def test_a_credit_balance_accrues_nothing(rows):
    # Overpaid by 3,500.00 from 11 January, closed. Refunded on 10 February: 36,500.00 is owed again.
    days = ("2025-01-11", "2025-02-09", "2025-02-10", "2025-02-11")
    assert of(rows, "overpaid", *days) == ["100.00", "100.00", "100.00", "110.00"]


def test_a_new_rate_counts_on_the_day_on_which_it_takes_effect(rows):
    # 30 days of 10.00 by 31 January, and 5.00 on 1 February
    assert of(rows, "rate", "2025-01-31", "2025-02-01", "2025-02-02") == ["300.00", "305.00", "310.00"]


def test_a_loan_that_is_charged_off_accrues_nothing_from_that_day(rows):
    days = ("2025-01-31", "2025-02-01", "2025-03-31")
    assert of(rows, "off", *days) == ["300.00", "300.00", "300.00"]
    # The half that is left accrues 5.00 from the day after.
    assert of(rows, "part off", *days) == ["300.00", "310.00", "600.00"]


def test_a_closed_loan_has_earned_what_it_settled_and_accrues_when_it_is_drawn_again(rows):
    days = ("2025-01-10", "2025-01-11", "2025-02-01", "2025-02-02", "2025-02-11")
    assert of(rows, "closed", *days) == ["90.00", "99.50", "99.50", "99.50", "99.50"]
    # 3,650.00 drawn on 1 February accrue 1.00 a day.
    assert of(rows, "again", *days) == ["90.00", "99.50", "99.50", "100.50", "109.50"]


def test_interest_stops_on_non_accrual_and_resumes_without_it(year, rows, cash):
    # Due on 1 February: 89 days past due on 1 May, 90 on 2 May. Paid on 1 June, which accrues again.
    days = ("2025-05-01", "2025-05-02", "2025-05-31", "2025-06-01", "2025-06-11")
    assert of(rows, "late", *days) == ["1200.00", "1200.00", "1200.00", "1210.00", "1310.00"]
    assert of(rows, "late", *days, name="non_accrual") == [False, True, True, False, False]
    assert of(rows, "late", *days, name="interest_receivable") == ["1200.00"] * 3 + ["900.00", "1000.00"]
    # 310.00 are less than what was earned before.
    assert of(cash, "late", *days) == of(rows, "late", *days)
    goes_on = year.positions("2025-05-01", "2025-06-11", **DAILY, non_accrual_interest="continue")
    assert of(goes_on, "late", *days) == ["1200.00", "1210.00", "1500.00", "1510.00", "1610.00"]


def test_interest_settled_on_non_accrual_is_earned_as_cash(cash):
    # 1,200.00 accrued by 1 May. On 10 May 1,000.00 are paid, on 20 May 500.00: 300.00 more than was accrued. With
    # 200.00 on 1 June, accrual resumes with 10.00: 1,700.00 were settled. The next payment of 50.00 is on time.
    days = ("2025-05-01", "2025-05-10", "2025-05-20", "2025-05-31", "2025-06-01", "2025-06-11", "2025-06-12")
    assert of(cash, "cash", *days) == ["1200.00", "1200.00", "1500.00", "1500.00", "1700.00", "1800.00", "1810.00"]
    owed = ["1200.00", "200.00", "0.00", "0.00", "0.00", "100.00", "60.00"]
    assert of(cash, "cash", *days, name="interest_receivable") == owed
    # The payment of 20 May is reversed on 25 May.
    days = ("2025-05-20", "2025-05-24", "2025-05-25", "2025-06-12")
    assert of(cash, "bounced", *days) == ["1500.00", "1500.00", "1200.00", "1200.00"]


def test_interest_stops_later_after_a_pause(rows):
    # 10 paused days: 90 days past due on 12 May. With 10 more from 8 May on: on 22 May.
    assert of(rows, "paused", "2025-05-11", "2025-05-12", "2025-07-31") == ["1300.00", "1300.00", "1300.00"]
    assert of(rows, "paused twice", "2025-05-21", "2025-05-22", "2025-07-31") == ["1400.00", "1400.00", "1400.00"]
    assert of(rows, "paused for good", "2025-07-31") == ["2110.00"]


def test_each_day_on_non_accrual_accrues_nothing_and_each_other_day_does(rows):
    for loan_id in ("late", "paused", "paused twice", "paused for good"):
        earned = column(rows, "interest_earned", loan_id)
        stopped = column(rows, "non_accrual", loan_id)
        days = [str(on) for on in each_day(date(2025, 1, 1), date(2025, 7, 31))]
        for before, on in pairwise(days):
            accrued = Decimal(earned[on]) - Decimal(earned[before])
            assert accrued == (0 if stopped[on] else 10), (loan_id, on)


def test_a_day_of_a_range_equals_the_day_alone(year, rows):
    alone = year.positions("2025-06-01", **DAILY)
    assert alone == {key: row for key, row in rows.items() if key[0] == "2025-06-01"}


def test_interest_is_rounded_once_half_to_even(rows):
    # 182.50 at 1 % accrues 0.005 a day, 1,000.00 at 1 % by 30/360 a 36th of 1.00.
    days = [str(on) for on in each_day(date(2025, 1, 2), date(2025, 1, 7))]
    assert of(rows, "half", *days) == ["0.00", "0.01", "0.02", "0.02", "0.02", "0.03"]
    assert of(rows, "third", *days) == ["0.03", "0.06", "0.08", "0.11", "0.14", "0.17"]


def test_day_counts_in_a_leap_year_and_at_month_ends(rows):
    # 36,600.00 at 10 % accrue 3,660.00 a year.
    # The night to 1 January 2024 belongs to 2023: 3,660 ÷ 365 = 10.0274. Then 10.00 a day, and 10.0274 again in 2025.
    days = ("2024-01-01", "2024-01-02", "2024-12-31", "2025-01-01", "2025-01-02")
    assert of(rows, "actual/actual", *days) == ["10.03", "20.03", "3660.03", "3670.03", "3680.05"]
    # 366 days by 31 December 2024
    assert of(rows, "actual/365", "2024-12-31") == ["3670.03"]
    assert of(rows, "actual/360", "2024-12-31") == ["3721.00"]
    # 10.00 a day of 30/360. 15 to 30 January are 15 days; the 31st is none; 29 February to 1 March are two, and
    # 28 February to 1 March 2025 three.
    days = ("2024-01-30", "2024-01-31", "2024-02-01", "2024-02-29", "2024-03-01", "2024-03-15", "2025-01-15")
    assert of(rows, "30/360", *days) == ["150.00", "150.00", "160.00", "440.00", "460.00", "600.00", "3600.00"]
    assert of(rows, "30/360", "2025-02-28", "2025-03-01") == ["4030.00", "4060.00"]


def test_a_payment_that_becomes_known_later_counts_from_its_date(year, rows):
    # 20 days of 10.00; then 10 of 10.00 and 10 of 5.00
    before = year.positions("2025-01-21", known_at=posted(day("2025-01-19")), **DAILY)
    assert of(before, "backdated", "2025-01-21") == ["200.00"]
    assert of(rows, "backdated", "2025-01-21") == ["150.00"]


def test_amounts_of_any_size_are_exact(rows):
    # 100,000,000,000,000.00 at 36.5 % by actual/365: 100,000,000,000.00 a day. 100 years with 25 leap days are 36,525.
    assert of(rows, "huge", "2025-01-01") == ["3652500000000000.00"]


def test_recorded_interest_is_the_sum_of_the_accruals():
    book = Book()
    book.loan("L1", "2025-01-10", "1000", SCHEDULE)
    book.loan("none", "2025-01-10", "1000", SCHEDULE)
    accrue(book, "A1", "2025-01-31", "7.00")
    accrue(book, "A2", "2025-02-10", "3.10")
    accrue(book, "A3", "2025-02-20", "2.00", posted_at=posted(day("2025-03-01")))
    accrue(book, "R2", "2025-02-15", "3.10", reverses="A2")
    accrue(book, "A4", "2025-02-25", "-0.50")
    book.txn("L1", "repayment", "2025-02-10", "500", "6")
    chosen = {"interest_accrual": "servicer"}
    rows = book.positions("2025-01-30", "2025-02-28", **chosen)
    days = ("2025-01-30", "2025-01-31", "2025-02-10", "2025-02-15", "2025-02-20", "2025-02-25")
    assert of(rows, "L1", *days) == ["0.00", "7.00", "10.10", "7.00", "9.00", "8.50"]
    assert of(rows, "L1", *days, name="interest_receivable") == ["0.00", "7.00", "4.10", "1.00", "3.00", "2.50"]
    assert set(column(rows, "interest_earned", "none").values()) == {"0.00"}
    # A3 was not known yet.
    then = book.position("2025-02-25", known_at=posted(day("2025-02-26")), **chosen)
    assert str(then["interest_earned"]) == "6.50"


def test_missing_inputs_are_named():
    book = Book()
    for number in range(7):
        lend(book, f"L{number}", "2025-01-01", "100", day_count=None if number else "30/365")
    lend(book, "good", "2025-01-01", "100")
    lend(book, "next", "2025-03-01", "100", day_count=None)
    with pytest.raises(AccrualInputError) as refused:
        book.positions("2025-01-02", **DAILY)
    assert "L0 (30/365), L1 (no value), L2 (no value), L3 (no value), L4 (no value) and more" in str(refused.value)
    with pytest.raises(AccrualInputError, match="interest_accrual is servicer, but the servicing table accruals"):
        book.positions("2025-01-02", interest_accrual="servicer")
    # On the first day, nothing has accrued.
    assert book.positions("2025-01-01", interest_accrual="servicer")["2025-01-01", "good"]["interest_earned"] == 0


PAYMENTS = st.lists(st.tuples(st.integers(1, 180), st.integers(0, 60_000), st.integers(0, 5_000)), max_size=4)
LOAN = st.fixed_dictionaries(
    {
        "day_count": st.sampled_from(["30/360", "actual/365", "actual/360", "actual/actual"]),
        "rate": st.decimals(0, 3, places=8, allow_nan=False),
        "new_rate": st.decimals(0, 3, places=8, allow_nan=False),
        "lent_on": st.dates(date(2023, 8, 1), date(2024, 2, 29)),
        "principal": st.integers(1, 100_000),
        "payments": PAYMENTS,
        "extra": st.tuples(st.integers(1, 180), st.integers(1, 60_000)),
        "rate_after": st.integers(0, 180),
    }
)


def money(cents):
    return str(Decimal(cents) / 100)


def random_loan(book, number, loan):
    """The loan; the same with an extra payment of principal; and the same, unpaid and due after a month."""
    lent_on = loan["lent_on"]

    def on(days):
        return str(lent_on + timedelta(days=days))

    for kind in ("usual", "extra", "due"):
        loan_id = f"{kind} {number}"
        schedule = [(on(31), "0", "1"), *LATER] if kind == "due" else LATER
        lend(book, loan_id, str(lent_on), money(loan["principal"]), loan["rate"], loan["day_count"], schedule)
        change_rate(book, loan_id, on(loan["rate_after"]), loan["rate"], loan["new_rate"])
        for days, principal, interest in loan["payments"] if kind != "due" else ():
            book.txn(loan_id, "repayment", on(days), money(principal), money(interest))
        if kind == "extra":
            book.txn(loan_id, "repayment", on(loan["extra"][0]), money(loan["extra"][1]))


def fraction_of(day_count, on):
    """The fraction of a year that the day accrues, as the definitions say."""
    before = on - timedelta(days=1)
    match day_count:
        case "30/360":
            months = (on.year - before.year) * 12 + on.month - before.month
            return Fraction(30 * months + min(on.day, 30) - min(before.day, 30), 360)
        case "actual/actual":
            return Fraction(1, (date(before.year + 1, 1, 1) - date(before.year, 1, 1)).days)
        case _:
            return Fraction(1, int(day_count.removeprefix("actual/")))


@settings(max_examples=2)
@given(loans=st.lists(LOAN, min_size=1, max_size=4))
def test_interest_is_the_sum_of_its_days_and_a_payment_never_raises_it(loans):
    book, first, last = Book(), date(2023, 8, 1), date(2024, 9, 30)
    for number, loan in enumerate(loans):
        random_loan(book, number, loan)
    rows = book.positions(str(first), str(last), **DAILY)
    for number, loan in enumerate(loans):
        for kind in ("usual", "extra", "due"):
            accrued = Fraction(0)
            for on in each_day(loan["lent_on"] + timedelta(days=1), last):
                row, before = (rows[str(at), f"{kind} {number}"] for at in (on, on - timedelta(days=1)))
                owed = max(before["principal_outstanding"], Decimal(0))
                if not row["non_accrual"]:
                    accrued += Fraction(owed) * Fraction(row["annual_rate"]) * fraction_of(loan["day_count"], on)
                if row["status"] == "active":
                    # Fractions are rounded half to even.
                    assert row["interest_earned"] == Decimal(round(accrued * 100)) / 100, (kind, on, loan)
        for on in each_day(loan["lent_on"], last):
            usual, extra = (rows[str(on), f"{kind} {number}"] for kind in ("usual", "extra"))
            if usual["status"] == extra["status"] == "active":
                assert extra["interest_earned"] <= usual["interest_earned"], (on, loan)
