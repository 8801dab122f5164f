"""What a lender of two currencies earned by 31 January 2026, by hand; and that loans add up to portfolios on a home."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from tiny_lake import TinyLake, generate, money, rows, table

from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.reports.registry import get

DEC, JAN = date(2025, 12, 31), date(2026, 1, 31)
BEGAN = date(2025, 1, 31)  # 365 days before JAN


def _snapshot(day, scope, scope_id, currency, disbursed, collected, balance, receivable, **values):
    return {
        "business_date": day,
        "scope": scope,
        "scope_id": scope_id,
        "currency": currency,
        "total_disbursed": money(disbursed),
        "total_collected": money(collected),
        "total_balance": money(balance),
        "interest_receivable": money(receivable),
        "irr_with_residual": 0.1,
        "irr_reason": "no rate",
        "moic": 0.5,
        "bucket_breakdown": "{}",
        **values,
    }


def _loan(loan_id, product, currency, disbursed, collected, owed="0", receivable="0", charged_off="0", recovered="0"):
    return {
        "business_date": JAN,
        "loan_id": loan_id,
        "product_id": product,
        "currency": currency,
        "vintage": "2025Q1",
        "disbursed_on": BEGAN,
        "principal_disbursed": money(disbursed),
        "total_collected": money(collected),
        "principal_outstanding": money(owed),
        "interest_receivable": money(receivable),
        "interest_earned": money("80"),
        "principal_charged_off": money(charged_off),
        "recovered": money(recovered),
    }


def _flow(number, loan_id, type_, on, amount):
    return {
        "transaction_id": f"T{number}",
        "loan_id": loan_id,
        "type": type_,
        "effective_on": on,
        "amount": money(amount),
        "principal": money(amount),
    }


def _fee(number, loan_id, amount, on, waived="0", waived_on=None):
    return {
        "fee_id": f"F{number}",
        "loan_id": loan_id,
        "amount": money(amount),
        "assessed_on": on,
        "waived_amount": money(waived),
        "waived_on": waived_on,
    }


def lender():
    """The lake of the lender of two currencies."""
    return TinyLake(
        {
            "portfolio_snapshots": [
                _snapshot(DEC, "all", "*", "USD", "2000.00", "900.00", "1000.00", "20.00"),
                _snapshot(JAN, "all", "*", "USD", "2000.00", "1100.00", "600.00", "40.00"),
                _snapshot(JAN, "all", "*", "EUR", "0.00", "0.00", "0.00", "0.00", irr_with_residual=None, moic=None),
                _snapshot(JAN, "program", "R1", "USD", "2000.00", "1100.00", "600.00", "40.00", name="Retail"),
                _snapshot(JAN, "vintage", "2025Q1", "USD", "1500.00", "900.00", "400.00", "10.00"),
                _snapshot(JAN, "vintage", "2025Q2", "USD", "500.00", "200.00", "200.00", "30.00"),
                _snapshot(JAN, "product", "P1", "USD", "2000.00", "1100.00", "600.00", "40.00", name="Consumer"),
            ],
            "loan_positions": [
                _loan("L1", "P1", "USD", "1000.00", "1100.00"),
                _loan("L2", "P1", "USD", "1000.00", "250.00", charged_off="1000.00", recovered="250.00"),
                _loan("L3", "P2", "USD", "1000.00", "0.00", "1000.00", "20.00"),
                _loan("=Ø", "P2", "EUR", "400.00", "0.00", "400.00", "4.00"),
            ],
            "transactions": [
                _flow(1, "L1", "disbursement", BEGAN, "1000.00"),
                _flow(2, "L1", "repayment", JAN, "1100.00"),
                _flow(3, "L2", "disbursement", BEGAN, "1000.00"),
                _flow(4, "L2", "recovery", JAN, "250.00"),
                _flow(5, "L2", "recovery", date(2026, 2, 1), "9.00"),  # after the day
                _flow(8, "L2", "charge_off", DEC, "700.00"),
                _flow(9, "L2", "write_off", JAN, "300.00"),
                _flow(6, "L3", "disbursement", BEGAN, "1000.00"),
                _flow(7, "=Ø", "disbursement", BEGAN, "400.00"),
            ],
            "fees": [
                _fee(1, "L1", "30.00", BEGAN, waived="10.00", waived_on=DEC),
                _fee(2, "L1", "5.00", date(2026, 2, 1)),  # after the day
                _fee(3, "L2", "25.00", DEC, waived="25.00", waived_on=date(2026, 2, 1)),  # not waived yet
            ],
            "products": [{"product_id": "P1", "name": "Consumer"}],
        }
    )


@pytest.fixture
def lake():
    return lender()


@pytest.fixture(scope="module")
def returns():
    """The report portfolio_returns with the parameters of its form."""
    return generate(lender(), "portfolio_returns")


@pytest.fixture(scope="module")
def profits():
    """The report loan_profitability with the parameters of its form."""
    return generate(lender(), "loan_profitability")


@pytest.fixture(scope="module")
def whole(home_lake):
    """Both reports of a whole lender: portfolio_returns and loan_profitability."""
    # Dagster comes with it, which takes seconds to import.
    from lending_pipelines.resources import LakeReportSource

    source = LakeReportSource(home_lake, Conventions())
    return generate(source, "portfolio_returns"), generate(source, "loan_profitability")


def picked(found, *names):
    return [tuple(str(row[name]) if isinstance(row[name], Decimal) else row[name] for name in names) for row in found]


# portfolio_returns


def test_what_came_back_and_is_owed_beyond_what_was_lent(returns):
    assert picked(rows(returns, "Returns"), "currency", "residual", "profit", "total_return", "moic") == [
        ("EUR", "0.00", "0.00", None, None),
        # 1,100 + 640 − 2,000
        ("USD", "640.00", "-260.00", -0.13, 0.5),
    ]
    assert rows(returns, "Returns")[1]["irr_reason"] == "no rate"


def test_programs_and_vintages_and_what_is_in_none(returns):
    assert picked(rows(returns, "By program USD"), "scope_id", "name", "profit") == [("R1", "Retail", "-260.00")]
    vintages = table(returns, "By vintage USD")
    assert picked(rows(returns, vintages.title), "scope_id", "profit") == [("2025Q1", "-190.00"), ("2025Q2", "-70.00")]
    assert [row["profit"] for row in vintages.totals] == [Decimal("-260.00")]
    assert table(returns, "By portfolio USD").no_data == "no loan in USD has its portfolio recorded"
    assert [chart.title for chart in returns.charts if chart.kind == "bar"] == ["Return by vintage, USD"]


def test_a_currencys_history_goes_back_to_where_it_began(lake, returns):
    assert picked(rows(returns, "History USD"), "business_date", "total_return") == [(DEC, -0.04), (JAN, -0.13)]
    assert [row["business_date"] for row in rows(returns, "History EUR")] == [JAN]
    generator = get("portfolio_returns")
    assert generator.covers(generator.parameters(), lake) == [DEC, JAN]


def test_one_scope_is_not_broken_down(lake):
    book = generate(lake, "portfolio_returns", vintage="2025Q2")
    assert book.title == "Portfolio returns: vintage 2025Q2"
    assert [t.title for t in book.tables] == ["Returns", "History USD"]
    assert book.summary == {
        "USD": {"irr": None, "irr_with_residual": 0.1, "moic": 0.5, "total_return": -0.14, "profit": "-70.00"}
    }
    assert next(iter(book.summary["USD"])) == "irr_with_residual"
    assert [chart.y for chart in book.charts if chart.title.startswith("IRR")] == [("irr_with_residual",)]
    with pytest.raises(LendingError, match="no vintage '2025Q9' on 2026-01-31; did you mean"):
        generate(lake, "portfolio_returns", vintage="2025Q9")


@pytest.fixture
def sold(lake):
    """The lake with dollar loans sold on the day they began: two to fund X, one to fund Y at an unrecorded price.

    Ownership begins on the day after the sale.
    """
    lake.rows["loans"] = [
        {"loan_id": row["loan_id"], "currency": row["currency"]} for row in lake.rows["loan_positions"]
    ]
    sales = [("L1", "X", "1000.00"), ("L2", "Y", None), ("L3", "X", "850.00")]
    lake.rows["loan_ownership"] = [
        {
            "investor_id": fund,
            "investor_name": f"Fund {fund}",
            "loan_id": loan_id,
            "assigned_on": BEGAN + timedelta(days=1),
            "purchase_price": price and money(price),
        }
        for loan_id, fund, price in sales
    ]
    funds = {loan_id: fund for loan_id, fund, _ in sales}
    for row in lake.rows["loan_positions"]:
        row["investor_id"] = funds.get(row["loan_id"])
    lake.rows["portfolio_snapshots"].append(
        _snapshot(JAN, "investor", "Y", "USD", "1000.00", "250.00", "0.00", "0.00", name="Fund Y")
    )
    return lake


def test_an_investor_earns_on_the_price_paid(sold):
    book = generate(sold, "portfolio_returns", by="investor")
    assert [t.title for t in book.tables] == [
        "Returns",
        "By investor EUR",
        "By investor USD",
        "History EUR",
        "History USD",
    ]
    investors = table(book, "By investor USD")
    found = rows(book, investors.title)
    names = ("investor_name", "loan_count", "purchase_price", "collected", "resold_for", "residual", "profit")
    assert picked(found, *names) == [
        # L1 brought 1,100; L3 owes 1,000 and 20 of interest; 1,100 + 1,020 - 1,850.
        ("Fund X", 2, "1850.00", "1100.00", "0.00", "1020.00", "270.00"),
        ("Fund Y", 1, None, "250.00", None, "0.00", None),
    ]
    # All of it came 365 days after the purchase.
    assert found[0]["moic"] == pytest.approx(1100 / 1850)
    assert found[0]["irr"] == pytest.approx(1100 / 1850 - 1)
    assert found[0]["irr_with_residual"] == pytest.approx(2120 / 1850 - 1)
    assert picked(found[1:], "moic", "irr", "irr_with_residual", "irr_reason") == [
        (None, None, None, "purchase price not recorded")
    ]
    # What is not known of one is in no total.
    (total,) = investors.totals
    assert total == {
        "currency": "USD",
        "loan_count": 3,
        "collected": Decimal("1350.00"),
        "residual": Decimal("1020.00"),
    }
    assert table(book, "By investor EUR").no_data == "no loan in EUR was sold to an investor"
    assert any("use the prices paid" in note for note in book.notes)


def test_returns_are_broken_down_as_asked(sold):
    def levels(**values):
        titles = [t.title for t in generate(sold, "portfolio_returns", **values).tables]
        return [title for title in titles if title.startswith("By ") and title.endswith("USD")]

    assert levels() == ["By portfolio USD", "By program USD", "By vintage USD", "By investor USD"]
    assert levels(by="vintage") == ["By vintage USD"]
    assert levels(program="R1") == []
    with pytest.raises(LendingError, match="by is 'branch': write 'ALL', 'portfolio', 'program', 'vintage' or 'inv"):
        levels(by="branch")


def test_one_investor_is_shown_on_its_prices_and_alone(sold):
    book = generate(sold, "portfolio_returns", investor="Fund Y")
    assert [t.title for t in book.tables] == ["Returns", "By investor USD", "History USD"]
    assert picked(rows(book, "By investor USD"), "investor_id", "collected") == [("Y", "250.00")]


# loan_profitability


def test_each_loan_by_hand(profits):
    found = rows(profits, "Loans")
    names = ("loan_id", "fees_earned", "charge_off_loss", "profit", "moic", "total_return")
    assert picked(found, *names) == [
        ("=Ø", "0.00", "0.00", "4.00", 0.0, 0.01),
        ("L1", "20.00", "0.00", "100.00", 1.1, 0.1),
        ("L2", "25.00", "750.00", "-750.00", 0.25, -0.75),
        ("L3", "0.00", "0.00", "20.00", 0.0, 0.02),
    ]
    assert [row["irr"] for row in found] == [None, pytest.approx(0.1), pytest.approx(-0.75), None]
    assert [row["irr_with_residual"] for row in found] == pytest.approx([0.01, 0.1, -0.75, 0.02])
    assert found[0]["irr_reason"] == "no sign change: the flows are all in or all out"


def test_products_and_totals_are_sums_in_one_currency(profits):
    names = ("loan_count", "loss_making_loans", "profit", "total_return")
    assert picked(rows(profits, "Summary"), "currency", *names) == [
        ("EUR", 1, 0, "4.00", 0.01),
        ("USD", 3, 1, "-630.00", -0.21),
    ]
    assert picked(rows(profits, "By product USD"), "product_id", "name", *names) == [
        ("P1", "Consumer", 2, 1, "-650.00", -0.325),
        ("P2", "P2", 1, 0, "20.00", 0.02),
    ]
    assert picked(table(profits, "Loans").totals, "currency", "fees_earned") == [("EUR", "0.00"), ("USD", "45.00")]


@pytest.mark.parametrize(
    ("order", "expected"), [("least_profitable", ["=Ø", "L2", "L3"]), ("most_profitable", ["=Ø", "L1", "L3"])]
)
def test_the_first_loans_of_each_currency_in_the_order_asked_for(lake, order, expected):
    found = rows(generate(lake, "loan_profitability", order=order, top_loans=2), "Loans")
    assert [row["loan_id"] for row in found] == expected


def test_without_a_table_of_fees_what_they_brought_is_not_zero(lake):
    del lake.rows["fees"]
    book = generate(lake, "loan_profitability")
    assert {row["fees_earned"] for row in rows(book, "Loans")} == {None}
    assert "No data: the source has no fees; fees earned are blank." in book.notes


def test_an_empty_book_says_so(lake):
    lake.rows["portfolio_snapshots"].append(
        _snapshot(JAN, "branch", "B9", "USD", "0", "0", "0", "0", name="Nowhere " * 25)
    )
    book = generate(lake, "loan_profitability", branch="B9")
    assert table(book, "Loans").no_data.endswith("on 2026-01-31")
    assert [t.title for t in book.tables] == ["Summary", "Loans"]


# both, on a whole lender


def test_loans_add_up_to_the_portfolios(whole):
    portfolios, loans = whole
    names = ("currency", "total_collected", "residual", "profit", "moic", "total_return")
    assert picked(rows(loans, "Summary"), *names) == picked(rows(portfolios, "Returns"), *names)
    by_loan = rows(loans, "Loans")
    for currency in ("EUR", "USD"):
        vintages = table(portfolios, f"By vintage {currency}")
        profit = sum(row["profit"] for row in by_loan if row["currency"] == currency)
        assert profit == sum(row["profit"] for row in rows(portfolios, vintages.title))
        assert profit == sum(row["profit"] for row in rows(loans, f"By product {currency}"))


def test_a_fund_collects_what_its_loans_did_since_they_were_its(home_source):
    bought, last = date(2025, 3, 1), date(2025, 3, 14)
    positions = home_source.table("loan_positions")
    days = positions.filter(positions.business_date.isin([bought, last])).to_pyarrow().to_pylist()
    owned = {row["loan_id"] for row in days if row["investor_id"]}
    book = generate(home_source, "portfolio_returns", by="investor")
    found = [row for t in book.tables if t.title.startswith("By investor") for row in rows(book, t.title)]
    sign = {bought: -1, last: 1}
    collected = sum(sign[row["business_date"]] * row["total_collected"] for row in days if row["loan_id"] in owned)
    assert len(owned) == 20
    assert sum(row["loan_count"] for row in found) == 20
    assert sum(row["collected"] for row in found) == collected > 0
    assert {row["purchase_price"] for row in found} == {None}


def test_a_vintage_of_one_loan_earns_what_the_loan_does(whole):
    loans, vintages = rows(whole[1], "Loans"), rows(whole[0], "By vintage EUR")
    alone = {row["vintage"]: row for row in loans if row["currency"] == "EUR"}
    compared = [
        row for row in vintages if [r["vintage"] for r in loans if r["currency"] == "EUR"].count(row["scope_id"]) == 1
    ]
    assert len(compared) > 0
    for row in compared:
        for name in ("irr", "irr_with_residual", "moic", "total_return"):
            expected = alone[row["scope_id"]][name]
            assert row[name] == (None if expected is None else pytest.approx(expected, rel=1e-9)), (row, name)


def test_write_offs_are_apart_from_charge_offs_in_loans_and_sums(profits):
    # Of the 1,000.00 of L2, 700.00 were charged off in December and the other 300.00 written off in January.
    loans = {row["loan_id"]: row for row in rows(profits, "Loans")}
    assert picked([loans["L2"], loans["L1"]], "principal_charged_off", "principal_written_off") == [
        ("1000.00", "300.00"),
        ("0.00", "0.00"),
    ]
    assert picked(rows(profits, "Summary"), "currency", "principal_written_off") == [("EUR", "0.00"), ("USD", "300.00")]
