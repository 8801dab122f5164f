"""Trial balance and tie-outs of a ledger of a few entries, worked by hand."""

import json
from decimal import Decimal

import ibis
import pytest
from book import Book, day, posted

from lending_pipelines.metrics.ledger import ledger_tieouts, trial_balance

ACCOUNTS = [
    ("1000", "Cash", "asset", "cash"),
    ("1100", "Loans", "asset", "principal"),
    ("1200", "Interest receivable", "asset", "interest_receivable"),
    ("4000", "Interest income", "income", "interest_income"),
    ("3000", "Equity", "equity", None),
]
FIRST, LAST = "2025-01-10", "2025-01-13"


@pytest.fixture(scope="module")
def book():
    """L1: 1,000.00 on 10 January; 100.00 principal and 4.00 interest paid on 12 January, booked as 90.00 and 14.00.

    L2, in euros: 50.00 on 11 January. 7.00 of principal are booked on 12 January for no loan. Interest is accrued for
    all loans at once. On 20 January cash of 5.00 is booked back to 11 January.
    """
    book = Book()
    for code, name, type_, control_for in ACCOUNTS:
        book.add("gl_accounts", account_code=code, name=name, account_type=type_, control_for=control_for)
    book.loan("L1", "2025-01-10", "1000", [("2025-02-10", "1000", "31")])
    book.loan("L2", "2025-01-11", "50", [("2025-02-11", "50", "0")], currency="EUR")
    book.txn("L1", "repayment", "2025-01-12", "100", "4")
    entries = [
        ("E1", "2025-01-10", "USD", [("1100", "1000", "L1"), ("1000", "-1000", None)]),
        ("E2", "2025-01-11", "EUR", [("1100", "50", "L2"), ("1000", "-50", None)]),
        ("E3", "2025-01-12", "USD", [("1000", "104", "L1"), ("1100", "-90", "L1"), ("1200", "-14", None)]),
        ("E4", "2025-01-12", "USD", [("1100", "7", None), ("3000", "-7", None)]),
        ("E5", "2025-01-12", "USD", [("1200", "2", None), ("4000", "-2", None)]),
        ("E6", "2025-01-11", "USD", [("1000", "5", None), ("3000", "-5", None)]),
    ]
    for entry_id, on, currency, lines in entries:
        for number, (code, amount, loan_id) in enumerate(lines, 1):
            book.add(
                "journal_lines",
                entry_id=entry_id,
                line_no=number,
                account_code=code,
                entry_date=day(on),
                posted_at=posted(day("2025-01-20" if entry_id == "E6" else on)),
                debit=max(Decimal(amount), Decimal(0)),
                credit=max(-Decimal(amount), Decimal(0)),
                currency=currency,
                loan_id=loan_id,
            )
    return book


@pytest.fixture(scope="module")
def balances(book):
    expression = trial_balance(book.read("journal_lines"), book.read("gl_accounts"), day(FIRST), day(LAST))
    return book.table("trial_balance", expression)


@pytest.fixture(scope="module")
def tieouts(book):
    lines, accounts = book.read("journal_lines"), book.read("gl_accounts")
    days = day(FIRST), day(LAST)
    balances = trial_balance(lines, accounts, *days)
    rows = book.table("ledger_tieouts", ledger_tieouts(book.memo(FIRST, LAST), balances, lines, accounts, *days))
    return {(str(row["business_date"]), row["control_for"], row["currency"]): row for row in rows}


def _balance(balances, on, code, currency="USD"):
    columns = ("debit_total", "credit_total", "balance", "debit_balance", "credit_balance")
    for row in balances:
        if (str(row["business_date"]), row["account_code"], row["currency"]) == (on, code, currency):
            return tuple(str(row[name]) for name in columns)
    return None


def test_trial_balance_of_a_day_is_every_entry_up_to_it(balances):
    assert _balance(balances, "2025-01-10", "1000") == ("0.00", "1000.00", "-1000.00", "0.00", "1000.00")
    # with the 5.00 that were booked back into the closed day
    assert _balance(balances, "2025-01-11", "1000") == ("5.00", "1000.00", "-995.00", "0.00", "995.00")
    assert _balance(balances, "2025-01-12", "1000") == ("109.00", "1000.00", "-891.00", "0.00", "891.00")
    assert _balance(balances, "2025-01-13", "1000") == ("109.00", "1000.00", "-891.00", "0.00", "891.00")
    assert _balance(balances, "2025-01-13", "1100") == ("1007.00", "90.00", "917.00", "917.00", "0.00")


def test_currencies_are_apart_and_each_balances(balances):
    assert _balance(balances, "2025-01-10", "1100", "EUR") is None
    assert _balance(balances, "2025-01-13", "1100", "EUR") == ("50.00", "0.00", "50.00", "50.00", "0.00")
    for on in ("2025-01-10", "2025-01-11", "2025-01-12", "2025-01-13"):
        for currency in ("USD", "EUR"):
            rows = [r for r in balances if str(r["business_date"]) == on and r["currency"] == currency]
            assert sum(r["debit_total"] for r in rows) == sum(r["credit_total"] for r in rows)


def test_trial_balance_names_its_accounts(balances):
    assert {(row["account_code"], row["name"], row["account_type"]) for row in balances} == {
        (code, name, type_) for code, name, type_, _ in ACCOUNTS
    }


def _tieout(tieouts, *key):
    row = tieouts[key]
    return tuple(str(row[name]) for name in ("ledger_balance", "subledger_balance", "difference"))


def test_controls_that_tie_list_no_loans(tieouts):
    assert _tieout(tieouts, "2025-01-10", "principal", "USD") == ("1000.00", "1000.00", "0.00")
    assert _tieout(tieouts, "2025-01-13", "principal", "EUR") == ("50.00", "50.00", "0.00")
    assert tieouts["2025-01-13", "principal", "EUR"]["loans"] == "[]"


def test_a_break_lists_its_loans_and_what_names_none(tieouts):
    assert _tieout(tieouts, "2025-01-12", "principal", "USD") == ("917.00", "900.00", "17.00")
    assert json.loads(tieouts["2025-01-12", "principal", "USD"]["loans"], parse_float=Decimal) == [
        {"loan_id": "L1", "ledger": Decimal(910), "subledger": Decimal(900), "difference": Decimal(10)},
        {"loan_id": None, "ledger": Decimal(7), "subledger": Decimal(0), "difference": Decimal(7)},
    ]


def test_an_account_of_accruals_names_no_loans(tieouts):
    # 2.00 accrued, 14.00 settled, booked for no loan; by positions 2 × 1.00 is earned and 4.00 settled
    row = tieouts["2025-01-12", "interest_receivable", "USD"]
    assert (str(row["ledger_balance"]), str(row["subledger_balance"]), row["loans"]) == ("-12.00", "0.00", "[]")


def test_accruals_name_loans_until_some_are_posted_for_no_loan():
    """Each loan earns 1.00 a day from 10 January. On 12 January, income in dollars is accrued for no loan."""
    book = Book()
    book.add("gl_accounts", account_code="4000", name="Income", account_type="income", control_for="interest_income")
    for loan_id, currency in (("L1", "USD"), ("L2", "EUR")):
        book.loan(loan_id, "2025-01-10", "1000", [("2025-02-10", "1000", "31")], currency=currency)
    for number, (on, currency, loan_id) in enumerate(
        [("2025-01-11", "USD", "L1"), ("2025-01-11", "EUR", "L2"), ("2025-01-12", "USD", None)], 1
    ):
        book.add(
            "journal_lines",
            entry_id="E",
            line_no=number,
            account_code="4000",
            entry_date=day(on),
            posted_at=posted(day(on)),
            debit=Decimal(0),
            credit=Decimal(3),
            currency=currency,
            loan_id=loan_id,
        )
    lines, accounts = book.read("journal_lines"), book.read("gl_accounts")

    def listed(first, last):
        days = day(first), day(last)
        tieouts = ledger_tieouts(book.memo(first, last), trial_balance(lines, accounts, *days), lines, accounts, *days)
        rows = book.table("ledger_tieouts", tieouts)
        return {(str(row["business_date"])[8:], row["currency"]): json.loads(row["loans"]) for row in rows}

    def broken(loan_id, subledger):
        return [{"loan_id": loan_id, "ledger": 3, "subledger": subledger, "difference": 3 - subledger}]

    in_range = listed("2025-01-11", "2025-01-12")
    assert in_range == {
        ("11", "USD"): broken("L1", 1),
        ("11", "EUR"): broken("L2", 1),
        ("12", "USD"): [],
        ("12", "EUR"): broken("L2", 2),
    }
    assert listed("2025-01-11", "2025-01-11") == {key: value for key, value in in_range.items() if key[0] == "11"}


def test_income_is_in_natural_sign(tieouts):
    # 31.00 over 31 days: 1.00 a day
    assert _tieout(tieouts, "2025-01-12", "interest_income", "USD") == ("2.00", "2.00", "0.00")


def test_only_controls_that_the_chart_has(tieouts):
    assert {control for _, control, _ in tieouts} == {"cash", "principal", "interest_receivable", "interest_income"}


def test_a_control_account_without_any_line_shows_every_loan():
    book = Book()
    book.add("gl_accounts", account_code="1100", name="Loans", account_type="asset", control_for="principal")
    for loan_id, principal in (('L"1', "10"), ("L2", "20"), ("L\t3", "30"), ("L\n4", "40"), ("L\\5", "50")):
        book.loan(loan_id, "2025-01-10", principal, [("2025-02-10", principal, "1")])
    lines, accounts, days = book.read("journal_lines"), book.read("gl_accounts"), (day("2025-01-10"),) * 2
    balances = trial_balance(lines, accounts, *days)
    expression = ledger_tieouts(book.memo("2025-01-10"), balances, lines, accounts, *days)
    (row,) = book.table("ledger_tieouts", expression)
    assert (str(row["ledger_balance"]), str(row["difference"])) == ("0.00", "-150.00")
    assert [loan["loan_id"] for loan in json.loads(row["loans"])] == ["L\\5", "L\n4", "L\t3", "L2", 'L"1']


def test_a_credit_balance_that_is_booked_wrong_is_a_break():
    """Of 100.00 lent 105.00 are repaid, booked as 103.00: the ledger has −3.00, the positions −5.00."""
    book = Book()
    book.add("gl_accounts", account_code="1100", name="Loans", account_type="asset", control_for="principal")
    book.loan("L1", "2025-01-10", "100", [("2025-02-10", "100", "1")])
    book.txn("L1", "repayment", "2025-01-10", "105")
    for number, (debit, credit) in enumerate((("100", "0"), ("0", "103")), 1):
        keys = {"entry_id": f"E{number}", "line_no": 1, "account_code": "1100", "loan_id": "L1", "currency": "USD"}
        on = day("2025-01-10")
        amounts = {"debit": Decimal(debit), "credit": Decimal(credit)}
        book.add("journal_lines", **keys, **amounts, entry_date=on, posted_at=posted(on))
    lines, accounts, days = book.read("journal_lines"), book.read("gl_accounts"), (day("2025-01-10"),) * 2
    balances = trial_balance(lines, accounts, *days)
    expression = ledger_tieouts(book.memo("2025-01-10"), balances, lines, accounts, *days)
    (row,) = book.table("ledger_tieouts", expression)
    assert [str(row[name]) for name in ("ledger_balance", "subledger_balance", "difference")] == [
        "-3.00",
        "-5.00",
        "2.00",
    ]
    assert json.loads(row["loans"]) == [{"loan_id": "L1", "ledger": -3, "subledger": -5, "difference": 2}]


def test_a_break_lists_its_20_largest_loans_and_equal_ones_by_id():
    """Nothing is booked for 22 loans, of 10 to 13 in fours and 14 in sixes: the two of 10 last by id are not listed."""
    book = Book()
    book.add("gl_accounts", account_code="1100", name="Loans", account_type="asset", control_for="principal")
    balances = [10] * 4 + [11] * 4 + [12] * 4 + [13] * 4 + [14] * 6
    for number, balance in enumerate(balances, 1):
        book.loan(f"L{number:02}", "2025-01-10", str(balance), [("2025-02-10", str(balance), "1")])
    lines, accounts, days = book.read("journal_lines"), book.read("gl_accounts"), (day("2025-01-10"),) * 2
    # Handed over in another order than by id.
    positions = ibis.memtable(book.backend.to_pyarrow(book.memo("2025-01-10")).sort_by([("loan_id", "descending")]))
    expression = ledger_tieouts(positions, trial_balance(lines, accounts, *days), lines, accounts, *days)
    (row,) = book.table("ledger_tieouts", expression)
    assert str(row["difference"]) == "-268.00"
    expected = [f"L{n:02}" for n in (17, 18, 19, 20, 21, 22, 13, 14, 15, 16, 9, 10, 11, 12, 5, 6, 7, 8, 1, 2)]
    assert [loan["loan_id"] for loan in json.loads(row["loans"])] == expected


def test_red_storno_lowers_the_side_that_it_corrects_and_ties_out():
    """L1 gets 1,000.00, booked twice by mistake; the second booking is taken back by negative lines on the same sides.

    A line of 0.00 and 0.00, the only one of its account, changes nothing.
    """
    book = Book()
    for code, name, type_, control_for in ACCOUNTS:
        book.add("gl_accounts", account_code=code, name=name, account_type=type_, control_for=control_for)
    book.loan("L1", "2025-01-10", "1000", [("2025-02-10", "1000", "31")])
    lines = [("1100", "1000", "0"), ("1000", "0", "1000")]
    storno = [("1100", "-1000", "0"), ("1000", "0", "-1000"), ("3000", "0", "0")]
    for entry_id, on, entry in (("E1", "10", lines), ("E2", "11", lines), ("E3", "12", storno)):
        for number, (code, debit, credit) in enumerate(entry, 1):
            book.add(
                "journal_lines",
                entry_id=entry_id,
                line_no=number,
                account_code=code,
                entry_date=day(f"2025-01-{on}"),
                posted_at=posted(day(f"2025-01-{on}")),
                debit=Decimal(debit),
                credit=Decimal(credit),
                currency="USD",
                loan_id="L1",
            )
    journal, accounts = book.read("journal_lines"), book.read("gl_accounts")
    days = day("2025-01-11"), day("2025-01-12")
    balances = trial_balance(journal, accounts, *days)
    found = {
        (row["business_date"].day, row["account_code"]): tuple(
            str(row[name]) for name in ("debit_total", "credit_total", "debit_balance", "credit_balance")
        )
        for row in book.table("trial_balance", balances)
    }
    assert found == {
        (11, "1100"): ("2000.00", "0.00", "2000.00", "0.00"),
        (11, "1000"): ("0.00", "2000.00", "0.00", "2000.00"),
        (12, "1100"): ("1000.00", "0.00", "1000.00", "0.00"),
        (12, "1000"): ("0.00", "1000.00", "0.00", "1000.00"),
        (12, "3000"): ("0.00", "0.00", "0.00", "0.00"),
    }
    positions = book.memo("2025-01-11", "2025-01-12")
    ties = book.table("ledger_tieouts", ledger_tieouts(positions, balances, journal, accounts, *days))
    differences = {
        (row["business_date"].day, row["control_for"]): str(row["difference"])
        for row in ties
        if row["control_for"] in ("principal", "cash")
    }
    assert differences == {
        (11, "principal"): "1000.00",
        (11, "cash"): "-1000.00",
        (12, "principal"): "0.00",
        (12, "cash"): "0.00",
    }
