"""Fineract's tables: the columns that the SELECTs of this package read."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from lending_pipelines.sources.stored import Layout, columns
from lending_pipelines.tables.sql import MYSQL

_COLUMNS = {
    "m_office": columns(ids="id parent_id", texts="name", dates="opening_date"),
    "m_staff": columns(
        ids="id office_id organisational_role_enum organisational_role_parent_staff_id",
        texts="display_name email_address",
        flags="is_loan_officer is_active",
        dates="joining_date",
    ),
    "m_client": columns(
        ids="id office_id status_enum client_classification_cv_id legal_form_enum",
        dates="activation_date submittedon_date closedon_date",
    ),
    "m_group": columns(ids="id office_id status_enum", dates="activation_date submittedon_date closedon_date"),
    "m_fund": columns(ids="id", texts="name"),
    "m_product_loan": columns(
        ids="id fund_id grace_on_arrears_ageing",
        texts="name loan_schedule_type",
        flags="is_linked_to_floating_interest_rates",
    ),
    "m_floating_rates": columns(ids="id", flags="is_base_lending_rate is_active"),
    "m_floating_rates_periods": columns(
        ids="id floating_rates_id",
        dates="from_date",
        instants="created_date created_on_utc",
        flags="is_differential_to_base_lending_rate is_active",
        amounts="interest_rate",
    ),
    "m_product_loan_floating_rates": columns(
        ids="id loan_product_id floating_rates_id", amounts="interest_rate_differential"
    ),
    "m_code_value": columns(ids="id", texts="code_value"),
    "m_loan": columns(
        ids="id client_id group_id product_id loan_officer_id loanpurpose_cv_id loan_status_id repay_every "
        "repayment_period_frequency_enum number_of_repayments days_in_month_enum days_in_year_enum "
        "interest_period_frequency_enum grace_on_arrears_ageing",
        texts="currency_code",
        flags="is_charged_off is_floating_interest_rate",
        dates="submittedon_date approvedon_date disbursedon_date expected_disbursedon_date expected_maturedon_date "
        "charged_off_on_date closedon_date",
        instants="created_on_utc last_modified_on_utc",
        amounts="approved_principal annual_nominal_interest_rate nominal_interest_rate_per_period "
        "principal_repaid_derived interest_charged_derived interest_repaid_derived fee_charges_charged_derived "
        "penalty_charges_charged_derived principal_outstanding_derived total_outstanding_derived "
        "total_overpaid_derived interest_rate_differential",
    ),
    "m_loan_officer_assignment_history": columns(ids="id loan_id loan_officer_id", dates="start_date end_date"),
    "m_loan_repayment_schedule": columns(
        ids="id loan_id installment",
        dates="fromdate duedate obligations_met_on_date",
        instants="created_on_utc last_modified_on_utc",
        flags="completed_derived is_additional is_down_payment is_re_aged",
        amounts="principal_amount principal_completed_derived principal_writtenoff_derived interest_amount "
        "interest_completed_derived interest_waived_derived interest_writtenoff_derived fee_charges_amount "
        "fee_charges_completed_derived fee_charges_waived_derived penalty_charges_amount "
        "penalty_charges_completed_derived penalty_charges_waived_derived",
    ),
    "m_loan_repayment_schedule_history": columns(
        ids="id loan_id loan_reschedule_request_id installment version",
        dates="duedate",
        instants="created_on_utc",
        amounts="principal_amount interest_amount fee_charges_amount penalty_charges_amount",
    ),
    "m_loan_transaction": columns(
        ids="id loan_id office_id payment_detail_id transaction_type_enum",
        dates="transaction_date submitted_on_date reversed_on_date",
        instants="created_on_utc last_modified_on_utc",
        flags="is_reversed manually_adjusted_or_reversed",
        amounts="amount principal_portion_derived interest_portion_derived fee_charges_portion_derived "
        "penalty_charges_portion_derived overpayment_portion_derived",
    ),
    "m_loan_transaction_relation": columns(ids="id from_loan_transaction_id to_loan_transaction_id relation_type_enum"),
    "m_payment_detail": columns(ids="id payment_type_id"),
    "m_payment_type": columns(ids="id", texts="value"),
    "m_loan_charge": columns(
        ids="id loan_id charge_time_enum",
        flags="is_penalty is_active",
        dates="due_for_collection_as_of_date submitted_on_date",
        instants="created_on_utc last_modified_on_utc",
        amounts="amount amount_paid_derived amount_waived_derived",
    ),
    "m_loan_charge_paid_by": columns(ids="id loan_transaction_id loan_charge_id", amounts="amount"),
    "m_loan_reschedule_request": columns(ids="id loan_id status_enum", dates="reschedule_from_date approved_on_date"),
    "m_loan_reschedule_request_term_variations_mapping": columns(
        ids="id loan_reschedule_request_id loan_term_variations_id"
    ),
    "m_loan_term_variations": columns(
        ids="id loan_id term_type",
        dates="applicable_date date_value",
        flags="is_active",
        instants="created_on_utc",
        amounts="decimal_value",
    ),
    "m_loan_reage_parameter": columns(ids="id loan_transaction_id number_of_installments"),
    "m_loan_delinquency_action": columns(
        ids="id loan_id", texts="action", dates="start_date end_date", instants="created_on_utc"
    ),
    "m_loan_delinquency_tag_history": columns(
        ids="id loan_id delinquency_range_id", dates="addedon_date liftedon_date"
    ),
    "m_delinquency_range": columns(ids="id min_age_days max_age_days", texts="classification"),
    "acc_gl_account": columns(ids="id parent_id classification_enum", texts="name gl_code"),
    "acc_gl_journal_entry": columns(
        ids="id account_id office_id loan_transaction_id type_enum entity_type_enum entity_id",
        texts="transaction_id currency_code description",
        dates="entry_date",
        instants="created_on_utc",
        amounts="amount",
    ),
    "acc_product_mapping": columns(
        ids="id gl_account_id product_id product_type payment_type charge_id financial_account_type"
    ),
    "m_business_date": columns(ids="id", texts="type", dates="date"),
    "m_external_asset_owner": columns(ids="id", texts="external_id"),
    "m_external_asset_owner_transfer": columns(
        ids="id owner_id loan_id",
        texts="status purchase_price_ratio",
        dates="effective_date_from effective_date_to",
    ),
    "m_external_asset_owner_transfer_details": columns(
        ids="id asset_owner_transfer_id", amounts="total_outstanding_derived"
    ),
}

# Columns that earlier versions of Fineract lack.
_ADDED_LATER = {
    "m_loan": {"is_charged_off", "charged_off_on_date"},
    "m_loan_repayment_schedule": {"is_additional", "is_down_payment", "is_re_aged"},
    "m_loan_transaction": {"reversed_on_date", "manually_adjusted_or_reversed"},
    "m_loan_charge": {"submitted_on_date"},
    "m_loan_term_variations": {"created_on_utc"},
    "m_floating_rates_periods": {"created_date", "created_on_utc"},
    "m_product_loan": {"loan_schedule_type"},
}

LAYOUT = Layout("Fineract 1.7 or later", _COLUMNS, _ADDED_LATER)


class NextDay(sa.sql.functions.FunctionElement):
    """The day after a date. The databases write it differently."""

    type = sa.Date()
    inherit_cache = True


@compiles(NextDay)
def _next_day(element: NextDay, compiler: Any, **options: Any) -> str:
    return f"({compiler.process(element.clauses, **options)} + 1)"


@compiles(NextDay, *MYSQL)
def _next_day_of_mysql(element: NextDay, compiler: Any, **options: Any) -> str:
    return f"adddate({compiler.process(element.clauses, **options)}, 1)"


class Among(sa.sql.functions.FunctionElement):
    """Whether a value is in the result of a SELECT with few rows. PostgreSQL then looks these up by an index."""

    type = sa.Boolean()
    inherit_cache = True


@compiles(Among)
def _among(element: Among, compiler: Any, **options: Any) -> str:
    value, select = (compiler.process(clause, **options) for clause in element.clauses)
    return f"({value} IN {select})"


@compiles(Among, "postgresql")
def _among_of_postgresql(element: Among, compiler: Any, **options: Any) -> str:
    value, select = (compiler.process(clause, **options) for clause in element.clauses)
    return f"({value} = ANY (ARRAY{select}))"
