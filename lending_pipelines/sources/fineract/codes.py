"""Fineract's code lists, and what each code means in the servicing tables.

The codes are those of the enumerations in apache/fineract. A code that is not listed here is an error, because its
meaning is not known.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

Remainder = Literal["principal", "interest", "fees"]


@dataclass(frozen=True)
class TransactionType:
    """A type of m_loan_transaction that moves a loan's money."""

    name: str
    """Fineract's name."""
    servicing_type: str
    """The type in the table transactions."""
    remainder: Remainder = "principal"
    """The component that gets the amount less the other portions."""
    cash: bool = True
    """Whether money changes hands. If not, the transaction's channel is `name`."""


DISBURSEMENT, CREDIT_BALANCE_REFUND, CHARGEBACK, CHARGE_OFF, CAPITALIZED_INCOME = 1, 20, 25, 27, 35
WRITE_OFF, RECOVERY, REAGE, REAMORTIZE, CONTRACT_TERMINATION = 6, 8, 29, 30, 38
WAIVE_CHARGES, INTEREST_PAYMENT_WAIVER = 9, 31

MONEY: Mapping[int, TransactionType] = {
    DISBURSEMENT: TransactionType("disbursement", "disbursement"),
    2: TransactionType("repayment", "repayment"),
    4: TransactionType("waive_interest", "waiver", "interest", cash=False),
    5: TransactionType("repayment_at_disbursement", "repayment", "fees"),
    WRITE_OFF: TransactionType("writeoff", "write_off", cash=False),
    RECOVERY: TransactionType("recovery_repayment", "recovery"),
    WAIVE_CHARGES: TransactionType("waive_charges", "waiver", "fees", cash=False),
    16: TransactionType("refund", "refund"),
    17: TransactionType("charge_payment", "repayment", "fees"),
    18: TransactionType("refund_for_active_loan", "refund"),
    CREDIT_BALANCE_REFUND: TransactionType("credit_balance_refund", "refund"),
    21: TransactionType("merchant_issued_refund", "repayment"),
    22: TransactionType("payout_refund", "repayment"),
    23: TransactionType("goodwill_credit", "repayment", cash=False),
    24: TransactionType("charge_refund", "repayment", cash=False),
    CHARGEBACK: TransactionType("chargeback", "refund"),
    26: TransactionType("charge_adjustment", "repayment", cash=False),
    CHARGE_OFF: TransactionType("charge_off", "charge_off", cash=False),
    28: TransactionType("down_payment", "repayment"),
    INTEREST_PAYMENT_WAIVER: TransactionType("interest_payment_waiver", "waiver", cash=False),
    33: TransactionType("interest_refund", "repayment", cash=False),
    CAPITALIZED_INCOME: TransactionType("capitalized_income", "capitalization", "fees", cash=False),
    37: TransactionType("capitalized_income_adjustment", "repayment", cash=False),
}
"""The transaction types that become rows of transactions."""

PAYMENTS = tuple(code for code, type_ in MONEY.items() if type_.servicing_type == "repayment")
"""The transaction types that become repayments."""

ACCRUAL, ACCRUAL_ADJUSTMENT = 10, 34

NO_MONEY: Mapping[int, str] = {
    ACCRUAL: "accrual",
    12: "initiate_transfer",
    13: "approve_transfer",
    14: "withdraw_transfer",
    15: "reject_transfer",
    19: "income_posting",
    REAGE: "reage",
    REAMORTIZE: "reamortize",
    32: "accrual_activity",
    ACCRUAL_ADJUSTMENT: "accrual_adjustment",
    36: "capitalized_income_amortization",
    CONTRACT_TERMINATION: "contract_termination",
    39: "capitalized_income_amortization_adjustment",
    40: "buy_down_fee",
    41: "buy_down_fee_adjustment",
    42: "buy_down_fee_amortization",
    43: "buy_down_fee_amortization_adjustment",
}
"""The transaction types that do not change what the borrower owes, whatever portions they have."""

SCHEDULE_CHANGES = (
    DISBURSEMENT,
    CREDIT_BALANCE_REFUND,
    CHARGEBACK,
    CHARGE_OFF,
    REAGE,
    REAMORTIZE,
    CAPITALIZED_INCOME,
    37,
    CONTRACT_TERMINATION,
)
"""The transaction types with which Fineract changes the schedule in place."""

REPLAYED = 3
"""The relation from a transaction to the one that it replaces because an earlier payment was entered later."""

ACTIVE = 300

LOAN_STATUSES = {
    200: "approved",
    ACTIVE: "active",
    303: "transfer_in_progress",
    304: "transfer_on_hold",
    600: "closed_obligations_met",
    601: "closed_written_off",
    602: "closed_rescheduled",
    700: "overpaid",
}
"""The statuses of an approved loan. Loans with other statuses were not lent."""

NOT_LENT = {0: "invalid", 100: "submitted", 400: "withdrawn", 500: "rejected"}

DAYS, WEEKS, MONTHS, YEARS = 0, 1, 2, 3

FREQUENCIES = {
    (DAYS, 7): "weekly",
    (DAYS, 14): "biweekly",
    (DAYS, 15): "semimonthly",
    (DAYS, 28): "four_weekly",
    (WEEKS, 1): "weekly",
    (WEEKS, 2): "biweekly",
    (WEEKS, 4): "four_weekly",
    (MONTHS, 1): "monthly",
    (MONTHS, 2): "bimonthly",
    (MONTHS, 3): "quarterly",
    (MONTHS, 6): "semiannual",
    (MONTHS, 12): "annual",
    (YEARS, 1): "annual",
}
"""The payment frequency by unit and number of units. Other pairs are bullet with one repayment, else irregular."""

PERIODS_A_YEAR = {DAYS: 365, WEEKS: 52, MONTHS: 12, YEARS: 1}
"""The number of periods in a year, which converts a rate per period to a yearly rate."""

DAY_COUNTS = {(30, 360): "30/360", (1, 1): "actual/actual", (1, 365): "actual/365", (1, 360): "actual/360"}
"""The day count by days in month and days in year (1: actual)."""

NEAREST_DAY_COUNTS = {
    (1, 364): "actual/365",
    (30, 1): "30/360",
    (30, 364): "30/360",
    (30, 365): "30/360",
}
"""Day counts without a name in the table loans, with the nearest one that has a name."""

STAFF_ROLES = {100: "admin", 200: "team_leader", 300: "team_leader", 400: "loan_officer"}

CLASSIFICATIONS = {1: "asset", 2: "liability", 3: "equity", 4: "income", 5: "expense"}

CREDIT, DEBIT = 1, 2

LOAN = 1
"""The entity and product type of loans."""

CONTROLS = {
    1: "cash",
    2: "principal",
    3: "interest_income",
    4: "fee_income",
    5: "fee_income",
    6: "charge_off",
    7: "interest_receivable",
    8: "fees_receivable",
    9: "fees_receivable",
    12: "recovery",
    16: "charge_off",
}
"""The total that an account controls, by the purpose for which loan products use it."""

FEE_TYPES = {1: "origination", 8: "servicing", 9: "late", 12: "origination"}
"""The fee type by charge_time_enum, the event at which a charge is due. Any other event gives the type `other`."""

APPROVED = 200
"""The status of an approved reschedule request."""

INTEREST_PAUSE = 11

RATE_CHANGES = (2, 10)
"""The types of term variations that change the rate."""

MODIFICATIONS = {
    1: "forbearance",
    2: "rate_reduction",
    4: "deferral",
    7: "deferral",
    8: "deferral",
    9: "term_extension",
    10: "rate_reduction",
    INTEREST_PAUSE: "forbearance",
}
"""The modification by the type of a term variation: payment, rate, due date, grace, term, pause of interest."""


def named(column: sa.ColumnElement, names: Mapping[int, str], else_: str | None = None) -> sa.ColumnElement[str]:
    """The name of a code. NULL, or `else_`, for a code without a name."""
    return sa.case(*((column == code, sa.literal(name, sa.String)) for code, name in names.items()), else_=else_)


def lent(loan: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether a row of m_loan is a loan: approved, and neither withdrawn nor rejected."""
    return loan.c.loan_status_id.in_(LOAN_STATUSES)
