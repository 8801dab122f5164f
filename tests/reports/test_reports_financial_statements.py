"""Balance sheet and income statement of a ledger of eight entries, worked by hand.

USD: capital of 1,000.00 is paid in on 5 January. 600.00 is lent on 10 January. On 31 January interest of 20.00 is
earned and costs of 5.00 are paid. On 10 February 120.00 is received: 100.00 of principal and 20.00 of the interest.
On 20 February a bank lends 300.00. On 25 February interest of 8.00 is received in cash. EUR: 50.00 of capital on 1
February.
"""

from datetime import date
from decimal import Decimal

import pytest
from tiny_lake import TinyLake, generate, rows, table

from lending_pipelines.errors import LendingError

FEB = date(2025, 2, 28)
_ACCOUNTS = (
    ("1", "Assets", "asset", None),
    ("10", "Cash", "asset", "1"),
    ("11", "Loans", "asset", "1"),
    ("12", "Interest receivable", "asset", "11"),
    ("2", "Bank loan", "liability", None),
    ("3", "Capital", "equity", None),
    ("4", "Interest income", "income", None),
    ("5", "Costs", "expense", None),
)
_ENTRIES = (
    ("2025-01-05", "USD", "10", "3", "1000.00"),
    ("2025-01-10", "USD", "11", "10", "600.00"),
    ("2025-01-31", "USD", "12", "4", "20.00"),
    ("2025-01-31", "USD", "5", "10", "5.00"),
    ("2025-02-10", "USD", "10", "11", "100.00"),
    ("2025-02-10", "USD", "10", "12", "20.00"),
    ("2025-02-20", "USD", "10", "2", "300.00"),
    ("2025-02-25", "USD", "10", "4", "8.00"),
    ("2025-02-01", "EUR", "10", "3", "50.00"),
)


def _line(entry, number, account, debit, credit):
    day, currency = _ENTRIES[entry][:2]
    return {
        "entry_id": f"E{entry}",
        "line_no": number,
        "entry_date": date.fromisoformat(day),
        "account_code": account,
        "debit": Decimal(debit),
        "credit": Decimal(credit),
        "currency": currency,
    }


@pytest.fixture
def source():
    lines = []
    for number, (_, _, debited, credited, amount) in enumerate(_ENTRIES):
        lines += [_line(number, 1, debited, amount, "0.00"), _line(number, 2, credited, "0.00", amount)]
    names = ("account_code", "name", "account_type", "parent_code")
    day = {"business_date": FEB, "account_code": "10", "currency": "USD"}
    return TinyLake(
        {
            "gl_accounts": [dict(zip(names, account, strict=True)) for account in _ACCOUNTS],
            "journal_lines": lines,
            "loan_positions": [{"business_date": FEB, "loan_id": "L1", "currency": "USD", "status": "active"}],
            "trial_balance": [day],
        }
    )


def _amounts(book, title, *keys):
    """The amount, the earlier amount and the change of each row."""
    return {
        tuple(row[key] for key in keys): tuple(
            None if row[n] is None else str(row[n]) for n in ("amount", "before", "change")
        )
        for row in rows(book, title)
    }


def test_the_balance_sheet_balances_on_both_days_in_each_currency(source):
    book = generate(source, "balance_sheet")
    # 28 February, USD: cash 1,000 − 600 − 5 + 100 + 20 + 300 + 8 = 823; loans 600 − 100 = 500; receivable 20 − 20 = 0:
    # assets 1,323. Bank 300, capital 1,000, result 20 + 8 − 5 = 23: 1,323.
    # 31 January: cash 395, loans 600, receivable 20: 1,015 = capital 1,000 + result 15.
    assert _amounts(book, "Totals", "currency", "line") == {
        ("EUR", "Assets"): ("50.00", "0.00", "50.00"),
        ("EUR", "Liabilities"): ("0.00", "0.00", "0.00"),
        ("EUR", "Equity"): ("50.00", "0.00", "50.00"),
        ("EUR", "Result"): ("0.00", "0.00", "0.00"),
        ("EUR", "Liabilities, equity and result"): ("50.00", "0.00", "50.00"),
        ("EUR", "No difference"): ("0.00", "0.00", "0.00"),
        ("USD", "Assets"): ("1323.00", "1015.00", "308.00"),
        ("USD", "Liabilities"): ("300.00", "0.00", "300.00"),
        ("USD", "Equity"): ("1000.00", "1000.00", "0.00"),
        ("USD", "Result"): ("23.00", "15.00", "8.00"),
        ("USD", "Liabilities, equity and result"): ("1323.00", "1015.00", "308.00"),
        ("USD", "No difference"): ("0.00", "0.00", "0.00"),
    }
    assert book.alerts == []
    assert [column.label for column in table(book, "Totals").columns][2:] == ["2025-02-28", "2025-01-31", "Change"]


def test_accounts_stand_below_their_group_with_its_sum_and_sections_have_totals(source):
    book = generate(source, "balance_sheet")
    grouped = table(book, "By account group")
    usd = [row for row in rows(book, "By account group") if row["currency"] == "USD"]
    # Loans with the receivable below them: 500 + 0 on 28 February, 600 + 20 on 31 January.
    assert [(row["account_code"], row["name"], str(row["amount"]), str(row["before"])) for row in usd] == [
        ("1", "Assets", "1323.00", "1015.00"),
        ("10", "\u2003Cash", "823.00", "395.00"),
        ("11", "\u2003Loans", "500.00", "620.00"),
        ("12", "\u2003\u2003Interest receivable", "0.00", "20.00"),
        ("2", "Bank loan", "300.00", "0.00"),
        ("3", "Capital", "1000.00", "1000.00"),
        (None, "Result, not transferred to equity", "23.00", "15.00"),
    ]
    assert [(part.title, str(part.after["amount"])) for part in grouped.sections[3:]] == [
        ("Assets, USD", "1323.00"),
        ("Liabilities, USD", "300.00"),
        ("Equity and result, USD", "1023.00"),
    ]
    # Other formats have the accounts themselves, whose sum is the total.
    assert "By account group" not in [each.title for each in book.for_programs().tables]
    own = _amounts(book, "Accounts", "currency", "account_code")
    assert own["USD", "11"] == ("500.00", "600.00", "-100.00")


def test_a_difference_is_shown_with_its_amount_and_marked(source):
    source.rows["journal_lines"][0] |= {"debit": Decimal("1004.00")}
    book = generate(source, "balance_sheet")
    # 4.00 more of cash on both days has no other side.
    totals = table(book, "Totals")
    assert _amounts(book, "Totals", "currency", "line")["USD", "Difference"] == ("4.00", "4.00", "0.00")
    assert totals.marked == ("line", "Difference")
    assert book.alerts == [
        f"USD: assets differ from liabilities, equity and result by 4.00 on {day}."
        for day in ("2025-02-28", "2025-01-31")
    ]
    assert _amounts(book, "Totals", "currency", "line")["EUR", "No difference"] == ("0.00", "0.00", "0.00")


def test_an_account_that_is_not_in_the_chart_makes_a_difference_and_is_named(source):
    source.rows["gl_accounts"] = [row for row in source.rows["gl_accounts"] if row["account_code"] != "2"]
    book = generate(source, "balance_sheet")
    assert _amounts(book, "Totals", "currency", "line")["USD", "Difference"] == ("300.00", "0.00", "300.00")
    assert "Accounts without an account type are in no section (debit − credit): 2 (-300.00 USD)." in book.notes


def test_an_account_below_one_of_another_type_counts_with_its_own_type(source):
    source.rows["gl_accounts"][4]["parent_code"] = "1"
    book = generate(source, "balance_sheet")
    assert _amounts(book, "Totals", "currency", "line")["USD", "Assets"][0] == "1323.00"
    assert ("2", "Bank loan") in [(row["account_code"], row["name"]) for row in rows(book, "By account group")]


def test_the_earlier_day_is_unknown_before_the_ledger_begins(source):
    book = generate(source, "balance_sheet", compared_with="year_end")
    assert _amounts(book, "Totals", "currency", "line")["USD", "Assets"] == ("1323.00", None, None)
    with pytest.raises(LendingError, match="compared_with 2025-02-28 is not before as_of 2025-02-28"):
        generate(source, "balance_sheet", compared_with="2025-02-28")


def test_the_income_statement_compares_with_the_period_before(source):
    book = generate(source, "income_statement")
    # February: 8.00 of interest. January: 20.00 of interest less 5.00 of costs.
    assert _amounts(book, "Totals", "currency", "line") == {
        ("EUR", "Income"): ("0.00", "0.00", "0.00"),
        ("EUR", "Expenses"): ("0.00", "0.00", "0.00"),
        ("EUR", "Result"): ("0.00", "0.00", "0.00"),
        ("USD", "Income"): ("8.00", "20.00", "-12.00"),
        ("USD", "Expenses"): ("0.00", "5.00", "-5.00"),
        ("USD", "Result"): ("8.00", "15.00", "-7.00"),
    }
    assert book.title == "Income statement: February 2025"
    assert [column.label for column in table(book, "Totals").columns][2:] == ["February 2025", "January 2025", "Change"]


def test_a_source_without_a_ledger_says_so(source):
    source.rows["journal_lines"] = []
    for report_type in ("balance_sheet", "income_statement"):
        assert generate(source, report_type).no_data == "the source has no journal_lines"
