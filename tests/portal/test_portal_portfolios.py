"""The pages Portfolios: their numbers against the lake's rows, who sees which sums, and wrong parameters."""

from decimal import Decimal

import pytest
from homes import FIRST, LAST, PORTFOLIO
from page_rows import column, money, tables
from people import People


@pytest.fixture(scope="module")
def snapshots(book):
    return [row for row in book.home.rows("portfolio_snapshots") if row["business_date"] == LAST]


@pytest.fixture
def portfolio_id(snapshots):
    return next(row["scope_id"] for row in snapshots if row["scope"] == "portfolio")


@pytest.mark.parametrize("level", ["portfolio", "program", "product", "branch", "investor", "vintage"])
def test_every_scope_of_a_level_has_its_balance_and_delinquency(people: People, snapshots, level):
    page = people.sign_in("controller").get("/portfolios", params={"level": level}).text
    of_level = sorted(
        (row for row in snapshots if row["scope"] == level), key=lambda row: (-row["total_balance"], row["scope_id"])
    )
    caption = f"All by {level.capitalize()}"
    assert column(page, caption, "Balance") == [money(row["total_balance"], row["currency"]) for row in of_level]
    assert column(page, caption, "Active loans") == [str(row["loan_count"]) for row in of_level]
    assert column(page, caption, "PAR 30") == [
        "–" if row["par_30"] is None else f"{row['par_30'] * 100:.2f}%" for row in of_level
    ]


def test_a_portfolio_shows_its_aging_of_every_day(people: People, book, portfolio_id):
    path = f"/portfolios/portfolio/{portfolio_id}/charts/aging"
    page = people.sign_in("controller").get(path, params={"currency": "USD"}).text
    loans = [
        row
        for row in book.positions
        if (row["portfolio_id"], row["currency"], row["status"]) == (portfolio_id, "USD", "active")
    ]

    def owed(day, bucket):
        found = [r["principal_outstanding"] for r in loans if (r["business_date"], r["bucket"]) == (day, bucket)]
        return money(sum(found, Decimal(0)))

    days = column(page, "Aging, USD", "Business date")
    assert days[-1] == LAST.isoformat()
    assert len(days) == 31
    for bucket in ("Current", "1-29", "30-59"):
        shown = column(page, "Aging, USD", bucket)
        assert [shown[0], shown[-1]] == [owed(FIRST, bucket.lower()), owed(LAST, bucket.lower())]


def test_roll_rates_are_those_of_the_last_day(people: People, book):
    page = people.sign_in("admin").get("/portfolios/all/*", params={"currency": "USD"}).text
    moved = {
        (row["from_bucket"], row["to_bucket"]): row["balance_rate"]
        for row in book.home.rows("aging_transitions")
        if (row["business_date"], row["scope"], row["currency"]) == (LAST, "all", "USD")
    }
    shown = column(page, "Roll rates from bucket to bucket", "1-29")
    starts = column(page, "Roll rates from bucket to bucket", "From")
    assert dict(zip(starts, shown, strict=True))["Current"] == f"{moved['current', '1-29'] * 100:.2f}%"


def test_losses_by_vintage_are_net_charge_offs_over_what_was_disbursed(people: People, book):
    page = people.sign_in("controller").get("/portfolios/all/*/vintages", params={"currency": "USD"}).text
    shown = dict(
        zip(
            column(page, "Losses by vintage, USD", "Vintage"),
            column(page, "Losses by vintage, USD", "Original"),
            strict=True,
        )
    )
    pools = {row["vintage"] for row in book.last if row["currency"] == "USD"}
    assert shown.keys() == pools
    for pool in pools:
        loans = [row for row in book.last if (row["vintage"], row["currency"]) == (pool, "USD")]
        assert shown[pool] == money(sum(row["principal_disbursed"] for row in loans), "USD")
    # The last age of the oldest pool is today: what it has lost by now. Ages are shown every three months.
    head, first, *_ = tables(page)["Losses by vintage, USD"]
    oldest = [row for row in book.last if (row["vintage"], row["currency"]) == (min(pools), "USD")]
    lost = sum(row["principal_charged_off"] - row["recovered"] for row in oldest)
    original = sum(row["principal_disbursed"] for row in oldest)
    assert head[-1].endswith("mo")
    assert first[-1] == f"{lost / original * 100:.2f}%"


def test_the_loans_of_a_portfolio_are_one_click_away(people: People, snapshots, portfolio_id):
    browser = people.sign_in("controller")
    page = browser.get(f"/portfolios/portfolio/{portfolio_id}", params={"currency": "USD"}).text
    link = f"/loans?status=active&amp;currency=USD&amp;portfolio={portfolio_id}"
    assert link in page
    loans = browser.get(link.replace("&amp;", "&")).text
    row = next(r for r in snapshots if (r["scope_id"], r["currency"]) == (portfolio_id, "USD"))
    assert len(column(loans, "Loans", "Loan")) == row["loan_count"]


def test_an_investor_sees_the_sums_of_the_own_loans_only(people: People, book, snapshots, portfolio_id):
    browser = people.sign_in("investor")
    page = browser.get("/portfolios").text
    own = [row for row in snapshots if row["scope_id"] == book.investor]
    assert column(page, "All by Investor", "Balance") == [
        money(row["total_balance"], row["currency"]) for row in sorted(own, key=lambda row: -row["total_balance"])
    ]
    assert PORTFOLIO not in page
    assert "All loans, balance" not in page
    assert browser.get(f"/portfolios/investor/{book.investor}").status_code == 200
    assert browser.get(f"/portfolios/investor/{book.investor}/vintages").status_code == 404
    for path in ("/portfolios/all/*", f"/portfolios/portfolio/{portfolio_id}", "/portfolios/branch/B01"):
        assert browser.get(path).status_code == 404, path


@pytest.mark.parametrize("name", ["manager", "officer", "customer"])
def test_who_has_no_portfolio_may_not_open_them(people: People, name):
    assert people.sign_in(name).get("/portfolios").status_code == 403


BAD = ["nothing", "'", "<script>alert(1)</script>", "\0", "١", "-1", "9" * 30, "x" * 500, "%", "../..", "NaN"]


@pytest.mark.parametrize("value", BAD)
def test_no_parameter_breaks_a_page(people: People, value):
    browser = people.sign_in("admin")
    answers = [
        *(browser.get("/portfolios", params={name: value}) for name in ("level", "other")),
        *(browser.get("/portfolios/all/*", params={name: value}) for name in ("currency", "days")),
        browser.get("/portfolios/all/*/vintages", params={"currency": value}),
        *(browser.get(f"/portfolios/{a}/{b}") for a, b in (("nothing", "*"), ("portfolio", "nothing"), ("all", "x"))),
    ]
    assert {answer.status_code for answer in answers} <= {200, 400, 404, 422}
    assert not [answer for answer in answers if "<script>alert(1)" in answer.text]
