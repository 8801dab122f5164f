"""The pages Loans: lists, filters, pages, and one loan, against the lake's rows; scope, masks and wrong parameters."""

import re
from collections import Counter
from datetime import date
from decimal import Decimal

import pytest
import sqlalchemy as sa
from homes import LAST, MONTHLY_TAPE, PORTFOLIO
from page_rows import column, money
from people import People

from lending_pipelines.portal.routes.loans import _schedule


def listed(page: str) -> list[str]:
    return column(page, "Loans", "Loan")


def all_pages(browser, **parameters) -> list[str]:
    """The loans of all pages, by following the link to the next one."""
    found, link = [], "/loans"
    while link:
        page = browser.get(link, params=parameters).text
        found += listed(page)
        following = re.search(r'href="(\?[^"]*)" rel="next"', page)
        link, parameters = (f"/loans{following[1].replace('&amp;', '&')}", None) if following else ("", None)
    return found


def test_pages_have_every_loan_once_in_order(people: People, book):
    found = all_pages(people.sign_in("admin"), sort="-days_past_due")
    assert found == [row["loan_id"] for row in sorted(book.last, key=lambda r: (-r["days_past_due"], r["loan_id"]))]


@pytest.mark.parametrize("name", ["manager", "officer", "investor", "customer"])
def test_a_list_has_the_loans_of_the_person_and_no_others(people: People, book, name):
    assert set(all_pages(people.sign_in(name))) == {row["loan_id"] for row in book.last if book.owns(name, row)}


@pytest.mark.parametrize(
    ("parameter", "name"),
    [
        ("status", "status"),
        ("bucket", "bucket"),
        ("branch", "branch_id"),
        ("officer", "officer_id"),
        ("product", "product_id"),
        ("portfolio", "portfolio_id"),
        ("currency", "currency"),
        ("vintage", "vintage"),
        ("investor", "investor_id"),
        ("program", "program_id"),
    ],
)
def test_a_filter_keeps_the_loans_with_that_value(people: People, book, parameter, name):
    value, _ = Counter(row[name] for row in book.last if row[name]).most_common()[-1]
    expected = {row["loan_id"] for row in book.last if row[name] == value}
    assert set(all_pages(people.sign_in("controller"), **{parameter: value})) == expected


def test_a_search_finds_parts_of_ids_without_regard_to_case(people: People, book):
    browser = people.sign_in("controller")
    assert set(all_pages(browser, q="l00000001")) == {
        row["loan_id"] for row in book.last if row["loan_id"].startswith("L00000001")
    }
    nothing = browser.get("/loans", params={"q": "no such loan"}).text
    assert "No loan matches" in nothing


def test_a_list_shows_the_numbers_of_the_last_day(people: People, book):
    page = people.sign_in("controller").get("/loans", params={"sort": "-past_due_amount"}).text
    rows = sorted(book.last, key=lambda row: (-row["past_due_amount"], row["loan_id"]))[:50]
    assert column(page, "Loans", "Balance") == [money(r["principal_outstanding"], r["currency"]) for r in rows]
    assert column(page, "Loans", "Past due") == [money(r["past_due_amount"]) for r in rows]
    assert column(page, "Loans", "Days late") == [f"{r['days_past_due']:,}" for r in rows]
    usd = sum(row["principal_outstanding"] for row in book.last if row["currency"] == "USD")
    assert f"{usd:,.2f} USD outstanding" in page.replace("\xa0", " ")


def test_a_loan_shows_its_schedule_payments_and_history(people: People, book):
    row = max(book.last, key=lambda row: (row["days_past_due"], row["loan_id"]))
    loan_id, browser = row["loan_id"], people.sign_in("controller")
    page = browser.get(f"/loans/{loan_id}").text
    installments = [each for each in book.home.rows("installments") if each["loan_id"] == loan_id]
    version = max(each["version"] for each in installments if each["effective_on"] <= LAST)
    scheduled = {each["number"]: each for each in installments if each["version"] == version}
    numbers = [int(number) for number in column(page, "Schedule", "No.")]
    assert sorted(numbers) == sorted(scheduled)
    for number, principal, status in zip(
        numbers, column(page, "Schedule", "Principal"), column(page, "Schedule", "Status"), strict=True
    ):
        each = scheduled[number]
        assert principal == money(each["principal"])
        if each["due_on"] > LAST:
            assert status == "Scheduled"
        else:
            assert (status == "Paid") == (each["due_on"] < row["oldest_due_on"]), number
    balances = column(page, f"Balance over time, {row['currency']}", "Principal outstanding")
    own = [each for each in book.positions if each["loan_id"] == loan_id]
    assert balances == [money(each["principal_outstanding"]) for each in own]
    paid = browser.get(f"/loans/{loan_id}", params={"tab": "payments"}).text
    transactions = [each for each in book.home.rows("transactions") if each["loan_id"] == loan_id]
    assert sorted(column(paid, "Payments", "Id")) == sorted(each["transaction_id"] for each in transactions)


@pytest.mark.parametrize(
    ("status", "principal", "settled", "scheduled_due", "oldest", "expected"),
    [
        ("active", "10", "520", "1060", date(2025, 2, 10), ("paid", "past due", "past due", "scheduled")),
        # The principal was repaid on 15 February, when 1,030 were due: what falls due later is not owed.
        ("active", "0", "1000", "1030", date(2025, 2, 10), ("paid", "past due", "ended", "ended")),
        ("closed", "0", "1030", "1060", None, ("paid", "paid", "ended", "ended")),
    ],
)
def test_installments_after_the_principal_was_repaid_have_ended(
    status, principal, settled, scheduled_due, oldest, expected
):
    """520 are due on 10 January, 510 on 10 February, 30 on 10 March, and 5 on 10 April."""
    due = [("500", "20"), ("490", "20"), ("10", "20"), ("0", "5")]
    rows = [
        {"number": n, "due_on": date(2025, n, 10), "principal": Decimal(principal), "interest": Decimal(interest)}
        for n, (principal, interest) in enumerate(due, 1)
    ]
    position = {
        "business_date": date(2025, 3, 15),
        "currency": "USD",
        "status": status,
        "principal_outstanding": Decimal(principal),
        "settled": Decimal(settled),
        "scheduled_due": Decimal(scheduled_due),
        "oldest_due_on": oldest,
    }
    shown = {row["number"]: row["status"] for row in _schedule(rows, position)}
    assert tuple(shown[n] for n in (1, 2, 3, 4)) == expected


def test_a_reversed_payment_is_marked(people: People, book):
    reversals = [row for row in book.home.rows("transactions") if row["reverses_id"]]
    assert reversals
    loan_id = reversals[0]["loan_id"]
    page = people.sign_in("admin").get(f"/loans/{loan_id}", params={"tab": "payments"}).text
    marked = [
        id
        for id, type in zip(column(page, "Payments", "Id"), column(page, "Payments", "Type"), strict=True)
        if type.endswith("Reversed")
    ]
    assert marked == sorted((row["reverses_id"] for row in reversals if row["loan_id"] == loan_id), key=marked.index)
    assert set(marked) == {row["reverses_id"] for row in reversals if row["loan_id"] == loan_id}


def test_a_loan_lists_the_tapes_that_it_is_in(people: People, book):
    # The portfolio has its loans from 12 February: the month end is in, and no day before.
    member = next(row["loan_id"] for row in book.home.rows("portfolio_membership") if not row["removed_on"])
    other = next(row["loan_id"] for row in book.last if row["portfolio_id"] is None)
    browser = people.sign_in("controller")
    page = browser.get(f"/loans/{member}", params={"tab": "tapes"}).text
    shown = dict(zip(column(page, "Tapes", "Day"), column(page, "Tapes", "Tape"), strict=True))
    assert shown["2025-02-28"] == MONTHLY_TAPE
    assert "No tape that you may see lists this loan" in browser.get(f"/loans/{other}", params={"tab": "tapes"}).text
    # A tape of the whole portfolio is not an investor's.
    own = min(book.loans("investor"))
    assert MONTHLY_TAPE not in people.sign_in("investor").get(f"/loans/{own}", params={"tab": "tapes"}).text
    assert people.sign_in("officer").get(f"/loans/{min(book.loans('officer'))}?tab=tapes").status_code == 403


def test_what_was_known_by_a_day_leaves_out_what_was_posted_later(people: People, book):
    loan_id = min(row["loan_id"] for row in book.last if row["portfolio_id"])
    records = [row for row in book.home.rows("transactions") if row["loan_id"] == loan_id]
    until = sorted(row["posted_at"] for row in records)[len(records) // 2].date()
    page = people.sign_in("auditor").get(f"/loans/{loan_id}", params={"tab": "known", "known": until}).text
    shown = column(page, "Records by the time at which they were posted", "Record")
    expected = sum(row["posted_at"].date() <= until for row in records)
    assert 0 < expected < len(records)
    assert sum(each.startswith("Transaction") for each in shown) == expected
    known_on = column(page, "Records by the time at which they were posted", "Known on")
    assert max(date.fromisoformat(each) for each in known_on) <= until


def test_personal_data_is_shown_on_request_and_recorded(people: People, book):
    row = next(row for row in book.last if book.owns("officer", row))
    browser = people.sign_in("officer")
    assert row["borrower_id"] not in browser.get(f"/loans/{row['loan_id']}").text
    assert row["borrower_id"] in browser.get(f"/loans/{row['loan_id']}", params={"personal": "1"}).text
    with book.home.register() as session:
        entry = session.execute(
            sa.text("SELECT account, resource FROM audit_log WHERE action = 'personal.show' ORDER BY entry_id DESC")
        ).first()
    assert tuple(entry) == ("officer", f"/loans/{row['loan_id']}")
    own = min(book.loans("investor"))
    assert people.sign_in("investor").get(f"/loans/{own}", params={"personal": "1"}).status_code == 403


def test_the_loan_of_another_is_as_one_that_does_not_exist(people: People, book):
    other = min({row["loan_id"] for row in book.positions} - book.loans("officer"))
    browser = people.sign_in("officer")
    answers = [browser.get(f"/loans/{each}") for each in (other, "nothing")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].text.replace(other, "") == answers[1].text.replace("nothing", "")


def test_an_investor_sees_the_portfolio_but_not_the_officer(people: People, book):
    page = people.sign_in("investor").get(f"/loans/{min(book.loans('investor'))}").text
    assert PORTFOLIO in page
    assert not {row["full_name"] for row in book.home.rows("staff") if row["full_name"] in page}


BAD = ["nothing", "'", "<script>alert(1)</script>", "\0", "١", "-1", "9" * 30, "x" * 500, "%", "../..", "NaN"]


@pytest.mark.parametrize("value", BAD)
def test_no_parameter_breaks_a_page(people: People, book, value):
    browser, loan_id = people.sign_in("admin"), book.last[0]["loan_id"]
    names = ("q", "status", "bucket", "currency", "branch", "product", "portfolio", "officer", "sort", "after")
    answers = [
        *(browser.get("/loans", params={name: value}) for name in names),
        *(browser.get(f"/loans/{loan_id}", params={name: value, "tab": "known"}) for name in ("known", "other")),
        browser.get(f"/loans/{loan_id}", params={"tab": value}),
    ]
    assert {answer.status_code for answer in answers} <= {200, 400, 422}
    assert not [answer for answer in answers if "<script>alert(1)" in answer.text]
