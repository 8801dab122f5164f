"""Fineract's tables as the database has them: the columns that the SELECTs of this package read.

Fineract adds columns and tables with its versions, and a lender may not use all of them. A table that is missing here
has no rows, and a missing column that a later version added is NULL, so that each SELECT is written once.
"""

from collections.abc import Collection
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from lending_pipelines.sources.protocol import SourceError
from lending_pipelines.tables.sql import MYSQL

_TYPES: dict[str, sa.types.TypeEngine] = {
    "ids": sa.BigInteger(),
    "texts": sa.String(500),
    "flags": sa.Boolean(),
    "dates": sa.Date(),
    "instants": sa.DateTime(),
    "amounts": sa.Numeric(19, 6),
}


def _columns(**names: str) -> dict[str, sa.types.TypeEngine]:
    """The columns of a table by kind, each kind as names with blanks in between."""
    return {name: _TYPES[kind] for kind, listed in names.items() for name in listed.split()}


COLUMNS: dict[str, dict[str, sa.types.TypeEngine]] = {
    "m_office": _columns(ids="id parent_id", texts="name", dates="opening_date"),
    "m_staff": _columns(
        ids="id office_id organisational_role_enum organisational_role_parent_staff_id",
        texts="display_name email_address",
        flags="is_loan_officer is_active",
        dates="joining_date",
    ),
    "m_client": _columns(
        ids="id office_id status_enum client_classification_cv_id legal_form_enum",
        dates="activation_date submittedon_date closedon_date",
    ),
    "m_group": _columns(ids="id office_id status_enum", dates="activation_date submittedon_date closedon_date"),
    "m_fund": _columns(ids="id", texts="name"),
    "m_product_loan": _columns(ids="id fund_id grace_on_arrears_ageing", texts="name loan_schedule_type"),
    "m_code_value": _columns(ids="id", texts="code_value"),
    "m_loan": _columns(
        ids="id client_id group_id product_id loan_officer_id loanpurpose_cv_id loan_status_id repay_every "
        "repayment_period_frequency_enum number_of_repayments days_in_month_enum days_in_year_enum "
        "interest_period_frequency_enum grace_on_arrears_ageing",
        texts="currency_code",
        flags="is_charged_off",
        dates="submittedon_date approvedon_date disbursedon_date expected_disbursedon_date expected_maturedon_date "
        "charged_off_on_date",
        instants="created_on_utc last_modified_on_utc",
        amounts="approved_principal annual_nominal_interest_rate nominal_interest_rate_per_period "
        "principal_repaid_derived interest_charged_derived interest_repaid_derived fee_charges_charged_derived "
        "penalty_charges_charged_derived principal_outstanding_derived total_outstanding_derived "
        "total_overpaid_derived",
    ),
    "m_loan_officer_assignment_history": _columns(ids="id loan_id loan_officer_id", dates="start_date end_date"),
    "m_loan_repayment_schedule": _columns(
        ids="id loan_id installment",
        dates="fromdate duedate obligations_met_on_date",
        instants="created_on_utc last_modified_on_utc",
        flags="completed_derived is_additional is_down_payment is_re_aged",
        amounts="principal_amount principal_completed_derived principal_writtenoff_derived interest_amount "
        "interest_completed_derived interest_waived_derived interest_writtenoff_derived fee_charges_amount "
        "fee_charges_completed_derived fee_charges_waived_derived penalty_charges_amount "
        "penalty_charges_completed_derived penalty_charges_waived_derived",
    ),
    "m_loan_repayment_schedule_history": _columns(
        ids="id loan_id loan_reschedule_request_id installment version",
        dates="duedate",
        instants="created_on_utc",
        amounts="principal_amount interest_amount fee_charges_amount penalty_charges_amount",
    ),
    "m_loan_transaction": _columns(
        ids="id loan_id office_id payment_detail_id transaction_type_enum",
        dates="transaction_date submitted_on_date reversed_on_date",
        instants="created_on_utc last_modified_on_utc",
        flags="is_reversed manually_adjusted_or_reversed",
        amounts="amount principal_portion_derived interest_portion_derived fee_charges_portion_derived "
        "penalty_charges_portion_derived overpayment_portion_derived",
    ),
    "m_loan_transaction_relation": _columns(
        ids="id from_loan_transaction_id to_loan_transaction_id relation_type_enum"
    ),
    "m_payment_detail": _columns(ids="id payment_type_id"),
    "m_payment_type": _columns(ids="id", texts="value"),
    "m_loan_charge": _columns(
        ids="id loan_id charge_time_enum",
        flags="is_penalty is_active",
        dates="due_for_collection_as_of_date submitted_on_date",
        instants="created_on_utc last_modified_on_utc",
        amounts="amount amount_paid_derived amount_waived_derived",
    ),
    "m_loan_charge_paid_by": _columns(ids="id loan_transaction_id loan_charge_id", amounts="amount"),
    "m_loan_reschedule_request": _columns(ids="id loan_id status_enum", dates="reschedule_from_date approved_on_date"),
    "m_loan_reschedule_request_term_variations_mapping": _columns(
        ids="id loan_reschedule_request_id loan_term_variations_id"
    ),
    "m_loan_term_variations": _columns(
        ids="id loan_id term_type",
        dates="applicable_date date_value",
        flags="is_active",
        instants="created_on_utc",
        amounts="decimal_value",
    ),
    "m_loan_reage_parameter": _columns(ids="id loan_transaction_id number_of_installments"),
    "m_loan_delinquency_action": _columns(
        ids="id loan_id", texts="action", dates="start_date end_date", instants="created_on_utc"
    ),
    "m_loan_delinquency_tag_history": _columns(
        ids="id loan_id delinquency_range_id", dates="addedon_date liftedon_date"
    ),
    "m_delinquency_range": _columns(ids="id min_age_days max_age_days", texts="classification"),
    "acc_gl_account": _columns(ids="id parent_id classification_enum", texts="name gl_code"),
    "acc_gl_journal_entry": _columns(
        ids="id account_id office_id loan_transaction_id type_enum entity_type_enum entity_id",
        texts="transaction_id currency_code description",
        dates="entry_date",
        instants="created_on_utc",
        amounts="amount",
    ),
    "acc_product_mapping": _columns(
        ids="id gl_account_id product_id product_type payment_type charge_id financial_account_type"
    ),
    "m_business_date": _columns(ids="id", texts="type", dates="date"),
    "m_external_asset_owner": _columns(ids="id", texts="external_id"),
    "m_external_asset_owner_transfer": _columns(
        ids="id owner_id loan_id",
        texts="status purchase_price_ratio",
        dates="effective_date_from effective_date_to",
    ),
    "m_external_asset_owner_transfer_details": _columns(
        ids="id asset_owner_transfer_id", amounts="total_outstanding_derived"
    ),
}
"""The columns that are read of each table."""

_ADDED_LATER = {
    "m_loan": {"is_charged_off", "charged_off_on_date"},
    "m_loan_repayment_schedule": {"is_additional", "is_down_payment", "is_re_aged"},
    "m_loan_transaction": {"reversed_on_date", "manually_adjusted_or_reversed"},
    "m_loan_charge": {"submitted_on_date"},
    "m_loan_term_variations": {"created_on_utc"},
    "m_product_loan": {"loan_schedule_type"},
}
"""Columns that a database of an earlier version may lack."""


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


class StoredTables:
    """Fineract's tables in one database, by name. They are read in the transaction of a snapshot."""

    def __init__(self, source: str, connection: sa.Connection):
        self._source = source
        self._inspector = sa.inspect(connection)
        self._known: dict[str, sa.FromClause] = {}

    @cached_property
    def names(self) -> Collection[str]:
        """The tables of COLUMNS that the database has."""
        existing = {*self._inspector.get_table_names(), *self._inspector.get_view_names()}
        return frozenset(COLUMNS) & existing

    def __getattr__(self, name: str) -> sa.FromClause:
        """A table of COLUMNS by its name.

        Raises:
            SourceError: The table lacks a column that every version of Fineract has.
        """
        if name not in COLUMNS:
            raise AttributeError(name)
        if name not in self._known:
            self._known[name] = self._table(name)
        return self._known[name]

    def _table(self, name: str) -> sa.FromClause:
        columns = COLUMNS[name]
        if name not in self.names:
            nothing = (_null(type_).label(column) for column, type_ in columns.items())
            return sa.select(*nothing).where(sa.false()).subquery(name)
        existing = {column["name"] for column in self._inspector.get_columns(name)}
        missing = [column for column in columns if column not in existing]
        stored = sa.table(name, *(sa.column(column, type_) for column, type_ in columns.items()))
        if not missing:
            return stored
        if lost := [column for column in missing if column not in _ADDED_LATER.get(name, ())]:
            raise SourceError(
                f"{self._source}: table {name} has no column {', '.join(lost)}: it is not a table of Fineract 1.7 or "
                "later; read it with the source `mapped` instead"
            )
        return sa.select(
            *(
                _null(type_).label(column) if column in missing else stored.columns[column]
                for column, type_ in columns.items()
            )
        ).subquery(name)


def _null(type_: sa.types.TypeEngine) -> sa.ColumnElement:
    """NULL of a type. MySQL has no cast to a flag."""
    return sa.case((sa.false(), sa.true()), else_=None) if isinstance(type_, sa.Boolean) else sa.cast(sa.null(), type_)
