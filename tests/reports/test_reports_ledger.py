from datetime import date
from decimal import Decimal

import pytest

from lending_pipelines.errors import LendingError


def table(book, title):
    return next(t for t in book.tables if t.title == title)


def test_the_trial_balance_balances_per_currency(report, rows):
    book = report("trial_balance")
    assert [(row["account_code"], row["currency"]) for row in rows(book, "Trial balance")] == [
        ("1000", "EUR"),
        ("1100", "EUR"),
        ("1000", "USD"),
        ("1100", "USD"),
        ("4000", "USD"),
    ]
    eur, usd = table(book, "Trial balance").totals
    assert eur["debit"] == eur["credit"] == Decimal("300.00")
    # Of February, 110.00 and 55.50 were received; the 1,000.00 of January are in the opening balances.
    assert usd["opening_debit"] == usd["opening_credit"] == Decimal("1000.00")
    assert usd["debit"] == usd["credit"] == Decimal("165.50")
    assert usd["debit_balance"] == usd["credit_balance"] == Decimal("844.50")
    assert book.alerts == []
    assert book.notes == ["The accounting period is open: its days can change."]


def test_a_trial_balance_of_any_period_goes_from_opening_to_closing(report, rows):
    book = report("trial_balance", period="custom", from_date="2025-02-15", to_date="2025-02-28")
    usd = [list(row.values())[4:] for row in rows(book, "Trial balance") if row["currency"] == "USD"]
    # Cash: −1,000.00 + 110.00 = −890.00 on 14 February, + 55.50 = −834.50. Loans: 1,000.00 − 100.00 = 900.00,
    # − 55.50 = 844.50. Interest income: 10.00 on 10 February, nothing since.
    expected = [
        ("0.00", "890.00", "55.50", "0.00", "0.00", "834.50"),
        ("900.00", "0.00", "0.00", "55.50", "844.50", "0.00"),
        ("0.00", "10.00", "0.00", "0.00", "0.00", "10.00"),
    ]
    assert usd == [[Decimal(value) for value in row] for row in expected]


def test_a_trial_balance_that_does_not_balance_says_so_with_the_amount(lake, report):
    lake.rows["journal_lines"][2] = {**lake.rows["journal_lines"][2], "debit": Decimal("109.90")}
    book = report("trial_balance")
    assert book.alerts == [
        "The USD entries of the period do not balance: debits − credits = -0.10.",
        "The USD closing balances do not balance: debits − credits = -0.10.",
    ]
    assert set(book.alerts) <= set(book.notes)


def test_account_groups_have_the_accounts_below_them_and_each_account_counts_once(lake, report, rows):
    lake.rows["gl_accounts"] = [
        {"account_code": "1", "name": "Assets", "account_type": "asset"},
        {"account_code": "10", "name": "Liquid", "account_type": "asset", "parent_code": "1"},
        {"account_code": "1000", "name": "Cash", "account_type": "asset", "parent_code": "10"},
        {"account_code": "1100", "name": "Loans", "account_type": "asset", "parent_code": "1"},
        {"account_code": "4000", "name": "Interest income", "account_type": "income", "parent_code": "4"},
    ]
    book = report("trial_balance")
    usd = [
        (row["account_code"], row["name"], row["opening_balance"], row["closing_balance"])
        for row in rows(book, "By account group")
        if row["currency"] == "USD"
    ]
    # Assets: cash −834.50 + loans 844.50 = 10.00, and −1,000.00 + 1,000.00 = 0.00 when February began.
    assert usd == [
        ("1", "Assets", Decimal("0.00"), Decimal("10.00")),
        ("10", "\u2003Liquid", Decimal("-1000.00"), Decimal("-834.50")),
        ("1000", "\u2003\u2003Cash", Decimal("-1000.00"), Decimal("-834.50")),
        ("1100", "\u2003Loans", Decimal("1000.00"), Decimal("844.50")),
        ("4000", "Interest income", Decimal("0.00"), Decimal("-10.00")),
    ]
    assert table(book, "Trial balance").totals[1]["debit_balance"] == Decimal("844.50")
    assert any("4000 (parent_code 4)" in note for note in book.notes)


def test_each_branch_balances_or_the_report_says_by_how_much_it_does_not(lake, report, rows):
    assert "By branch" not in [each.title for each in report("trial_balance").tables]
    lake.rows["branches"] = [{"branch_id": "B1", "name": "North"}, {"branch_id": "B2", "name": "North"}]
    for line, branch in zip(lake.rows["journal_lines"], ["B1", "B1", "B2", "B2", "B1"], strict=False):
        lake.rows["journal_lines"][lake.rows["journal_lines"].index(line)] = line | {"branch_id": branch}
    book = report("trial_balance")
    # Of entry E2, 110.00 cash and 100.00 loans are of B2 and the interest of 10.00 is of B1: each is out by 10.00.
    branches = [
        (row["branch_id"], row["currency"], row["debit"], row["credit"], row["difference"], row["state"])
        for row in rows(book, "Branches")
    ]
    assert branches == [
        (None, "EUR", Decimal("300.00"), Decimal("300.00"), Decimal("0.00"), "balances"),
        ("B1", "USD", Decimal("0.00"), Decimal("10.00"), Decimal("-10.00"), "does not balance"),
        ("B2", "USD", Decimal("110.00"), Decimal("100.00"), Decimal("10.00"), "does not balance"),
        (None, "USD", Decimal("55.50"), Decimal("55.50"), Decimal("0.00"), "balances"),
    ]
    assert book.alerts == [
        f"Branch North does not balance in USD: closing debits − credits = {amount}, debits − credits of the period ="
        f" {amount}."
        for amount in ("-10.00", "10.00")
    ]
    by_branch = table(book, "By branch")
    assert [(section.title, section.rows) for section in by_branch.sections] == [
        ("no branch, EUR", 2),
        ("North, USD", 3),
        ("North, USD", 2),
        ("no branch, USD", 2),
    ]


@pytest.mark.parametrize(
    ("locked", "told"),
    [
        ([date(2025, 1, 31)], "The accounting period is open: its days can change."),
        (
            [date(2025, 2, 14)],
            "The days up to 2025-02-14 are in a closed accounting period; the days after it can change.",
        ),
        (
            [date(2025, 1, 31), date(2025, 2, 28)],
            "The accounting period is closed: all days up to 2025-02-28 are locked.",
        ),
    ],
)
def test_closed_accounting_periods_are_shown(lake, report, rows, locked, told):
    lake.rows["period_locks"] = [{"period_end": end, "locked_by": "Ann"} for end in locked]
    book = report("trial_balance")
    assert [row["period_end"] for row in rows(book, "Closed accounting periods")] == sorted(locked, reverse=True)
    assert told in book.notes


def test_the_ledger_runs_from_opening_to_closing(report, rows):
    book = report("general_ledger")
    assert book.title == "General ledger: 2025-02-01 to 2025-02-28"
    accounts = {(row["account_code"], row["currency"]): row for row in rows(book, "Accounts")}
    cash = accounts["1000", "USD"]
    assert (cash["opening_balance"], cash["debit"], cash["credit"], cash["closing_balance"]) == (
        Decimal("-1000.00"),
        Decimal("165.50"),
        Decimal("0.00"),
        Decimal("-834.50"),
    )
    loans = [row for row in rows(book, "Lines") if (row["account_code"], row["currency"]) == ("1100", "USD")]
    assert [(row["entry_date"], row["entry_id"], row["balance"]) for row in loans] == [
        (date(2025, 2, 10), "E2", Decimal("900.00")),
        (date(2025, 2, 20), "E3", Decimal("844.50")),
    ]


def test_closing_balances_are_those_of_the_trial_balance(lake, report, rows):
    closing = {
        (row["account_code"], row["currency"]): row["closing_balance"]
        for row in rows(report("general_ledger"), "Accounts")
    }
    trial = {(row["account_code"], row["currency"]): row["balance"] for row in lake.rows["trial_balance"]}
    assert closing == trial


def test_an_entry_that_arrived_after_the_close_is_noted(lake, report):
    late = {**lake.rows["journal_lines"][0], "entry_id": "E9", "entry_date": date(2025, 2, 3), "debit": Decimal("5.00")}
    lake.rows["journal_lines"].append(late)
    notes = report("general_ledger").notes
    assert "in 1100 by 5.00: entries were posted after the close" in notes[1]
    assert "lending close --from 2025-02-28 --to 2025-02-28 --force" in notes[1]


def test_the_journal_as_closed_has_no_such_note(report):
    assert report("general_ledger", allow_pii=True).notes == [
        "Balances are debit − credit: a credit balance is negative."
    ]


@pytest.mark.parametrize("account", ["4000", "interest INCOME"])
def test_one_account_by_code_or_name(report, rows, account):
    book = report("general_ledger", account=account, from_date="2025-01-01", allow_pii=True)
    assert [row["entry_id"] for row in rows(book, "Lines")] == ["E2"]
    assert [row["closing_balance"] for row in rows(book, "Accounts")] == [Decimal("-10.00")]
    assert len(book.notes) == 1


def test_an_unknown_account_gets_near_names(report):
    with pytest.raises(LendingError, match="no account 'Intrest income'; did you mean 'Interest income'"):
        report("general_ledger", account="Intrest income")


def test_a_period_without_entries_keeps_its_balances(report, rows):
    book = report("general_ledger", from_date="2025-02-25")
    assert table(book, "Lines").no_data == "no entries from 2025-02-25 to 2025-02-28"
    assert {row["opening_balance"] - row["closing_balance"] for row in rows(book, "Accounts")} == {Decimal("0.00")}


def test_too_many_lines_are_refused_with_their_number(report):
    with pytest.raises(LendingError, match="7 lines from 2025-02-01 to 2025-02-28 exceed max_lines 6"):
        report("general_ledger", max_lines=6)


def test_a_period_must_run_forwards(report):
    with pytest.raises(LendingError, match="from_date 2025-03-05 is after to_date 2025-02-28"):
        report("general_ledger", from_date="2025-03-05")


def test_the_trial_balance_by_type_of_account_is_for_readers_and_has_balances_on_their_normal_side(report, rows):
    book = report("trial_balance")
    # Cash and loans in USD: 10.00 is the interest earned, so assets are 10.00: 844.50 of loans less 834.50 of cash.
    usd = [row for row in rows(book, "By type of account") if row["currency"] == "USD"]
    assert [(row["account_type"], row["accounts"], row["balance"]) for row in usd] == [
        ("asset", 2, Decimal("10.00")),
        ("income", 1, Decimal("10.00")),
    ]
    assert [(chart.table, chart.currency) for chart in book.charts] == [
        ("By type of account", "EUR"),
        ("By type of account", "USD"),
    ]
    assert [table.title for table in book.for_programs().tables] == ["Trial balance"]
    assert book.for_programs().charts == []


def test_the_ledger_heads_with_whether_it_balances_or_with_the_balances_of_its_account(report):
    heads = report("general_ledger").headlines
    assert heads.names == ["currency", "lines", "debit", "credit", "difference"]
    usd = next(row for row in heads.arrow().to_pylist() if row["currency"] == "USD")
    assert usd["difference"] == usd["debit"] - usd["credit"] == Decimal("0.00")
    of_cash = report("general_ledger", account="1000").headlines
    assert of_cash.names == ["currency", "lines", "debit", "credit", "opening_balance", "closing_balance"]
    usd = next(row for row in of_cash.arrow().to_pylist() if row["currency"] == "USD")
    assert (usd["opening_balance"], usd["closing_balance"]) == (Decimal("-1000.00"), Decimal("-834.50"))
