"""Snapshots of a book worked by hand: balances, PAR, rates, multiples and returns, per scope."""

import json
from datetime import date
from decimal import Decimal

import pytest
from book import Book, day

from lending_pipelines.exports.printed import printed
from lending_pipelines.metrics.xirr import ONE_SIGN

ON = "2025-03-02"


@pytest.fixture(scope="module")
def book():
    """Four loans in dollars, one in euros, one not paid out; A alone in program G1, the rest in G2.

    A: 1,000 at 12 % from 1 January, due 31 December with 120 interest: 364 days.
    late: 3,000 at 6 % from 1 January; of 500 + 15 due 31 January nothing is paid: 30 days past due on 2 March. The rest
    is due on 31 December with 100 interest: 334 days.
    off: 500, charged off in February, 50 recovered.
    overpaid: 200, paid back in February with 2 interest and 10 too much.
    """
    book = Book()
    for product, program in (("P1", "G1"), ("P2", "G2")):
        book.add("programs", program_id=program, name=f"Program {program}")
        book.add("products", product_id=product, program_id=program, name=f"Product {product}", product_type="term")
    book.add("branches", branch_id="BR1", name="Main street", region="North")
    book.loan("A", "2025-01-01", "1000", [("2025-12-31", "1000", "120")])
    book.loan(
        "late",
        "2025-01-01",
        "3000",
        [("2025-01-31", "500", "15"), ("2025-12-31", "2500", "100")],
        annual_rate=Decimal("0.06"),
        product_id="P2",
    )
    for loan_id, principal in (("off", "500"), ("overpaid", "200")):
        book.loan(loan_id, "2025-01-01", principal, [("2025-12-31", principal, "20")], product_id="P2")
    book.txn("off", "charge_off", "2025-02-10", "500")
    book.txn("off", "recovery", "2025-02-20", "45", "5")
    book.txn("overpaid", "repayment", "2025-02-15", "210", "2")
    book.loan(
        "euro", "2025-01-01", "12.34", [("2025-12-31", "12.34", "1")], currency="EUR", annual_rate=Decimal("0.123456")
    )
    book.loan("pending", "2025-01-01", "70", [("2025-12-31", "70", "1")], disbursed=False, product_id="P3")
    book.add(
        "portfolio_membership",
        portfolio_id="PF1",
        portfolio_name="First",
        loan_id="A",
        assigned_on=day("2025-03-02"),
        method="static",
    )
    return book


@pytest.fixture(scope="module")
def snapshots(book):
    return book.snapshots("2025-03-01", ON)


def test_what_adds_up(snapshots):
    row = snapshots[ON, "all", "*", "USD"]
    amounts = (
        "total_balance",
        "interest_receivable",
        "delinquent_amount",
        "past_due_amount",
        "total_disbursed",
        "total_collected",
        "charged_off",
        "recovered",
    )
    assert {name: str(row[name]) for name in amounts} == {
        "total_balance": "3990.00",  # 1,000 + 3,000 − 10
        "interest_receivable": "43.76",  # A 120 × 60 ÷ 364 = 19.78; late 15 + 100 × 30 ÷ 334 = 23.98
        "delinquent_amount": "3000.00",
        "past_due_amount": "515.00",
        "total_disbursed": "4700.00",
        "total_collected": "262.00",  # 50 recovered, 212 repaid
        "charged_off": "500.00",
        "recovered": "50.00",
    }
    assert row["loan_count"] == 2
    assert row["moic"] == 262 / 4700


def test_the_rate_is_weighted_by_balance(snapshots):
    # (0.12 × 1,000 + 0.06 × 3,000 − 0.12 × 10) ÷ 3,990 = 298.80 ÷ 3,990
    assert snapshots[ON, "all", "*", "USD"]["weighted_avg_rate"] == Decimal("0.07488722")
    # of a single small loan it is that loan's, to the last decimal
    assert snapshots[ON, "all", "*", "EUR"]["weighted_avg_rate"] == Decimal("0.123456")
    assert snapshots[ON, "product", "P3", "USD"]["weighted_avg_rate"] is None


def test_par_operators(book, snapshots):
    row = snapshots[ON, "all", "*", "USD"]
    assert [row[f"par_{n}"] for n in (30, 60, 90)] == [3000 / 3990, 0, 0]
    assert snapshots["2025-03-01", "all", "*", "USD"]["par_30"] == 0
    strictly = book.snapshots(ON, "2025-03-03", par_operator=">")
    assert strictly[ON, "all", "*", "USD"]["par_30"] == 0
    assert strictly["2025-03-03", "all", "*", "USD"]["par_30"] == 3000 / 3990


def test_bucket_breakdown_is_json_with_empty_buckets(snapshots):
    breakdown = json.loads(snapshots[ON, "all", "*", "USD"]["bucket_breakdown"], parse_float=Decimal)
    empty = {"count": 0, "balance": Decimal("0.00")}
    assert breakdown == {
        "current": {"count": 1, "balance": Decimal("1000.00")},
        "1-29": empty,
        "30-59": {"count": 1, "balance": Decimal("3000.00")},
        "60-89": empty,
        "90-119": empty,
        "120+": empty,
    }


def test_scopes_and_their_names(snapshots):
    found = {key[1:]: (row["name"], str(row["total_balance"])) for key, row in snapshots.items() if key[0] == ON}
    assert found == {
        ("all", "*", "USD"): (None, "3990.00"),
        ("all", "*", "EUR"): (None, "12.34"),
        ("portfolio", "PF1", "USD"): ("First", "1000.00"),
        ("program", "G1", "USD"): ("Program G1", "1000.00"),
        ("program", "G1", "EUR"): ("Program G1", "12.34"),
        ("program", "G2", "USD"): ("Program G2", "2990.00"),
        ("product", "P1", "USD"): ("Product P1", "1000.00"),
        ("product", "P1", "EUR"): ("Product P1", "12.34"),
        ("product", "P2", "USD"): ("Product P2", "2990.00"),
        ("product", "P3", "USD"): (None, "0.00"),
        ("branch", "BR1", "USD"): ("Main street", "3990.00"),
        ("branch", "BR1", "EUR"): ("Main street", "12.34"),
        ("vintage", "2025Q1", "USD"): (None, "3990.00"),
        ("vintage", "2025Q1", "EUR"): (None, "12.34"),
    }
    assert ("2025-03-01", "portfolio", "PF1", "USD") not in snapshots


def test_irr_with_the_residual_as_a_last_inflow(snapshots):
    # A: 1,000 lent, 60 days later 1,000 + 19.78 are owed
    row = snapshots[ON, "program", "G1", "USD"]
    assert (row["irr"], row["irr_reason"]) == (None, ONE_SIGN)
    assert row["irr_with_residual"] == pytest.approx(1.01978 ** (365 / 60) - 1, abs=1e-9)


def test_irr_of_all_flows_up_to_the_day(snapshots):
    start = date(2025, 1, 1)
    flows = [(start, -4700), (date(2025, 2, 15), 212), (date(2025, 2, 20), 50)]
    row = snapshots[ON, "all", "*", "USD"]

    def worth(growth, flows):
        return sum(amount / growth ** ((on - start).days / 365) for on, amount in flows)

    # 262 of 4,700 after seven weeks: 1 + rate is between 1.1 and 1.2 ten-billionths, of which 11 decimals are kept
    assert worth(1.1e-10, flows) > 0 > worth(1.2e-10, flows)
    assert (row["irr"], row["irr_reason"]) == (pytest.approx(-1 + 1.15e-10, abs=0.06e-10), None)
    assert abs(worth(1 + row["irr_with_residual"], [*flows, (day(ON), 3990 + 43.76)])) < 1e-6


def test_a_scope_without_cash_flows_says_so(snapshots):
    row = snapshots[ON, "product", "P3", "USD"]
    assert (row["irr"], row["irr_with_residual"], row["irr_reason"]) == (None, None, "no cash flows")
    assert row["moic"] is None
    assert row["par_30"] is None


def test_irr_of_members_that_join_and_leave():
    """X earns 10 % in its year, Y 25 % in 364 days. H has Y, and X on 2 and 3 January 2026 only."""
    book = Book()
    for loan_id, principal in (("X", "100"), ("Y", "200")):
        book.loan(loan_id, "2025-01-01", principal, [("2026-06-01", principal, "1")])
    book.txn("Y", "repayment", "2025-12-31", "150", "100")
    book.txn("X", "repayment", "2026-01-01", "90", "20")
    for table, holder, extra in (
        ("portfolio_membership", "portfolio", {"method": "static"}),
        ("loan_ownership", "investor", {}),
    ):
        names = {f"{holder}_id": "H", f"{holder}_name": "H"} | extra
        book.add(table, loan_id="Y", assigned_on=day("2025-06-01"), **names)
        book.add(table, loan_id="X", assigned_on=day("2026-01-02"), removed_on=day("2026-01-04"), **names)
    snapshots = book.snapshots("2026-01-01", "2026-01-05")
    only_y = 1.25 ** (365 / 364) - 1
    for scope in ("portfolio", "investor"):
        rates = [snapshots[f"2026-01-0{n}", scope, "H", "USD"]["irr"] for n in range(1, 6)]
        assert [rates[n] for n in (0, 3, 4)] == [pytest.approx(only_y, abs=1e-9)] * 3
        assert rates[1] == rates[2]
        both = -300 + 250 / (1 + rates[1]) ** (364 / 365) + 110 / (1 + rates[1])
        assert abs(both) < 1e-6


def test_no_scope_has_the_cash_flows_of_a_loan_before_it_is_disbursed():
    """Y earns 10 % in its year. X, disbursed on 10 January 2026, has a payment before. A range has the day's rates."""
    book = Book()
    book.loan("Y", "2025-01-01", "100", [("2026-06-01", "100", "10")])
    book.txn("Y", "repayment", "2026-01-01", "100", "10")
    book.loan("X", "2026-01-10", "100", [("2026-06-01", "100", "20")])
    book.txn("X", "repayment", "2025-06-01", "5")
    book.txn("X", "repayment", "2026-01-11", "100", "20")
    for loan_id in ("X", "Y"):
        book.add("loan_ownership", loan_id=loan_id, investor_id="K", investor_name="K", assigned_on=day("2025-12-01"))
    left = {"portfolio_id": "H", "portfolio_name": "H", "method": "static", "assigned_on": day("2025-12-01")}
    book.add("portfolio_membership", loan_id="Y", **left)
    book.add("portfolio_membership", loan_id="X", removed_on=day("2026-01-05"), **left)
    days = [f"2026-01-{n:02}" for n in range(4, 13)]
    snapshots = book.snapshots(days[0], days[-1])
    rates = {
        scope: [snapshots[on, scope, holder, "USD"]["irr"] for on in days]
        for scope, holder in (("all", "*"), ("investor", "K"), ("portfolio", "H"))
    }

    assert rates["portfolio"] == [0.1] * 9
    assert rates["all"] == rates["investor"]
    assert rates["all"][:6] == [0.1] * 6
    last = 1 + rates["all"][-1]
    worth_by_the_12th = (
        -100 + 5 / last ** (151 / 365) + 110 / last - 100 / last ** (374 / 365) + 120 / last ** (375 / 365)
    )
    assert abs(worth_by_the_12th) < 1e-6
    assert book.snapshots("2026-01-09")["2026-01-09", "all", "*", "USD"]["irr"] == 0.1


def test_an_interest_free_portfolio_earns_zero_and_not_minus_zero():
    """The case zero-interest-irr: 100 lent without interest, half repaid after 31 days, the rest owed."""
    book = Book()
    schedule = [("2024-02-05", "50", "0"), ("2024-03-05", "50", "0")]
    book.loan("Z1", "2024-01-05", "100", schedule, annual_rate=Decimal(0))
    book.txn("Z1", "repayment", "2024-02-05", "50")
    row = book.snapshots("2024-02-10")["2024-02-10", "all", "*", "USD"]
    assert json.dumps(row["irr_with_residual"]) == "0.0"
    assert printed(row["irr_with_residual"], "rate") == "0.00%"


@pytest.fixture(scope="module")
def overpaid():
    """The snapshots of two books on 2 January 2025, each in its currency.

    USD: 1,010.00 paid of 1,000.00. EUR: 1,000.00 at 10 % and a credit balance of 999.99 at 12 %.
    """
    book = Book()
    for loan_id, rate, currency in (("L1", "0.12", "USD"), ("owes", "0.10", "EUR"), ("owed", "0.12", "EUR")):
        terms = {"annual_rate": Decimal(rate), "currency": currency}
        book.loan(loan_id, "2025-01-01", "1000", [("2025-12-31", "1000", "1")], **terms)
    book.txn("L1", "repayment", "2025-01-02", "1010")
    book.txn("owed", "repayment", "2025-01-02", "1999.99")
    return book.snapshots("2025-01-02")


def test_nothing_late_of_a_credit_balance_is_zero_and_not_minus_zero(overpaid):
    # 10 paid too much: 0 ÷ −10
    row = overpaid["2025-01-02", "all", "*", "USD"]
    assert json.dumps([row["par_30"], row["moic"]]) == "[0.0, 1.01]"


def test_a_divisor_near_zero_gives_no_rate(overpaid):
    # (100 − 119.9988) ÷ 0.01 is no rate.
    row = overpaid["2025-01-02", "all", "*", "EUR"]
    assert (row["total_balance"], row["weighted_avg_rate"]) == (Decimal("0.01"), None)
