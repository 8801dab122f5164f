"""Frappe's doctypes: the columns that the SELECTs of this package read."""

import sqlalchemy as sa

from lending_pipelines.sources.stored import Layout, columns

_DOCUMENT = {"texts": "name", "ids": "docstatus idx", "instants": "creation modified"}
"""The columns that every table of Frappe has, by kind."""


def _doctype(**more: str) -> dict[str, sa.types.TypeEngine]:
    """The columns of a doctype: those of every table, and more of each kind."""
    return columns(**{kind: f"{_DOCUMENT.get(kind, '')} {more.get(kind, '')}" for kind in {*_DOCUMENT, *more}})


_COLUMNS = {
    "loan": _doctype(
        texts="applicant_type applicant loan_product company status repayment_frequency repayment_schedule_type branch "
        "loan_account payment_account disbursement_account interest_income_account penalty_income_account",
        ids="repayment_periods is_term_loan",
        dates="posting_date repayment_start_date",
        decimals="loan_amount rate_of_interest disbursed_amount total_principal_paid",
    ),
    "loan_product": _doctype(
        texts="product_name loan_category repayment_schedule_type payment_account loan_account disbursement_account "
        "interest_income_account penalty_income_account interest_receivable_account interest_accrued_account "
        "penalty_receivable_account penalty_accrued_account write_off_account write_off_recovery_account",
        ids="is_term_loan",
    ),
    "loan_disbursement": _doctype(
        texts="against_loan mode_of_payment", dates="disbursement_date posting_date", decimals="disbursed_amount"
    ),
    "loan_repayment": _doctype(
        texts="against_loan repayment_type mode_of_payment loan_restructure",
        instants="posting_date value_date",
        decimals="amount_paid principal_amount_paid total_interest_paid total_penalty_paid total_charges_paid "
        "excess_amount",
    ),
    "loan_repayment_detail": _doctype(texts="parent parenttype loan_demand", decimals="paid_amount"),
    "loan_write_off": _doctype(
        texts="loan", ids="is_settlement_write_off", dates="posting_date value_date", decimals="write_off_amount"
    ),
    "loan_refund": _doctype(
        texts="loan", ids="is_security_amount_refund", dates="posting_date value_date", decimals="refund_amount"
    ),
    "loan_balance_adjustment": _doctype(texts="loan adjustment_type", dates="posting_date", decimals="amount"),
    "loan_restructure": _doctype(
        texts="loan restructure_type status treatment_of_normal_interest treatment_of_penal_interest "
        "unaccrued_interest_treatment",
        ids="old_tenure new_repayment_period_in_months",
        instants="restructure_date",
        dates="moratorium_end_date",
        decimals="old_rate_of_interest new_rate_of_interest old_emi new_monthly_repayment_amount "
        "pending_principal_amount new_loan_amount balance_interest_amount balance_unaccrued_interest "
        "balance_penalty_amount",
    ),
    "loan_repayment_schedule": _doctype(
        texts="loan status repayment_schedule_type loan_restructure loan_disbursement",
        instants="posting_date",
        decimals="current_principal_amount",
    ),
    "repayment_schedule": _doctype(
        texts="parent parenttype", dates="payment_date", decimals="principal_amount interest_amount charges"
    ),
    "loan_demand": _doctype(
        texts="loan demand_type demand_subtype",
        instants="demand_date",
        decimals="demand_amount paid_amount waived_amount",
    ),
    "loan_interest_accrual": _doctype(
        texts="loan interest_type", instants="posting_date", dates="accrual_date", decimals="interest_amount"
    ),
    "loan_transfer": _doctype(texts="to_branch", dates="transfer_date"),
    "loan_transfer_detail": _doctype(texts="parent loan"),
    "branch": _doctype(),
    "company": _doctype(texts="company_name default_currency country interest_day_count_convention"),
    "account": _doctype(texts="account_name root_type parent_account"),
    "gl_entry": _doctype(
        texts="account company voucher_type voucher_no against_voucher_type against_voucher remarks branch",
        dates="posting_date",
        decimals="debit credit",
    ),
    "singles": columns(texts="doctype field value"),
}

# Columns that earlier versions of Frappe, or other settings, lack.
_ADDED_LATER = {
    # Branch is a column only where the accounting dimension Branch is used.
    "loan": {"repayment_frequency", "repayment_schedule_type", "branch", "disbursement_account"},
    "loan_product": {
        "loan_category",
        "repayment_schedule_type",
        "disbursement_account",
        "interest_receivable_account",
        "interest_accrued_account",
        "penalty_receivable_account",
        "penalty_accrued_account",
        "write_off_account",
        "write_off_recovery_account",
    },
    "loan_disbursement": {"mode_of_payment"},
    "loan_repayment": {
        "value_date",
        "excess_amount",
        "mode_of_payment",
        "loan_restructure",
        "total_charges_paid",
    },
    "loan_write_off": {"value_date", "is_settlement_write_off"},
    "loan_refund": {"value_date", "is_security_amount_refund"},
    "loan_restructure": {
        "moratorium_end_date",
        "balance_unaccrued_interest",
        "unaccrued_interest_treatment",
        "balance_penalty_amount",
    },
    "loan_repayment_schedule": {"loan_disbursement", "repayment_schedule_type", "current_principal_amount"},
    "repayment_schedule": {"charges"},
    "loan_interest_accrual": {"accrual_date"},
    "company": {"interest_day_count_convention"},
    "gl_entry": {"branch"},
}

LAYOUT = Layout(
    "Frappe Lending",
    _COLUMNS,
    _ADDED_LATER,
    {name: f"tab{name.replace('_', ' ').title()}" for name in _COLUMNS} | {"gl_entry": "tabGL Entry"},
)
