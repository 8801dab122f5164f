"""The statement of a loan of 1,000.00 EUR over March 2025, and of a borrower's loans, worked by hand.

Before March: paid out on 10 January, 260.00 paid on 10 February (250.00 principal, 10.00 interest), a late fee of
20.00 on 20 February. The principal balance opens with 750.00 and the unpaid fees with 20.00.
"""

from datetime import date, datetime
from decimal import Decimal

import pytest
from tiny_lake import TinyLake, generate, rows, table

from lending_pipelines.errors import LendingError
from lending_pipelines.exports.pdf import document_of

DAY = date(2025, 3, 31)
_ZERO = Decimal("0.00")


def _transaction(number, type_, on, principal="0.00", interest="0.00", fees="0.00", reverses=None, loan="L1"):
    parts = {"principal": Decimal(principal), "interest": Decimal(interest), "fees": Decimal(fees)}
    return parts | {
        "transaction_id": f"T{number}",
        "loan_id": loan,
        "type": type_,
        "effective_on": date.fromisoformat(on),
        "posted_at": datetime.fromisoformat(on),
        "amount": sum(parts.values()),
        "reverses_id": reverses,
    }


def _position(loan_id, currency, outstanding, past_due, late, next_due, amount, settled):
    return {
        "business_date": DAY,
        "loan_id": loan_id,
        "borrower_id": "C1",
        "product_id": "P1",
        "currency": currency,
        "status": "active",
        "disbursed_on": date(2025, 1, 10),
        "annual_rate": Decimal("0.125"),
        "principal_outstanding": Decimal(outstanding),
        "past_due_amount": Decimal(past_due),
        "days_past_due": late,
        "next_due_on": date.fromisoformat(next_due),
        "next_due_amount": Decimal(amount),
        "settled": Decimal(settled),
    }


def _installment(version, number, due_on, principal, interest, effective_on):
    return {
        "loan_id": "L1",
        "version": version,
        "number": number,
        "due_on": date.fromisoformat(due_on),
        "principal": Decimal(principal),
        "interest": Decimal(interest),
        "fees": _ZERO,
        "effective_on": date.fromisoformat(effective_on),
    }


@pytest.fixture
def source():
    return TinyLake(
        {
            "loan_positions": [
                _position("L1", "EUR", "610.00", "100.00", 21, "2025-04-10", "255.00", "410.00"),
                _position("L2", "USD", "500.00", "0.00", 0, "2025-04-05", "50.00", "0.00"),
                _position("L3", "USD", "70.00", "7.00", 3, "2025-04-01", "10.00", "0.00"),
                {**_position("L4", "EUR", "9.00", "0.00", 0, "2025-04-01", "9.00", "0.00"), "borrower_id": "C2"},
            ],
            "products": [{"product_id": "P1", "name": "Personal loan"}],
            "transactions": [
                _transaction(1, "disbursement", "2025-01-10", "1000.00"),
                _transaction(2, "repayment", "2025-02-10", "250.00", "10.00"),
                _transaction(3, "repayment", "2025-03-05", "100.00", "0.00", "15.00"),
                _transaction(4, "reversal", "2025-03-07", "100.00", "0.00", "15.00", reverses="T3"),
                _transaction(5, "repayment", "2025-03-20", "140.00", "10.00", "5.00"),
                _transaction(6, "repayment", "2025-04-01", "610.00"),
                _transaction(7, "disbursement", "2025-03-01", "500.00", loan="L2"),
                _transaction(8, "disbursement", "2025-01-10", "70.00", loan="L3"),
            ],
            "fees": [
                {
                    "fee_id": "F1",
                    "loan_id": "L1",
                    "fee_type": "late",
                    "amount": Decimal("20.00"),
                    "assessed_on": date(2025, 2, 20),
                    "waived_amount": Decimal("5.00"),
                    "waived_on": date(2025, 3, 2),
                    "paid_amount": Decimal("5.00"),
                    "paid_on": date(2025, 3, 20),
                }
            ],
            "modifications": [
                {
                    "modification_id": "M1",
                    "loan_id": "L1",
                    "type": "rate_reduction",
                    "effective_on": date(2025, 3, 1),
                    "before_rate": Decimal("0.14"),
                    "after_rate": Decimal("0.125"),
                }
            ],
            "installments": [
                _installment(1, 1, "2025-02-10", "500.00", "12.00", "2025-01-10"),
                _installment(2, 1, "2025-02-10", "250.00", "10.00", "2025-03-01"),
                _installment(2, 2, "2025-03-10", "240.00", "10.00", "2025-03-01"),
                _installment(2, 3, "2025-04-10", "250.00", "5.00", "2025-03-01"),
                _installment(3, 1, "2025-04-10", "999.00", "0.00", "2025-04-01"),
            ],
        }
    )


def _statement(source, **chosen):
    return generate(source, "borrower_statement", **{"loan": "L1", "allow_pii": True} | chosen)


def _values(book, title, *names):
    return [tuple(str(row[name]) for name in names) for row in rows(book, title)]


def test_each_transaction_has_the_balance_after_it_and_a_reversal_is_visible(source):
    book = _statement(source)
    # 750.00 − 100.00 = 650.00; the reversal gives 750.00 back; − 140.00 = 610.00. The payment of April is not in it.
    assert _values(book, "Transactions", "on", "description", "paid", "balance") == [
        ("2025-03-05", "Payment", "115.00", "650.00"),
        ("2025-03-07", "Reversal: payment of 2025-03-05", "-115.00", "750.00"),
        ("2025-03-20", "Payment", "155.00", "610.00"),
    ]
    (section,) = table(book, "Transactions").sections
    assert (section.title, section.rows) == ("Loan L1, EUR", 3)
    assert (section.before["balance"], section.after["balance"]) == (Decimal("750.00"), Decimal("610.00"))
    assert section.after["paid"] == Decimal("155.00")
    assert not any("add up to" in note for note in book.notes)


def test_fees_have_the_unpaid_amount_after_each(source):
    # 20.00 − 5.00 waived = 15.00, − 5.00 paid = 10.00.
    assert _values(_statement(source), "Fees", "on", "description", "paid", "balance") == [
        ("2025-03-02", "Late fee waived", "5.00", "15.00"),
        ("2025-03-20", "Late fee paid", "5.00", "10.00"),
    ]


def test_the_schedule_in_force_shows_what_is_paid_and_open(source):
    # Version 2. Settled 410.00: 260.00 for the first, 150.00 of the second's 250.00.
    assert _values(_statement(source), "Payment schedule", "number", "due", "paid", "open", "state") == [
        ("1", "260.00", "260.00", "0.00", "paid"),
        ("2", "250.00", "150.00", "100.00", "past due"),
        ("3", "255.00", "0.00", "255.00", "not due yet"),
    ]


@pytest.mark.parametrize(
    ("position", "second", "third"),
    [
        # 410.00 are settled, and nothing else is due.
        ({"status": "closed"}, ("150.00", "0.00", "no longer due"), ("0.00", "0.00", "no longer due")),
        # The principal is repaid after two installments of 510.00 in all: 100.00 of the second are open.
        (
            {"status": "active", "scheduled_due": Decimal("510.00")},
            ("150.00", "100.00", "past due"),
            ("0.00", "0.00", "no longer due"),
        ),
    ],
)
def test_installments_after_the_principal_was_repaid_are_not_open(source, position, second, third):
    source.rows["loan_positions"][0] |= {"principal_outstanding": _ZERO} | position
    book = _statement(source)
    assert _values(book, "Payment schedule", "paid", "open", "state") == [("260.00", "0.00", "paid"), second, third]


def test_a_change_of_terms_is_visible(source):
    (row,) = rows(_statement(source), "Changes of terms")
    assert (row["type"], row["before_rate"], row["after_rate"]) == (
        "rate reduction",
        Decimal("0.14"),
        Decimal("0.125"),
    )


def test_what_is_due_next_is_at_the_head_of_a_letter(source):
    book = _statement(source)
    (head,) = book.headlines.arrow().to_pylist()
    assert head == {
        "currency": "EUR",
        "opening_balance": Decimal("750.00"),
        "paid": Decimal("155.00"),
        "principal_outstanding": Decimal("610.00"),
        "past_due_amount": Decimal("100.00"),
        "days_past_due": 21,
        "next_due_on": date(2025, 4, 10),
        "next_due_amount": Decimal("255.00"),
    }
    assert book.letter == {
        "Borrower": "C1",
        "Loan": "L1",
        "Product": "Personal loan",
        "Interest rate": "12.50% a year",
        "Paid out on": "2025-01-10",
        "Currency": "EUR",
        "Period": "2025-03-01 to 2025-03-31",
    }
    document = document_of(book)
    assert dict(document["letter"])["Borrower"] == "C1"
    assert "Loans" not in [part["title"] for part in document["tables"]]
    assert not any("Not printed" in note for note in document["notes"])


def test_a_borrowers_loans_are_apart_by_currency(source):
    book = _statement(source, loan="ALL", borrower="C1")
    assert [row["loan_id"] for row in rows(book, "Loans")] == ["L1", "L2", "L3"]
    usd = book.headlines.arrow().to_pylist()[1]
    # L2 and L3: 500.00 + 70.00 outstanding, of which 70.00 before March. The next due date is that of L3.
    assert (usd["opening_balance"], usd["principal_outstanding"]) == (Decimal("70.00"), Decimal("570.00"))
    assert (usd["past_due_amount"], usd["days_past_due"]) == (Decimal("7.00"), 3)
    assert (usd["next_due_on"], usd["next_due_amount"]) == (date(2025, 4, 1), Decimal("10.00"))
    assert [part.title for part in table(book, "Transactions").sections] == [
        "Loan L1, EUR",
        "Loan L2, USD",
        "Loan L3, USD",
    ]
    assert book.letter["Loans"] == "3"


def test_a_charge_off_counts_up_to_what_is_owed_and_later_payments_are_recoveries(source):
    source.rows["transactions"] += [
        _transaction(9, "charge_off", "2025-03-22", "700.00"),
        _transaction(10, "repayment", "2025-03-25", "30.00"),
    ]
    source.rows["loan_positions"][0] |= {"principal_outstanding": _ZERO, "status": "charged_off"}
    book = _statement(source)
    # 610.00 is owed on 22 March, so 90.00 of the charge-off does not count. The 30.00 of 25 March are a recovery.
    assert _values(book, "Transactions", "on", "balance")[-4:] == [
        ("2025-03-22", "-90.00"),
        ("2025-03-22", "0.00"),
        ("2025-03-25", "-30.00"),
        ("2025-03-25", "0.00"),
    ]
    assert not any("add up to" in note for note in book.notes)
    assert {row["state"] for row in rows(book, "Payment schedule")} == {"paid", "charged off"}


def test_transactions_posted_after_the_close_are_told(source):
    source.rows["transactions"].append(_transaction(9, "repayment", "2025-03-30", "10.00"))
    note = _statement(source).notes[0]
    assert note.startswith(
        "The transactions of loan L1 add up to 600.00, but its principal outstanding on 2025-03-31 is"
    )
    assert "lending close --from 2025-03-31 --to 2025-03-31 --force" in note


@pytest.mark.parametrize("values", [{}, {"loan": "L1"}, {"borrower": "C1"}, {"allow_pii": True}])
def test_a_statement_needs_a_loan_or_borrower_and_personal_data(source, values):
    with pytest.raises(LendingError, match="a statement of account is personal data: set loan or borrower to an id"):
        generate(source, "borrower_statement", **values)


@pytest.mark.parametrize("chosen", [{"loan": "L9"}, {"loan": "L4", "borrower": "C1"}])
def test_a_loan_that_is_not_there_or_of_somebody_else_has_no_statement(source, chosen):
    with pytest.raises(LendingError, match="no disbursed loan has loan_id 'L"):
        _statement(source, **chosen)
