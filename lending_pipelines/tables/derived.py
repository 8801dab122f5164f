"""The tables that the close derives, and the register's assignments as tables that the engines can read.

Tables that sum amounts have `currency` in their key: amounts of different currencies are never added. What the numbers
mean is in docs/definitions.md; how they are computed is in metrics/.
"""

from lending_pipelines.tables.records import RESTATEMENT_RECORDS
from lending_pipelines.tables.schema import (
    Table,
    bucket,
    count,
    day,
    flag,
    instant,
    money,
    percent,
    rate,
    ratio,
    score,
    share,
    text,
)
from lending_pipelines.tables.servicing import CONTROLS

SCOPES = ("all", "portfolio", "program", "product", "branch", "investor", "vintage")
"""The levels at which loans are summed. `scope_id` is the id within the level, `*` for all."""

ALERT_SEVERITIES = ("warning", "critical")
LOAN_STATUSES = ("pending", "active", "closed", "charged_off")
TRANSITION_EXITS = ("closed", "charged_off", "sold", "pending")
TRANSITION_ENTRY = "new"

_DATE = day("business_date", "the row describes the end of this day")
_CURRENCY = text("currency", "ISO 4217 code; amounts of different currencies are never added")
_SCOPE = (text("scope", "the level", values=SCOPES), text("scope_id", "the id within the level, * for all"))
_REASON = text("irr_reason", "why an IRR is null", nullable=True)

_MEMBERSHIP = (
    Table(
        "portfolio_membership",
        "Which loans belonged to which portfolio and when: the register's assignments as intervals"
        " [assigned_on, removed_on).",
        ("portfolio_id", "loan_id", "assigned_on"),
        (
            text("portfolio_id"),
            text("portfolio_name"),
            text("loan_id"),
            day("assigned_on"),
            day("removed_on", nullable=True),
            text("method", values=("static", "dynamic")),
        ),
    ),
    Table(
        "loan_ownership",
        "Which investor owned which loans and when, as intervals: the register's assignments, and loan_owners for loans"
        " without one.",
        ("investor_id", "loan_id", "assigned_on"),
        (
            text("investor_id"),
            text("investor_name"),
            text("loan_id"),
            day("assigned_on", "the first day on which the investor owns the loan; after a sale on D it is D + 1"),
            day("removed_on", "the first day on which the investor no longer owns the loan", nullable=True),
            money("purchase_price", "paid on the day before assigned_on", nullable=True),
        ),
    ),
)

_LOAN_POSITIONS = Table(
    "loan_positions",
    "Every disbursed loan at the end of every day: the balances, the owner and the days past due.",
    ("business_date", "loan_id"),
    (
        _DATE,
        text("loan_id"),
        text("portfolio_id", "the portfolio on the day", nullable=True),
        text("program_id", nullable=True),
        text("product_id"),
        text("branch_id"),
        text("officer_id", "the loan officer on the day", nullable=True, personal=True),
        text("investor_id", "the owner on the day", nullable=True),
        text("borrower_id", personal=True),
        _CURRENCY,
        text("vintage", "calendar quarter of disbursed_on: 2025Q3"),
        rate("annual_rate", "the rate in force on the day"),
        text("status", values=LOAN_STATUSES),
        day("disbursed_on"),
        day("matures_on", nullable=True),
        money("principal_disbursed"),
        money("principal_capitalized", "interest and fees that became principal"),
        money("principal_paid", sign="any"),
        money("interest_paid", sign="any"),
        money("fees_paid", sign="any"),
        money("principal_charged_off"),
        money("principal_forgiven"),
        money("principal_outstanding", "disbursed + capitalized - paid - charged off - forgiven", sign="any"),
        money("recovered"),
        money("interest_earned", "interest earned to date, by the convention interest_accrual"),
        money("interest_receivable", "interest earned and not settled; 0 unless active"),
        money("scheduled_due", "principal + interest of installments due by the day"),
        money("settled", "principal + interest settled, oldest installment first", sign="any"),
        money("past_due_amount"),
        money("past_due_principal"),
        money("past_due_interest"),
        day("oldest_due_on", "due date of the oldest installment not fully settled", nullable=True),
        count("days_past_due", "days"),
        bucket("bucket", "delinquency bucket by days_past_due"),
        flag("non_accrual"),
        money("total_collected", "repayments - refunds + recoveries, all components", sign="any"),
        day("last_payment_on", nullable=True),
        money("last_payment_amount", "repayments of that day", nullable=True),
        day("next_due_on", nullable=True),
        money("next_due_amount", "principal + interest of the first installment due after the day", nullable=True),
    ),
    partition="business_date",
)

_AGING = (
    Table(
        "aging_buckets",
        "Active loans by delinquency bucket, per scope.",
        ("business_date", "scope", "scope_id", "currency", "bucket"),
        (
            _DATE,
            *_SCOPE,
            _CURRENCY,
            bucket("bucket"),
            count("loan_count"),
            money("principal_outstanding"),
            money("past_due_amount"),
            share("balance_share", "share of the scope's active principal outstanding"),
        ),
        partition="business_month",
    ),
    Table(
        "aging_transitions",
        "Moves from the bucket one transition step earlier to the bucket on the day, with entries and exits.",
        ("business_date", "scope", "scope_id", "currency", "from_bucket", "to_bucket"),
        (
            _DATE,
            *_SCOPE,
            _CURRENCY,
            bucket("from_bucket", "bucket on from_date, or new", or_one_of=(TRANSITION_ENTRY,)),
            bucket("to_bucket", "bucket on the day, or closed, charged_off, sold, pending", or_one_of=TRANSITION_EXITS),
            day("from_date", "one transition step before business_date"),
            count("loan_count"),
            money("opening_principal", "principal outstanding on from_date"),
            share("count_rate", "loans ÷ loans of from_bucket; null for new"),
            share("balance_rate", "opening principal ÷ that of from_bucket; null for new or a zero opening"),
        ),
        partition="business_month",
    ),
)

HEALTH_RATES = ("collection_rate", "default_rate", "growth_rate", "portfolio_yield")
"""The rates from which the health score is computed, in the order of the convention health_weights."""

HEALTH_SCORES = ("collection_score", "default_score", "growth_score", "yield_score")
"""The parts of the health score, each from 0 to 100, in the order of HEALTH_RATES."""

HEALTH_CATEGORIES = ("Critical", "Warning", "Good", "Excellent")

_HEALTH = (
    count("defaulted_loans", "charged off, or active and default_days or more past due"),
    money("due_in_window", "principal + interest that fell due in the window"),
    money("collected_in_window", "principal + interest collected in the window", sign="any"),
    money("opening_outstanding", "principal outstanding of the same loans on the day before the window", sign="any"),
    money("income_in_year", "interest + fees collected in the 365 days ending on the day", sign="any"),
    percent("collection_rate", "percent: collected_in_window ÷ due_in_window"),
    percent("default_rate", "percent: defaulted loans ÷ loans that are active or charged off"),
    percent("growth_rate", "percent, against opening_outstanding"),
    percent("portfolio_yield", "percent a year: income_in_year against the average principal outstanding"),
    score("collection_score", "part of the health score"),
    score("default_score", "part of the health score"),
    score("growth_score", "part of the health score"),
    score("yield_score", "part of the health score"),
    score("health_score", "the weighted parts"),
    text("health_category", nullable=True, values=HEALTH_CATEGORIES),
    text("missing", "the rates that are null and score 0", nullable=True),
)

_SNAPSHOTS = (
    Table(
        "portfolio_snapshots",
        "Balances, delinquency and returns per scope.",
        ("business_date", "scope", "scope_id", "currency"),
        (
            _DATE,
            *_SCOPE,
            _CURRENCY,
            text("name", "the scope's name", nullable=True),
            money("total_balance", sign="any"),
            money("interest_receivable"),
            money("delinquent_amount", "principal outstanding with days_past_due >= 1"),
            money("past_due_amount"),
            count("loan_count", "active loans"),
            rate("weighted_avg_rate", "weighted by principal outstanding", nullable=True),
            text("bucket_breakdown", "JSON: per bucket {count, balance}"),
            ratio("par_30"),
            ratio("par_60"),
            ratio("par_90"),
            ratio("irr", "XIRR of the cash flows up to the day"),
            ratio("irr_with_residual", "XIRR with principal outstanding + interest receivable as the last inflow"),
            _REASON,
            ratio("moic", "total collected ÷ total disbursed"),
            money("total_disbursed"),
            money("total_collected", sign="any"),
            money("charged_off"),
            money("recovered"),
            *_HEALTH,
        ),
        partition="business_month",
    ),
)

MANAGER_ROLES = ("loan_officer", "team_leader", "unassigned")

_MANAGERS = Table(
    "manager_snapshots",
    "Clients, balances, delinquency and health of every loan officer's loans and every team leader's team.",
    ("business_date", "manager_id", "currency"),
    (
        _DATE,
        text("manager_id", "staff_id of the loan officer or team leader; unassigned: the loans without an officer"),
        _CURRENCY,
        text("role", values=MANAGER_ROLES),
        text("branch_id", "the branch of the member of staff", nullable=True),
        count("total_clients", "borrowers"),
        count("active_clients", "borrowers with an active loan"),
        count("new_clients", "active clients with no loan disbursed before the window"),
        count("churned_clients", "clients active on the day before the window and not on the day"),
        count("active_loans"),
        count("total_loans", "ever disbursed"),
        money("total_disbursed"),
        money("total_outstanding", sign="any"),
        money("total_collected", sign="any"),
        ratio("par_30"),
        ratio("par_60"),
        ratio("par_90"),
        *_HEALTH,
    ),
    partition="business_month",
)

_LEDGER = (
    Table(
        "trial_balance",
        "Every account with entries up to the day.",
        ("business_date", "account_code", "currency"),
        (
            _DATE,
            text("account_code"),
            _CURRENCY,
            text("name", nullable=True),
            text("account_type", nullable=True),
            money("debit_total", sign="by convention"),
            money("credit_total", sign="by convention"),
            money("balance", "debit - credit", sign="any"),
            money("debit_balance"),
            money("credit_balance"),
        ),
        partition="business_month",
    ),
    Table(
        "ledger_tieouts",
        "Control accounts compared with the same total from loan_positions.",
        ("business_date", "control_for", "currency"),
        (
            _DATE,
            text("control_for", "the subledger total of the control accounts", values=CONTROLS),
            _CURRENCY,
            money("ledger_balance", sign="any"),
            money("subledger_balance", sign="any"),
            money("difference", "ledger - subledger; 0 when they tie", sign="any"),
            text("loans", "JSON: the loans that make up a break, largest first"),
        ),
        partition="business_month",
    ),
)

_EVERY_ROW = "of the lender, the same in every currency"

_PLATFORM = Table(
    "platform_activity",
    "Users, tickets, wallets and gateway payments of the peer lending platform, with the active loans, per currency.",
    ("business_date", "currency"),
    (
        _DATE,
        _CURRENCY,
        count("total_users", f"joined by the day, {_EVERY_ROW}", nullable=True),
        count("new_users", f"joined on the 30 days ending on the day, {_EVERY_ROW}", nullable=True),
        count("active_loans"),
        count("total_tickets", f"opened by the day, {_EVERY_ROW}", nullable=True),
        count("open_tickets", f"not closed by the day, {_EVERY_ROW}", nullable=True),
        count("completed_tickets", _EVERY_ROW, nullable=True),
        count("cancelled_tickets", _EVERY_ROW, nullable=True),
        money("total_volume", "verified gateway payments in the currency made by the day", nullable=True),
        text("wallet_balances", f"JSON: objects with asset_type and balance, {_EVERY_ROW}", nullable=True),
    ),
    partition="business_month",
)

DERIVED: dict[str, Table] = {
    table.name: table for table in (*_MEMBERSHIP, _LOAN_POSITIONS, *_AGING, *_SNAPSHOTS, _MANAGERS, *_LEDGER, _PLATFORM)
}
"""The derived tables by name."""

_CLOSED_DAYS = Table(
    "closed_days",
    "The days for which each daily table was made, also days without rows: when, and under which conventions.",
    ("table_name", "business_date"),
    (
        text("table_name", "the daily table"),
        day("business_date"),
        instant("closed_at", "when the day was last made, UTC"),
        instant(
            "known_until",
            "the latest posted_at among the rows that the day was made from; rows posted later were not included",
            nullable=True,
        ),
        text("conventions", "JSON: the conventions by name"),
        instant(
            "thinned_at",
            "when housekeeping removed the day's rows, UTC; null while the table has them",
            nullable=True,
        ),
        text("made_from", "JSON: the Delta versions of the tables that the day was made from", nullable=True),
        text("program_version", "the version of lending_pipelines that made the day", nullable=True),
    ),
)

_ALERT_LOG = Table(
    "alert_log",
    "Every alert of the register with its life so far, as it was when the latest report on alerts was made.",
    ("alert_id",),
    (
        text("alert_id"),
        text("rule", "the rule of the latest finding"),
        text("subject_kind", "a scope, manager, officer, table or tape"),
        text("subject_id"),
        text("currency", "empty where the number has none"),
        text("severity", "of the latest finding", values=ALERT_SEVERITIES),
        day("opened_on", "the first day with a finding"),
        day("last_on", "the latest day with a finding"),
        day("resolved_on", "the first judged day without a finding", nullable=True),
        text("state"),
        instant("acknowledged_at", "when somebody first acknowledged it, UTC", nullable=True),
        text("acknowledged_by", nullable=True, personal=True),
        text("reason", "given with the latest step by a person", nullable=True, personal=True),
        ratio("value", "of the latest finding"),
        ratio("threshold", "of the latest finding"),
        text("finding", "the latest finding in a sentence", personal=True),
    ),
)

CERTIFICATE_KINDS = ("close", "run", "housekeeping", "upgrade")

_CLOSE_CERTIFICATES = Table(
    "close_certificates",
    "A chain of statements: a certificate for each day of a close, and one statement for each other run that writes the"
    " lake. Each has the SHA-256 of the one before it.",
    ("sequence",),
    (
        count("sequence", "1 for the first statement, then without gaps"),
        text("kind", "what made the statement", values=CERTIFICATE_KINDS),
        day("business_date", "the closed day; null for other kinds", nullable=True),
        text("statement", "JSON: what is certified"),
        text("sha256", "of the statement's bytes in UTF-8"),
        text("previous_sha256", "the sha256 of the statement before it; null for the first", nullable=True),
        text("signature", "Ed25519 signature of the statement's bytes, hexadecimal; null without a key", nullable=True),
        text("signed_by", "the public key, 32 bytes in hexadecimal", nullable=True),
    ),
)

RECORDS: dict[str, Table] = {
    table.name: table for table in (_CLOSED_DAYS, _ALERT_LOG, *RESTATEMENT_RECORDS, _CLOSE_CERTIFICATES)
}
"""Tables with records of the writes to the lake, and copies of the register that reports read, by name.

They have no rows before they are first written.
"""
