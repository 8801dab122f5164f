"""The servicing tables: the contract between a loan servicing system and this project.

Every source adapter provides these tables, whatever its system stores. `load` follows from how a table changes:
events are only added (append by posted_at), loans change (merge by updated_at), every other table is read in full.
"""

from lending_pipelines.tables.frequencies import PAYMENT_FREQUENCIES
from lending_pipelines.tables.schema import Table, count, day, flag, instant, money, rate, text

TRANSACTION_TYPES = (
    "disbursement",
    "capitalization",
    "repayment",
    "waiver",
    "charge_off",
    "write_off",
    "recovery",
    "refund",
    "reversal",
)
CONTROLS = (
    "principal",
    "interest_receivable",
    "fees_receivable",
    "cash",
    "interest_income",
    "fee_income",
    "charge_off",
    "recovery",
)

_POSTED_AT = instant("posted_at", "when the servicing system recorded it, UTC")
_CURRENCY = text("currency", "ISO 4217 code")

_ORGANISATION = (
    Table("branches", "The lender's branches.", ("branch_id",), (text("branch_id"), text("name"), text("region"))),
    Table(
        "staff",
        "Loan officers, team leaders, collectors and administrators.",
        ("staff_id",),
        (
            text("staff_id"),
            text("full_name", personal=True),
            text("email", personal=True),
            text("role", values=("loan_officer", "team_leader", "collector", "admin")),
            text("branch_id"),
            text("team_leader_id", "the staff_id of this person's team leader", nullable=True),
            day("active_from"),
            day("active_to", nullable=True),
        ),
    ),
    Table(
        "borrowers",
        "The lender's borrowers.",
        ("borrower_id",),
        (
            text("borrower_id", personal=True),
            text("branch_id"),
            text("segment"),
            day("joined_on", personal=True),
            day("left_on", nullable=True, personal=True),
        ),
    ),
    Table("programs", "Lending programs.", ("program_id",), (text("program_id"), text("name"))),
    Table(
        "products",
        "Loan products; each belongs to one program.",
        ("product_id",),
        (text("product_id"), text("program_id"), text("name"), text("product_type")),
    ),
)

_LOANS = (
    Table(
        "loans",
        "One row per loan: its parties and contractual terms.",
        ("loan_id",),
        (
            text("loan_id"),
            text("borrower_id", personal=True),
            text("product_id"),
            text("branch_id"),
            text("officer_id", "staff_id of the loan officer at origination", nullable=True, personal=True),
            _CURRENCY,
            money("principal", "the contractual amount"),
            rate("annual_rate", "the contractual rate at origination; yearly fraction: 12.5 % is 0.125"),
            text("day_count", values=("30/360", "actual/365", "actual/360", "actual/actual")),
            count("term_count", "number of scheduled payments"),
            text("payment_frequency", values=PAYMENT_FREQUENCIES),
            day("approved_on"),
            day("disbursed_on", "null until disbursed", nullable=True),
            day("first_due_on", nullable=True),
            day("matures_on", nullable=True),
            text("purpose", nullable=True),
            money("collateral_value", nullable=True),
            count("credit_score", nullable=True, personal=True),
            text("region", nullable=True),
            _POSTED_AT,
            instant("updated_at", "when the row last changed, UTC"),
        ),
        load="merge",
        watermark="updated_at",
    ),
    Table(
        "officer_assignments",
        "Which officer managed a loan and when.",
        ("loan_id", "assigned_on"),
        (text("loan_id"), day("assigned_on"), text("officer_id", personal=True), day("released_on", nullable=True)),
    ),
    Table(
        "delinquency_pauses",
        "Periods in which a loan's days past due stand still.",
        ("pause_id",),
        (
            text("pause_id"),
            text("loan_id"),
            day("starts_on", "the last day whose days past due count as usual"),
            day("ends_on", "the last day of the pause", nullable=True),
            _POSTED_AT,
        ),
    ),
    Table(
        "loan_owners",
        "Investors who own loans by the servicing system. A loan's assignments in the register take precedence.",
        ("loan_id", "assigned_on"),
        (
            text("loan_id"),
            day("assigned_on", "the first day on which the investor owns the loan; after a sale on D it is D + 1"),
            text("investor_id"),
            text("investor_name"),
            day("removed_on", "the first day on which the investor no longer owns the loan", nullable=True),
            money("purchase_price", nullable=True),
        ),
    ),
    Table(
        "installments",
        "Repayment schedules; a version is a complete schedule that replaces earlier ones from its effective_on.",
        ("loan_id", "version", "number"),
        (
            text("loan_id"),
            count("version"),
            count("number"),
            day("due_on"),
            money("principal"),
            money("interest"),
            money("fees"),
            day("effective_on", "the business date from which this version is in force"),
            _POSTED_AT,
        ),
        load="append",
        watermark="posted_at",
    ),
    Table(
        "transactions",
        "Every event that moves a loan's money; the type decides how an amount counts.",
        ("transaction_id",),
        (
            text("transaction_id"),
            text("loan_id"),
            text("type", values=TRANSACTION_TYPES),
            day("effective_on", "the business date on which the transaction counts"),
            _POSTED_AT,
            money("amount", "principal + interest + fees"),
            money("principal"),
            money("interest"),
            money("fees"),
            text("channel", nullable=True),
            text("reverses_id", "the transaction_id that a reversal reverses", nullable=True),
        ),
        load="append",
        watermark="posted_at",
    ),
    Table(
        "accruals",
        "Interest and fees that the servicing system accrued. The convention interest_accrual = servicer sums them.",
        ("accrual_id",),
        (
            text("accrual_id"),
            text("loan_id"),
            day("effective_on", "the business date on which the accrual counts"),
            _POSTED_AT,
            money("interest", "negative for an adjustment that lowers what was accrued", sign="any"),
            money("fees", "negative for an adjustment that lowers what was accrued", sign="any"),
            text("reverses_id", "the accrual_id that this row reverses, with the same amounts", nullable=True),
        ),
        load="append",
        watermark="posted_at",
    ),
    Table(
        "fees",
        "Fees assessed, waived and paid.",
        ("fee_id",),
        (
            text("fee_id"),
            text("loan_id"),
            text("fee_type", values=("processing", "origination", "late", "nsf", "servicing", "other")),
            money("amount"),
            day("assessed_on"),
            money("waived_amount"),
            day("waived_on", nullable=True),
            money("paid_amount"),
            day("paid_on", nullable=True),
            _POSTED_AT,
        ),
    ),
    Table(
        "modifications",
        "Changes of a loan's terms, with the terms before and after.",
        ("modification_id",),
        (
            text("modification_id"),
            text("loan_id"),
            text(
                "type",
                values=(
                    "rate_reduction",
                    "term_extension",
                    "deferral",
                    "forbearance",
                    "capitalization",
                    "principal_forgiveness",
                    "reage",
                ),
            ),
            day("effective_on"),
            rate("before_rate", nullable=True),
            rate("after_rate", nullable=True),
            count("before_term", nullable=True),
            count("after_term", nullable=True),
            money("before_payment", nullable=True),
            money("after_payment", nullable=True),
            money("before_principal", nullable=True),
            money("after_principal", nullable=True),
            _POSTED_AT,
        ),
        load="append",
        watermark="posted_at",
    ),
)

_LEDGER = (
    Table(
        "gl_accounts",
        "The chart of accounts.",
        ("account_code",),
        (
            text("account_code"),
            text("name"),
            text("account_type", values=("asset", "liability", "equity", "income", "expense")),
            text("parent_code", nullable=True),
            text("control_for", "the subledger total that this account controls", nullable=True, values=CONTROLS),
        ),
    ),
    Table(
        "journal_lines",
        "General ledger journal lines; an entry's debits equal its credits.",
        ("entry_id", "line_no"),
        (
            text("entry_id"),
            count("line_no"),
            text("account_code"),
            day("entry_date"),
            _POSTED_AT,
            money("debit", sign="by convention"),
            money("credit", sign="by convention"),
            _CURRENCY,
            text("loan_id", nullable=True),
            text("transaction_id", nullable=True),
            text("memo", nullable=True, personal=True),
            text("branch_id", "the branch that the line belongs to", optional=True),
        ),
        load="append",
        watermark="posted_at",
    ),
)

_COLLECTIONS = (
    Table(
        "collection_assignments",
        "The collector and queue that a loan was assigned to and when.",
        ("loan_id", "assigned_on"),
        (
            text("loan_id"),
            day("assigned_on"),
            text("collector_id"),
            text("queue"),
            day("released_on", nullable=True),
        ),
    ),
    Table(
        "collection_contacts",
        "Attempts to reach a borrower.",
        ("contact_id",),
        (
            text("contact_id"),
            text("loan_id"),
            text("collector_id"),
            text("queue"),
            instant("contacted_at", "UTC"),
            text("channel", values=("call", "sms", "email", "visit")),
            text("outcome", values=("right_party", "wrong_party", "no_answer", "left_message")),
        ),
    ),
    Table(
        "promises_to_pay",
        "Promises to pay, and whether they were kept.",
        ("promise_id",),
        (
            text("promise_id"),
            text("loan_id"),
            text("collector_id"),
            text("queue"),
            day("promised_on"),
            day("due_on"),
            money("amount"),
            day("kept_on", nullable=True),
            day("broken_on", nullable=True),
        ),
    ),
    Table(
        "compliance_checks",
        "Results of compliance rules.",
        ("check_id",),
        (
            text("check_id"),
            text("rule_code"),
            text("rule_name"),
            text("category"),
            text("loan_id", nullable=True),
            day("checked_on"),
            flag("passed"),
            text("detail", nullable=True, personal=True),
        ),
    ),
)

_PLATFORM = (
    Table(
        "users",
        "Users of the lending platform.",
        ("user_id",),
        (text("user_id"), text("borrower_id", nullable=True, personal=True), text("segment"), day("joined_on")),
    ),
    Table(
        "wallets",
        "Wallets, one per user and asset type.",
        ("wallet_id",),
        (text("wallet_id"), text("user_id"), text("asset_type"), day("opened_on")),
    ),
    Table(
        "wallet_transactions",
        "Movements of wallets, signed.",
        ("wallet_transaction_id",),
        (
            text("wallet_transaction_id"),
            text("wallet_id"),
            money("amount", "+ in, - out", sign="any"),
            instant("occurred_at", "UTC"),
        ),
    ),
    Table(
        "tickets",
        "Offers to lend and requests to borrow.",
        ("ticket_id",),
        (
            text("ticket_id"),
            text("user_id"),
            text("asset_type"),
            text("side", values=("lend", "borrow")),
            money("amount"),
            text("status", values=("open", "completed", "cancelled")),
            day("opened_on"),
            day("closed_on", nullable=True),
        ),
    ),
    Table(
        "gateway_payments",
        "Payments through the payment gateway.",
        ("payment_id",),
        (
            text("payment_id"),
            text("user_id"),
            money("amount"),
            _CURRENCY,
            text("status", values=("pending", "verified", "failed")),
            instant("paid_at", "UTC"),
            text("reference", personal=True),
        ),
    ),
)

SERVICING: dict[str, Table] = {
    table.name: table for table in (*_ORGANISATION, *_LOANS, *_LEDGER, *_COLLECTIONS, *_PLATFORM)
}
"""The servicing tables by name, in an order that satisfies foreign keys."""

REQUIRED = ("loans", "installments", "transactions")
"""The servicing tables that a source must have, because positions need them. All others may be absent."""
