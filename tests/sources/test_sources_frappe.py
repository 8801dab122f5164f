"""The source frappe on the loans of Frappe Lending's own tests: what they assert, through a close on MariaDB.

The loans and the asserted values are in shared/data/frappe.
"""

import json
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest
from frappe_site import Lender, monthly, positions
from homes import Home, close

FIRST, LAST = date(2024, 10, 5), date(2024, 11, 10)
"""The days of the published days past due."""
AFTER = date(2025, 2, 1)
"""A day after every event."""
NUMBER = "ACC-LOAN-2026-000"
OTHER_SIDE = ("Payment Account - _TC", 0, 50)
"""The account, debit and credit of the line that is added to the entry of loan 5."""


def whole(amount: Decimal) -> int:
    """The amount as Frappe's tests round it."""
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))


class Closed:
    """The published loans after their close: the rows of the lake, and the positions of the closed days."""

    def __init__(self, home: Home, folder: Path):
        lines = (folder / "expected.jsonl").read_text().splitlines()
        self.asserted = {line["loan"]: line["asserted"] for line in map(json.loads, lines)}
        self.closed = {(row["business_date"], row["loan_id"]): row for row in home.rows("loan_positions", FIRST, LAST)}
        self.loans = {row["loan_id"]: row for row in home.rows("loans")}
        self.lines = home.rows("journal_lines")
        self.accounts = {row["account_code"]: row for row in home.rows("gl_accounts")}
        self.transactions = home.rows("transactions")
        self.installments = home.rows("installments")
        with home.lake() as lake:
            self.after = {loan: row for (_, loan), row in positions(lake, AFTER, AFTER).items()}

    def plan(self, loan: str) -> list[dict]:
        return [row for row in self.installments if row["loan_id"] == loan]

    def paid(self, loan: str, type_: str) -> list[dict]:
        return [row for row in self.transactions if (row["loan_id"], row["type"]) == (loan, type_)]


@pytest.fixture(scope="module")
def published(make_frappe_site, shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Closed:
    """The published loans, closed, with two additions of what is not published.

    The first two installments of loan 9: its test pays 3,000 and 782 against each of them, and has installments of
    3,782. The other side of the entry of loan 5, without which the close refuses the ledger.
    """
    folder = shared_dir / "data" / "frappe"
    site = make_frappe_site(folder)
    first_two = monthly(date(2024, 10, 5), 2, 3782, 0)
    Lender(site).schedule("LM-RS-00004", f"{NUMBER}09", datetime(2024, 9, 15, 10), first_two)
    Lender(site).insert(
        "GL Entry", "ACC-GLE-2026-00006", datetime(2019, 11, 1, 11, 0, 1), 0, posting_date=date(2019, 11, 1),
        account=OTHER_SIDE[0], debit=OTHER_SIDE[1], credit=OTHER_SIDE[2], voucher_type="Loan Repayment",
        voucher_no="LM-REP-00003", company="_Test Company",
    )  # fmt: skip
    home = Home(tmp_path_factory.mktemp("frappe"))
    close(home, (FIRST, LAST), LENDING_SOURCE="frappe", LENDING_SERVICING_URL=site.url)
    return Closed(home, folder)


def test_days_past_due_are_those_of_the_log_less_one_while_a_loan_is_past_due(published: Closed):
    """Frappe counts the due date as day 1. Days past due here are days after the due date."""
    log = published.asserted[f"{NUMBER}09"]["days_past_due"]
    assert len(log) == 13
    for on, days in log.items():
        position = published.closed[date.fromisoformat(on), f"{NUMBER}09"]
        assert position["days_past_due"] == max(days - 1, 0), on
        # 3,782 − 3,000 = 782 from each due date on until it is paid.
        assert position["past_due_amount"] == (Decimal(782) if days else 0), on
    assert (
        published.after[f"{NUMBER}09"]["days_past_due"]
        == published.asserted[f"{NUMBER}09"]["loan_days_past_due_at_end"]
    )


def test_every_loan_has_the_asserted_status(published: Closed):
    """Settled and Written Off are one status here; the recovery tells them apart."""
    here = {"Closed": "closed", "Written Off": "charged_off", "Settled": "charged_off",
            # Frappe waits for the release of the collateral. The borrower owes nothing.
            "Loan Closure Requested": "closed"}  # fmt: skip
    asserted = {loan: here[values["status"]] for loan, values in published.asserted.items() if "status" in values}
    assert len(asserted) == 4
    # The test of loan 5 asserts no status; its row says Closed.
    asserted[f"{NUMBER}05"] = "closed"
    assert {loan: published.after[loan]["status"] for loan in asserted} == asserted
    for loan in ("07", "08"):
        recovered = next(Decimal(line["debit"]) for line in published.asserted[NUMBER + loan]["gl"] if line["debit"])
        position = published.after[NUMBER + loan]
        assert (position["recovered"], position["principal_outstanding"]) == (recovered, 0)
        # A write-off without an amount is of the pending principal, here all of it.
        assert position["principal_charged_off"] == Decimal(2500000)


def test_amounts_are_as_asserted(published: Closed):
    demand, term = published.asserted[f"{NUMBER}03"], published.asserted[f"{NUMBER}04"]
    [repaid] = published.paid(f"{NUMBER}03", "repayment")
    assert whole(repaid["interest"]) == demand["interest_demand_rounded"]
    assert repaid["fees"] == demand["penalty_amount"]
    assert repaid["principal"] == demand["loan_amount"]
    assert published.after[f"{NUMBER}03"]["principal_outstanding"] == 0

    [repaid] = published.paid(f"{NUMBER}04", "repayment")
    assert [repaid["interest"], repaid["principal"], repaid["amount"]] == [
        Decimal(term[name]) for name in ("interest_demand_paid", "principal_amount_paid", "amount_paid")
    ]
    # 1,000,000.00 − 78,303.00
    assert published.after[f"{NUMBER}04"]["principal_outstanding"] == Decimal("921697.00")

    tolerance = published.asserted[f"{NUMBER}05"]
    [waived] = published.paid(f"{NUMBER}05", "waiver")
    assert whole(waived["amount"]) == -tolerance["excess_amount_rounded"]
    assert published.after[f"{NUMBER}05"]["principal_disbursed"] == tolerance["loan_amount"]

    [refunded] = published.paid(f"{NUMBER}11", "refund")
    assert refunded["amount"] == Decimal(published.asserted[f"{NUMBER}11"]["refund_amount"])


def test_only_portions_that_are_not_printed_differ(published: Closed):
    """The portions of four repayments are not printed, so that they are principal.

    Loan 5: 1,000,000.00 − 1,011,415.75 − 50.00 waived = −11,465.75, the interest of its demand. Loan 11:
    1,000,000.00 − 1,020,000.00 + 4,461.29 = −15,538.71, its interest; so its excess amount is 0, as asserted.
    Loan 6 has no schedule here, so of its asserted schedule only the number of installments is known.
    """
    assert {loan: row["principal_outstanding"] for loan, row in published.after.items()
            if row["principal_outstanding"] < 0} == {
        f"{NUMBER}05": Decimal("-11465.75"), f"{NUMBER}11": Decimal("-15538.71"),
    }  # fmt: skip
    assert published.plan(f"{NUMBER}06") == []
    advance = published.asserted[f"{NUMBER}06"]["active_schedule"]
    assert published.loans[f"{NUMBER}06"]["term_count"] == advance["repayment_periods"]
    assert [row["amount"] for row in published.paid(f"{NUMBER}06", "repayment")] == [
        advance["monthly_repayment_amount"]
    ] * 2


def test_schedules_are_as_asserted(published: Closed):
    for loan in (f"{NUMBER}01", f"{NUMBER}02"):
        asserted, plan = published.asserted[loan], published.plan(loan)
        assert published.loans[loan]["term_count"] == len(plan) == asserted["installments"]
        interest = sum(row["interest"] for row in plan)
        assert whole(interest) == asserted["total_interest_payable_rounded"]
        assert whole(interest + sum(row["principal"] for row in plan)) == asserted["total_payment_rounded"]
    annuity = published.asserted[f"{NUMBER}01"]
    plan = published.plan(f"{NUMBER}01")
    assert plan[0]["principal"] + plan[0]["interest"] == annuity["monthly_repayment_amount"]
    for row in annuity["rows_rounded"]:
        installment = plan[row["idx"] - 1]
        owed = Decimal(280000) - sum(each["principal"] for each in plan[: row["idx"]])
        assert [whole(installment["principal"]), whole(installment["interest"]), whole(owed)] == [
            row["principal"], row["interest"], row["balance"]
        ]  # fmt: skip
    assert [
        (row["due_on"].isoformat(), row["principal"], row["interest"], row["principal"] + row["interest"])
        for row in published.plan(f"{NUMBER}10")
    ] == [tuple(row.values()) for row in published.asserted[f"{NUMBER}10"]["schedule"]]


def test_journal_lines_are_as_asserted_with_loan_account_and_company(published: Closed):
    for loan, asserted in published.asserted.items():
        lines = [
            (row["account_code"], row["debit"], row["credit"]) for row in published.lines if row["loan_id"] == loan
        ]
        added = [OTHER_SIDE] if loan == f"{NUMBER}05" else []
        asserted_lines = [(line["account"], line["debit"], line["credit"]) for line in asserted.get("gl", [])]
        assert sorted(lines) == sorted(asserted_lines + added)
    assert {(row["currency"], row["branch_id"]) for row in published.lines} == {("INR", "_Test Company")}
    assert {row["transaction_id"] for row in published.lines} == {"LM-REP-00003", "LM-REP-00006", "LM-REP-00007"}
    controls = {row["name"]: row["control_for"] for row in published.accounts.values() if row["control_for"]}
    assert controls == {
        "Loan Account": "principal", "Payment Account": "cash", "Disbursement Account": "cash",
        "Interest Income Account": "interest_income", "Penalty Income Account": "fee_income",
    }  # fmt: skip
