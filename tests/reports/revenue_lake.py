"""Three loans in two currencies over February 2025, small enough to work by hand; two days of it are closed.

L1 (USD, product A) and L3 (EUR, product A) are older, L2 (USD, product B) is disbursed on 10 February; L3 is charged
off on 20 February. Each test file works out its own report from these rows.
"""

from datetime import date

from tiny_lake import TinyLake, money

JAN_31, FEB_14, FEB_28 = date(2025, 1, 31), date(2025, 2, 14), date(2025, 2, 28)
LONG_NAME = "Ü" * 200
_LOANS = {
    "L1": ("USD", "A", "BR1", date(2025, 1, 10), "0.120000", "1000.00"),
    "L2": ("USD", "B", "BR2", date(2025, 2, 10), "0.240000", "500.00"),
    "L3": ("EUR", "A", "BR1", date(2025, 1, 10), "0.120000", "800.00"),
}


def position(day, loan_id, outstanding, earned, paid, status="active", **columns):
    currency, product, branch, disbursed_on, rate, principal = _LOANS[loan_id]
    return {
        "business_date": day,
        "loan_id": loan_id,
        "currency": currency,
        "product_id": product,
        "branch_id": branch,
        "disbursed_on": disbursed_on,
        "matures_on": date(2026, 1, 10),
        "annual_rate": money(rate),
        "principal_disbursed": money(principal),
        "status": status,
        "principal_outstanding": money(outstanding),
        "interest_earned": money(earned),
        "interest_paid": money(paid),
        "interest_receivable": money(earned) - money(paid) if status == "active" else money("0.00"),
    } | columns


POSITIONS = [
    position(JAN_31, "L1", "1000.00", "7.00", "0.00"),
    position(JAN_31, "L3", "800.00", "5.60", "0.00"),
    position(FEB_14, "L1", "900.00", "12.00", "10.00", principal_paid=money("100.00")),
    position(FEB_14, "L2", "500.00", "1.40", "0.00"),
    position(FEB_14, "L3", "800.00", "9.00", "0.00"),
    position(FEB_28, "L1", "900.00", "17.00", "10.00", principal_paid=money("100.00")),
    position(FEB_28, "L2", "500.00", "6.00", "0.00"),
    position(
        FEB_28,
        "L3",
        "0.00",
        "10.00",
        "0.00",
        "charged_off",
        principal_charged_off=money("800.00"),
        recovered=money("100.00"),
    ),
]


def transaction(number, loan_id, kind, day, principal="0.00", interest="0.00", fees="0.00", channel=None, of=None):
    parts = [money(principal), money(interest), money(fees)]
    return {
        "transaction_id": f"T{number}",
        "loan_id": loan_id,
        "type": kind,
        "effective_on": date.fromisoformat(day),
        "amount": sum(parts),
        **dict(zip(("principal", "interest", "fees"), parts, strict=True)),
        "channel": channel,
        "reverses_id": of,
    }


TRANSACTIONS = [
    transaction(1, "L3", "repayment", "2025-01-15", "20.00", channel="card"),
    transaction(2, "L3", "reversal", "2025-02-01", "20.00", of="T1"),
    transaction(3, "L3", "reversal", "2025-02-03", "20.00", of="T2"),
    transaction(4, "L1", "repayment", "2025-02-05", "100.00", "10.00", channel="card"),
    transaction(5, "L1", "repayment", "2025-02-12", "50.00", fees="5.00", channel="debit"),
    transaction(6, "L1", "reversal", "2025-02-14", "50.00", fees="5.00", of="T5"),
    transaction(7, "L2", "repayment", "2025-02-20", "30.00"),
    transaction(8, "L2", "refund", "2025-02-20", "30.00"),
    transaction(9, "L3", "recovery", "2025-02-25", "100.00", channel="card"),
    transaction(10, "L1", "repayment", "2025-03-01", "7.00", channel="card"),
]


def fee(number, loan_id, kind, amount, assessed, waived=None, paid=None):
    return {
        "fee_id": f"F{number}",
        "loan_id": loan_id,
        "fee_type": kind,
        "amount": money(amount),
        "assessed_on": date.fromisoformat(assessed),
        "waived_amount": money(amount) if waived else money("0.00"),
        "waived_on": waived and date.fromisoformat(waived),
        "paid_amount": money(amount) if paid else money("0.00"),
        "paid_on": paid and date.fromisoformat(paid),
    }


FEES = [
    fee(1, "L1", "processing", "20.00", "2025-01-10", paid="2025-02-05"),
    fee(2, "L3", "processing", "40.00", "2025-01-10", paid="2025-01-10"),
    fee(3, "L2", "processing", "10.00", "2025-02-10"),
    fee(4, "L2", "processing", "6.00", "2025-02-11", waived="2025-02-15"),
    fee(5, "L1", "late", "15.00", "2025-02-13", paid="2025-02-20"),
    fee(6, "L3", "processing", "-5.00", "2025-02-02"),
    fee(7, "L1", "late", "99.00", "2025-03-01"),
]


def revenue_lake(**tables):
    """The lake, with some tables replaced."""
    contracts = [
        {"loan_id": loan_id, "disbursed_on": loan[3], "principal": money(loan[5])} for loan_id, loan in _LOANS.items()
    ]
    scopes = [("product", "A", "Ratenkredit"), ("product", "B", LONG_NAME), ("branch", "BR2", "Nord")]
    snapshots = [
        {"business_date": row["business_date"], "scope": scope, "scope_id": scope_id, "name": name}
        for row in POSITIONS
        for scope, scope_id, name in scopes
    ]
    return TinyLake(
        {
            "loan_positions": POSITIONS,
            "portfolio_snapshots": snapshots,
            "loans": contracts,
            "products": [{"product_id": "A", "name": "Ratenkredit"}, {"product_id": "B", "name": LONG_NAME}],
            "transactions": TRANSACTIONS,
            "fees": FEES,
        }
        | tables
    )
