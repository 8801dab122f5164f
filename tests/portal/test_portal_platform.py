"""Platform and My account: totals against the lake's rows, revenue by hand, and a customer's own numbers."""

import json
import re
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from html import unescape

import pytest
from homes import FIRST, LAST
from people import People


def rows_of(page: str, caption: str) -> list[list[str]]:
    table = re.search(rf'<caption class="visually-hidden">{re.escape(caption)}</caption>(.*?)</table>', page, re.S)
    body = re.search(r"<tbody>(.*?)</tbody>", table[1], re.S)[1] if table else ""
    return [
        [" ".join(unescape(re.sub(r"<[^>]+>", " ", cell)).split()) for cell in re.findall(r"<td.*?</td>", row, re.S)]
        for row in re.findall(r"<tr.*?</tr>", body, re.S)
    ]


def amount(text: str) -> Decimal | None:
    return None if text == "–" else Decimal(text.replace(",", "").replace("−", "-").replace("\u00a0", " ").split()[0])


def stats(page: str) -> dict[str, str]:
    found = re.findall(r'class="stat-label"[^>]*>(.*?)</.*?class="stat-value">(.*?)</span>', page, re.S)
    return {label: " ".join(unescape(re.sub(r"<[^>]+>", " ", value)).split()) for label, value in found}


def revenue_of(book, days: list[date], loans: set[str] | None = None) -> dict[tuple[date, str], tuple]:
    """Per day and currency: interest and fees. Interest is the change of Σ interest_earned from the day before."""
    earned: dict[tuple[date, str], Decimal] = defaultdict(Decimal)
    currency = {row["loan_id"]: row["currency"] for row in book.home.rows("loans")}
    for row in book.positions:
        if loans is None or row["loan_id"] in loans:
            earned[row["business_date"], row["currency"]] += row["interest_earned"]
    fees: dict[tuple[date, str], Decimal] = defaultdict(Decimal)
    for fee in book.home.rows("fees"):
        if loans is None or fee["loan_id"] in loans:
            fees[fee["assessed_on"], currency[fee["loan_id"]]] += fee["amount"]
            if fee["waived_on"]:
                fees[fee["waived_on"], currency[fee["loan_id"]]] -= fee["waived_amount"]
    return {
        (day, code): (earned[day, code] - earned[day - timedelta(days=1), code], fees[day, code])
        for day in days
        for code in {code for _, code in earned}
        if (day - timedelta(days=1), code) in earned
    }


def test_the_overview_is_the_row_of_the_day(people: People, book):
    page = people.sign_in("admin").get("/platform").text
    rows = [row for row in book.home.rows("platform_activity") if row["business_date"] == LAST]
    shown = stats(page)
    assert shown["Total users"] == str(rows[0]["total_users"])
    assert shown["Active loans"] == str(sum(row["active_loans"] for row in rows))
    assert shown["Open tickets"] == str(rows[0]["open_tickets"])
    for row in rows:
        assert amount(shown[f"Payments, {row['currency']}"]) == row["total_volume"]
    for wallet in json.loads(rows[0]["wallet_balances"]):
        assert amount(shown[f"Wallets, {wallet['asset_type']}"]) == Decimal(str(wallet["balance"]))


def test_revenue_of_a_day_is_interest_earned_and_fees_net(people: People, book):
    page = people.sign_in("admin").get("/platform?range=30&asset=USD").text
    days = [FIRST + timedelta(days=n) for n in range(1, (LAST - FIRST).days + 1)]
    expected = revenue_of(book, days)
    shown = {date.fromisoformat(row[0]): row for row in rows_of(page, "Revenue and transactions by day")}
    # 30 days end on 14 March 2025: the first is 13 February.
    assert sorted(shown) == days
    for day in days:
        interest, fees = expected[day, "USD"]
        row = shown[day]
        assert [amount(text) for text in row[2:5]] == [interest + fees, interest, fees], day
    moved = [row for row in book.home.rows("transactions") if days[0] <= row["effective_on"] <= LAST]
    currency = {row["loan_id"]: row["currency"] for row in book.home.rows("loans")}
    counted = sum(currency[row["loan_id"]] == "USD" for row in moved)
    assert sum(int(row[6].replace(",", "")) for row in shown.values()) == counted
    months = {row[0]: row for row in rows_of(page, "Revenue and transactions by month")}
    march = sum(sum(expected[day, "USD"]) for day in days if day.month == 3)
    assert (amount(months["2025-03"][2]), months["2025-03"][7]) == (march, "14")


def test_the_first_closed_day_has_no_change(people: People):
    page = people.sign_in("admin").get("/platform?range=all&asset=EUR").text
    shown = {row[0]: row for row in rows_of(page, "Revenue and transactions by day")}
    assert shown[str(FIRST)][2:4] == ["–", "–"]
    months = {row[0]: row for row in rows_of(page, "Revenue and transactions by month")}
    # February has a day whose interest is not known, so its sum is not known.
    assert months["2025-02"][2] == "–"


def test_a_segment_counts_its_users_and_the_loans_of_their_borrowers(people: People, book):
    users = book.home.rows("users")
    segment = min(row["segment"] for row in users)
    chosen = [row for row in users if row["segment"] == segment]
    page = people.sign_in("admin").get("/platform", params={"segment": segment, "range": "30"}).text
    shown = stats(page)
    assert shown["Total users"] == str(sum(row["joined_on"] <= LAST for row in chosen))
    borrowers = {row["borrower_id"] for row in chosen} - {None}
    active = [row for row in book.last if row["borrower_id"] in borrowers and row["status"] == "active"]
    assert shown["Active loans"] == str(len(active))
    ids = {row["user_id"] for row in chosen}
    tickets = [row for row in book.home.rows("tickets") if row["user_id"] in ids and row["opened_on"] <= LAST]
    still = [row for row in tickets if row["status"] == "open" or (row["closed_on"] or row["opened_on"]) > LAST]
    assert shown["Open tickets"] == str(len(still))
    loans = {row["loan_id"] for row in book.positions if row["borrower_id"] in borrowers}
    days = [LAST]
    expected = revenue_of(book, days, loans)
    for row in rows_of(page, "Revenue and transactions by day"):
        if row[0] == str(LAST):
            assert amount(row[2]) == sum(expected[LAST, row[1]])


@pytest.mark.parametrize(
    "query",
    ["range=x", "range=-1", "to=x", "to=1900-01-01", "to=2999-01-01", "asset=%27", "segment=%3Cscript%3E", "asset=%00"],
)
def test_bad_filters_show_the_page(people: People, query):
    answer = people.sign_in("admin").get(f"/platform?{query}")
    assert answer.status_code == 200
    assert "<script>" not in answer.text


def test_a_customer_sees_the_own_balances_with_their_history(people: People, book):
    browser = people.sign_in("customer")
    page = browser.get("/account").text
    home = book.home
    users = {row["user_id"] for row in home.rows("users") if row["borrower_id"] == book.customer}
    wallets = {row["wallet_id"]: row for row in home.rows("wallets") if row["user_id"] in users}
    moves = [row for row in home.rows("wallet_transactions") if row["wallet_id"] in wallets]
    shown = stats(page)
    for wallet_id, wallet in wallets.items():
        balance = sum((row["amount"] for row in moves if row["wallet_id"] == wallet_id), Decimal(0))
        assert amount(shown[f"{wallet['asset_type']} wallet"]) == balance
        # A line needs two balances.
        drawn = page.count(f'aria-label="Trend of {wallet["asset_type"]} wallet"')
        assert drawn == (len([row for row in moves if row["wallet_id"] == wallet_id]) > 1)
    loans = {row[0]: row for row in rows_of(page, "Loans")}
    own = {row["loan_id"]: row for row in book.last if row["borrower_id"] == book.customer}
    assert set(loans) == set(own)
    for loan_id, row in own.items():
        assert amount(loans[loan_id][2]) == row["principal_outstanding"]
        assert amount(loans[loan_id][5]) == row["next_due_amount"]
    tickets = [row for row in home.rows("tickets") if row["user_id"] in users]
    assert len(rows_of(page, "Tickets")) == len(tickets)
    history = rows_of(browser.get("/account/wallets").text, "Movements of the wallets")
    assert len(history) == min(len(moves), 50)
    if moves:
        # The latest movement of a wallet leaves it with its balance.
        latest = max(moves, key=lambda row: (row["occurred_at"], row["wallet_transaction_id"]))
        balance = sum(row["amount"] for row in moves if row["wallet_id"] == latest["wallet_id"])
        assert balance in {amount(row[3]) for row in history}


@pytest.mark.parametrize("person", ["admin", "manager", "investor"])
def test_my_account_is_for_customers(people: People, person):
    assert people.sign_in(person).get("/account").status_code == 403
