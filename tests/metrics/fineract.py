"""Cases of Apache Fineract's acceptance tests as loans of one book, all as of one day."""

import gzip
import json
from datetime import date, timedelta
from decimal import Decimal

from book import Book
from reference import add_months

AS_OF = date(2025, 12, 31)

TYPES = {
    "Disbursement": "disbursement",
    "Repayment": "repayment",
    "Down Payment": "repayment",
    "Goodwill Credit": "repayment",
    "Merchant Issued Refund": "repayment",
    "Payout Refund": "repayment",
    "Interest Refund": "repayment",
    "Interest Payment Waiver": "waiver",
    "Waive loan charges": "waiver",
    "Close (as written-off)": "write_off",
    "Chargeback": "disbursement",
    "Credit Balance Refund": "refund",
    "Capitalized Income": "capitalization",
}
"""Fineract's transaction types; accruals, amortizations, re-aging and re-amortization move no principal.

Two are not what their names say, as far as arrears go. A chargeback is billed anew, in a raised installment of the
schedule given: as a refund it would be asked for twice, so it is money lent again. And a charge-off is left out:
Fineract ages a loan on after it, DEFINITIONS does not, and what is compared is how arrears are aged.
"""

RANGES = ((91, "RANGE_90"), (61, "RANGE_60"), (31, "RANGE_30"), (4, "RANGE_3"), (1, "RANGE_1"), (0, "NO_DELINQUENCY"))
"""First day, after grace, of each of Fineract's delinquency ranges that the cases reach."""


def read(shared_dir, name):
    with gzip.open(shared_dir / "oracles/fineract" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def has_fees(case):
    return any(Decimal(item[part]) for item in case["inputs"]["installments"] for part in ("fees", "penalties"))


def published_past_due(case):
    """(past due amount, days past due) by the installments' published outstanding amounts."""
    as_of = date.fromisoformat(case["as_of"])
    due = [
        (date.fromisoformat(item["date"]), Decimal(expected["outstanding"]))
        for item, expected in zip(case["inputs"]["installments"], case["expected"]["installments"], strict=True)
        if date.fromisoformat(item["date"]) <= as_of and Decimal(expected["outstanding"])
    ]
    return sum((amount for _, amount in due), Decimal(0)), (as_of - min(due)[0]).days if due else 0


def book_as_of(cases, add):
    """A book with one loan per case, by `add`, its dates shifted so that the case's own day is AS_OF."""
    book = Book()
    for case in cases:
        shift = AS_OF - date.fromisoformat(case["as_of"])
        add(book, case, lambda text, by=shift: str(date.fromisoformat(text) + by))
    return book


def add_case(book, case, shifted):
    """A case of asof_core: its schedule, and its transactions but the reverted ones."""
    inputs = case["inputs"]
    on = shifted(min(item["date"] for item in inputs["disbursements"]))
    schedule = [(shifted(item["date"]), item["principal_due"], item["interest"]) for item in inputs["installments"]]
    book.loan(case["case_id"], on, "0", schedule, disbursed=False)
    for row in inputs["transactions"]:
        type_ = TYPES.get(row["transaction_type"])
        if type_ is None or row.get("reverted") == "true":
            continue
        amount, interest = Decimal(row["amount"]), Decimal(row["interest"])
        fees = Decimal(row["fees"]) + Decimal(row["penalties"])
        if type_ == "disbursement":
            split = (amount, 0, 0)
        elif type_ == "capitalization":
            # Income that no installment shows as interest.
            split = (0, 0, amount)
        else:
            # What no component was given is a payment in excess of what is owed.
            split = (amount - interest - fees, interest, fees)
        book.txn(case["case_id"], type_, shifted(row["transaction_date"]), *map(str, split))


def add_delinquency_case(book, case, shifted):
    """A case of delinquency: the schedule that its terms describe, and its events."""
    disbursed_on = case["events"][[event["op"] for event in case["events"]].index("disburse")]["date"]
    schedule = _schedule(case, date.fromisoformat(disbursed_on))
    principal = case["loan_terms"]["with_principal"]
    for event in case["events"]:
        if event["op"] == "chargeback":
            schedule = sorted([*schedule, (event["business_date"], event["amount"], "0")])
    schedule = [(shifted(due_on), *amounts) for due_on, *amounts in schedule]
    book.loan(case["case_id"], shifted(disbursed_on), principal, schedule)
    if case["product"]["auto_down_payment"] == "true":
        book.txn(case["case_id"], "repayment", shifted(disbursed_on), schedule[0][1])
    for event in case["events"]:
        if event["op"] == "chargeback":
            book.txn(case["case_id"], "disbursement", shifted(event["business_date"]), event["amount"])
        elif event["op"] in ("repayment", "transaction"):
            book.txn(case["case_id"], "repayment", shifted(event["date"]), event["amount"])


def _schedule(case, start):
    """Equal installments, a down payment first where there is one, flat interest."""
    terms, down = case["loan_terms"], case["product"]["down_payment_pct"]
    principal = Decimal(terms["with_principal"])
    rows = [(str(start), principal * Decimal(down) / 100, Decimal(0))] if down else []
    number, left = int(terms["number_of_repayments"]), principal - sum(row[1] for row in rows)
    every = int(terms.get("repayment_every") or 1)
    interest = principal * Decimal(terms["annual_interest_rate_pct"]) / 1200
    equal = (left / number).quantize(Decimal("0.01"))
    for n in range(1, number + 1):
        in_days = terms.get("repayment_frequency_type") == "DAYS"
        due_on = start + timedelta(days=n * every) if in_days else add_months(start, n * every)
        rows.append((str(due_on), equal if n < number else left - equal * (number - 1), interest))
    return [(due_on, str(amount), str(interest)) for due_on, amount, interest in rows]
