"""The pages of the ledger: the trial balance, its entries and the tie-outs, against the lake's rows."""

import json
import re
from decimal import Decimal
from html import unescape

import ibis
import pyarrow as pa
import pytest
from homes import LAST, Home
from people import People

from lending_pipelines.tables import TABLES


def cells(page: str, caption: str) -> list[list[str]]:
    """The texts of a table's rows."""
    table = re.search(rf'<caption class="visually-hidden">{re.escape(caption)}</caption>(.*?)</table>', page, re.S)[1]
    body = re.search(r"<tbody>(.*?)</tbody>", table, re.S)[1]
    rows = re.findall(r"<tr.*?</tr>", body, re.S)
    return [
        [" ".join(unescape(re.sub(r"<[^>]+>", " ", cell)).split()) for cell in re.findall(r"<td.*?</td>", row, re.S)]
        for row in rows
    ]


def amount(text: str) -> Decimal:
    if not text:
        # Zeros are left out of debits and credits.
        return Decimal(0)
    return Decimal(text.replace(",", "").replace("−", "-").split("\u00a0")[0].split(" ")[0])


def test_the_trial_balance_is_that_of_the_close(people: People, book):
    page = people.sign_in("auditor").get("/ledger").text
    rows = [row for row in book.home.rows("trial_balance") if row["business_date"] == LAST]
    for currency in {row["currency"] for row in rows}:
        shown = cells(page, f"Trial balance in {currency}")
        expected = sorted((row for row in rows if row["currency"] == currency), key=lambda row: row["account_code"])
        assert [row[0].split()[0] for row in shown] == [row["account_code"] for row in expected]
        assert [(amount(row[2]), amount(row[3])) for row in shown] == [
            (row["debit_balance"], row["credit_balance"]) for row in expected
        ]


def test_the_entries_of_an_account_add_up_to_its_balance(people: People, book):
    browser = people.sign_in("controller")
    row = next(
        row
        for row in book.home.rows("trial_balance")
        if (row["business_date"], row["account_code"], row["currency"]) == (LAST, "1100", "EUR")
    )
    link, found = "/ledger/accounts/1100?currency=EUR&sort=entry_date", []
    while link:
        page = browser.get(link).text
        found += cells(page, "Entries of the account")
        following = re.search(r'href="([^"]+)" rel="next"', page)
        link = f"/ledger/accounts/1100{unescape(following[1])}" if following else None
    total = sum((amount(each[4]) - amount(each[5]) for each in found), Decimal(0))
    assert total == row["balance"]
    lines = [
        line
        for line in book.home.rows("journal_lines")
        if (line["account_code"], line["currency"]) == ("1100", "EUR") and line["entry_date"] <= LAST
    ]
    assert len(found) == len(lines)
    entry = browser.get(f"/ledger/entries/{lines[0]['entry_id']}").text
    assert f'href="/loans/{lines[0]["loan_id"]}"' in entry
    assert "Balanced" in entry


@pytest.fixture
def broken(own_home: Home) -> None:
    """A tie-out of the last day that does not tie, with its loans."""
    loans = json.dumps(
        [
            {"loan_id": "L-<script>", "ledger": "10.00", "subledger": "7.50", "difference": "2.50"},
            {"loan_id": None, "ledger": "-1.00", "subledger": "0.00", "difference": "-1.00"},
        ]
    )
    rows = own_home.rows("ledger_tieouts", LAST, LAST)
    first = next(row for row in rows if row["control_for"] == "principal")
    first |= {"difference": Decimal("1.50"), "loans": loans}
    with own_home.lake() as lake:
        table = pa.Table.from_pylist(rows, schema=TABLES["ledger_tieouts"].arrow_schema)
        lake.replace_days("ledger_tieouts", ibis.memtable(table), LAST, LAST)


def test_a_break_is_shown_with_its_loans(own_people: People, own_home, broken):
    browser = own_people.sign_in("controller")
    page = browser.get("/ledger/tie-outs").text
    assert "1 break" in page
    shown = cells(page, "Control accounts")[0]
    assert (shown[0], amount(shown[4])) == ("Principal", Decimal("1.50"))
    link = unescape(re.search(r'href="(/ledger/tie-outs/principal/[^"]+)"', page)[1])
    detail = browser.get(link).text
    assert [row[0] for row in cells(detail, "Loans of the break")] == ["L-<script>", "Lines without a loan"]
    assert [amount(row[3]) for row in cells(detail, "Loans of the break")] == [Decimal("2.50"), Decimal("-1.00")]
    assert "L-<script>" not in detail


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/ledger?day=2025-02-30", 422),
        ("/ledger?day=1999-01-01", 404),
        ("/ledger?day=%3Cscript%3E", 422),
        ("/ledger/accounts/1100", 404),
        ("/ledger/accounts/1100?currency=XXX", 404),
        ("/ledger/accounts/%27%20OR%201=1?currency=EUR", 404),
        ("/ledger/accounts/1100?currency=EUR&after=damaged", 400),
        ("/ledger/accounts/1100?currency=EUR&sort=memo", 200),
        ("/ledger/accounts/1100?currency=EUR&sort=%00", 200),
        ("/ledger/entries/nothing", 404),
        ("/ledger/tie-outs?day=2025-99-99", 422),
        ("/ledger/tie-outs/principal/XXX", 404),
    ],
)
def test_bad_values_are_no_server_errors(people: People, path, status):
    answer = people.sign_in("admin").get(path)
    assert answer.status_code == status
    assert "<script>" not in answer.text.replace("<script ", "")


@pytest.mark.parametrize("person", ["manager", "officer", "investor", "customer"])
def test_only_the_lenders_own_roles_see_the_ledger(people: People, person):
    assert people.sign_in(person).get("/ledger").status_code == 403
