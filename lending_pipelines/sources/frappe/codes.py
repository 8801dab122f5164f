"""Frappe's Select values, and what each means in the servicing tables.

The values are those of the doctypes of frappe/lending and frappe/erpnext. A value that is not listed here is an error,
because its meaning is not known.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

Part = Literal["principal", "interest", "fees"]

DRAFT, SUBMITTED, CANCELLED = 0, 1, 2
"""The states of a document, docstatus."""


@dataclass(frozen=True)
class RepaymentType:
    """A repayment_type of Loan Repayment that moves a loan's money."""

    servicing_type: str
    """The type in the table transactions."""
    remainder: Part = "principal"
    """The component that gets the amount less the other portions."""
    channel: str | None = None
    """The channel of a type without cash. None for a type with cash: the channel is then the mode of payment."""


MONEY: Mapping[str, RepaymentType] = {
    "Normal Repayment": RepaymentType("repayment"),
    "Advance Payment": RepaymentType("repayment"),
    "Pre Payment": RepaymentType("repayment"),
    "Loan Closure": RepaymentType("repayment"),
    "Partial Settlement": RepaymentType("repayment"),
    "Full Settlement": RepaymentType("repayment"),
    "Charge Payment": RepaymentType("repayment", "fees"),
    "Principal Adjustment": RepaymentType("repayment", channel="principal_adjustment"),
    "Interest Adjustment": RepaymentType("repayment", "interest", "interest_adjustment"),
    "Security Deposit Adjustment": RepaymentType("repayment", channel="security_deposit_adjustment"),
    "Subsidy Adjustments": RepaymentType("repayment", channel="subsidy_adjustment"),
    "Interest Waiver": RepaymentType("waiver", "interest", "interest_waiver"),
    "Penalty Waiver": RepaymentType("waiver", "fees", "penalty_waiver"),
    "Charges Waiver": RepaymentType("waiver", "fees", "charges_waiver"),
    "Write Off Recovery": RepaymentType("recovery"),
    "Write Off Settlement": RepaymentType("recovery"),
    "Interest Capitalization": RepaymentType("capitalization", "interest", "interest_capitalization"),
    "Penalty Capitalization": RepaymentType("capitalization", "fees", "penalty_capitalization"),
    "Charges Capitalization": RepaymentType("capitalization", "fees", "charges_capitalization"),
}
"""The repayment types that become rows of transactions."""

NO_MONEY = ("Interest Carry Forward", "Principal Capitalization")
"""The repayment types that move an overdue amount into the new schedule and do not change what the borrower owes."""

CAPITALIZATIONS = tuple(name for name, type_ in MONEY.items() if type_.servicing_type == "capitalization")
"""The repayment types that become capitalizations."""

CREDIT_ADJUSTMENT = "Credit Adjustment"
ADJUSTMENTS = {CREDIT_ADJUSTMENT: "waiver", "Debit Adjustment": "capitalization"}
"""The type in the table transactions by the type of a Loan Balance Adjustment."""

LOAN_STATUSES = (
    "Sanctioned",
    "Partially Disbursed",
    "Disbursed",
    "Active",
    "Loan Closure Requested",
    "Closed",
    "Written Off",
    "Settled",
    "Cancelled",
)
"""The statuses of a loan that is or was submitted."""

WRITTEN_OFF = "Written Off"

FREQUENCIES = {
    "Weekly": "weekly",
    "Bi-Weekly": "biweekly",
    "Monthly": "monthly",
    "Quarterly": "quarterly",
    "One Time": "bullet",
    "Daily": "irregular",
    "": "irregular",
}
"""The payment frequency by repayment_frequency. Daily, and a demand loan without a frequency, are irregular."""

DAY_COUNTS = {
    "Actual/365": "actual/365",
    "Actual/Actual": "actual/actual",
    "Actual/360": "actual/360",
    "30/360": "30/360",
    "30/365": "30/360",
    "": "actual/365",
}
"""The day count by the company's convention. 30/365 becomes 30/360, and no convention becomes actual/365."""

IN_FORCE = ("Active", "Restructured", "Rescheduled", "Outdated", "Closed")
"""The statuses of a schedule that is in force, or was until another one followed it."""

NEVER_IN_FORCE = ("Draft", "Initiated", "Rejected", "Cancelled")

LINE_OF_CREDIT = "Line of Credit"
"""The schedule type of loans in which each disbursement has its own schedule. These are in force at the same time."""

NORMAL_RESTRUCTURE, PREPAYMENTS = "Normal Restructure", ("Pre Payment", "Advance Payment")
"""The restructure types: new terms, and a new schedule after a prepayment."""

APPROVED = "Approved"

RESTRUCTURE_STATUSES = ("", "Initiated", APPROVED, "Rejected")

CAPITALIZE = "Capitalize"

INSTALLMENT_DEMANDS = ("EMI", "Normal", "BPI")
"""The demands for what an installment, a demand loan or a broken period owes."""

FEES = {"Penalty": "late", "Additional Interest": "late", "Charges": "other"}
"""The fee type by the type of a demand."""

NORMAL_INTEREST, PENAL_INTEREST = "Normal Interest", "Penal Interest"
"""The interest types of an accrual."""

ROOT_TYPES = {
    "Asset": "asset",
    "Liability": "liability",
    "Income": "income",
    "Expense": "expense",
    "Equity": "equity",
}

PRODUCT_CONTROLS = {
    "payment_account": "cash",
    "disbursement_account": "cash",
    "loan_account": "principal",
    "interest_income_account": "interest_income",
    "penalty_income_account": "fee_income",
    "interest_receivable_account": "interest_receivable",
    "interest_accrued_account": "interest_receivable",
    "penalty_receivable_account": "fees_receivable",
    "penalty_accrued_account": "fees_receivable",
    "write_off_account": "charge_off",
    "write_off_recovery_account": "recovery",
}
"""The total that an account controls, by the field of Loan Product that names it."""

LOAN_CONTROLS = {
    field: PRODUCT_CONTROLS[field]
    for field in (
        "payment_account",
        "disbursement_account",
        "loan_account",
        "interest_income_account",
        "penalty_income_account",
    )
}
"""The total that an account controls, by the field of Loan that names it."""


def named(column: sa.ColumnElement, names: Mapping[str, str], else_: str | None = None) -> sa.ColumnElement[str]:
    """The name of a value; NULL counts as an empty text. NULL, or `else_`, for a value without a name."""
    value = sa.func.coalesce(column, "")
    return sa.case(*((value == known, sa.literal(name, sa.String)) for known, name in names.items()), else_=else_)
