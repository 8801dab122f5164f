"""SELECTs for the general ledger: accounts and journal lines."""

import sqlalchemy as sa

from lending_pipelines.sources.fineract.codes import CLASSIFICATIONS, CONTROLS, DEBIT, LOAN, MONEY, named
from lending_pipelines.sources.fineract.organisation import text
from lending_pipelines.sources.rounding import cents
from lending_pipelines.sources.stored import StoredTables


def gl_accounts(t: StoredTables) -> sa.Select:
    """The chart of accounts.

    The mapping of loan products says what an account is for. An account that serves several purposes, such as the
    interest and fees receivable in one, controls no total, because no total ties to it.
    """
    account, above = t.acc_gl_account, t.acc_gl_account.alias("above")
    mapping = t.acc_product_mapping
    purpose = named(mapping.c.financial_account_type, CONTROLS, "other")
    purposes = (
        sa.select(mapping.c.gl_account_id, sa.func.min(purpose).label("only"))
        .where(mapping.c.product_type == LOAN)
        .group_by(mapping.c.gl_account_id)
        .having(sa.func.min(purpose) == sa.func.max(purpose))
        .subquery("purposes")
    )
    return sa.select(
        account.c.gl_code.label("account_code"),
        account.c.name,
        named(account.c.classification_enum, CLASSIFICATIONS).label("account_type"),
        above.c.gl_code.label("parent_code"),
        sa.func.nullif(purposes.c.only, "other").label("control_for"),
    ).select_from(
        account.outerjoin(above, above.c.id == account.c.parent_id).outerjoin(
            purposes, purposes.c.gl_account_id == account.c.id
        )
    )


def journal_lines(t: StoredTables) -> sa.Select:
    """Every line, of loans and of everything else in the ledger.

    The lines of an undone transaction stay, and lines with debit and credit exchanged follow under the same id.
    Fineract's own flag `reversed` is for manual entries. Accruals are not in the table transactions, so their lines
    name no transaction.
    """
    line, account, row = t.acc_gl_journal_entry, t.acc_gl_account, t.m_loan_transaction
    order = (line.c.id,)
    amount = cents(line.c.amount, (line.c.transaction_id, line.c.type_enum), order)
    is_debit = line.c.type_enum == DEBIT
    nothing = sa.literal(0, sa.Numeric(18, 2))
    return sa.select(
        line.c.transaction_id.label("entry_id"),
        sa.func.row_number().over(partition_by=line.c.transaction_id, order_by=order).label("line_no"),
        account.c.gl_code.label("account_code"),
        line.c.entry_date,
        line.c.created_on_utc.label("posted_at"),
        sa.case((is_debit, amount), else_=nothing).label("debit"),
        sa.case((is_debit, nothing), else_=amount).label("credit"),
        line.c.currency_code.label("currency"),
        sa.case((line.c.entity_type_enum == LOAN, text(line.c.entity_id)), else_=None).label("loan_id"),
        text(row.c.id).label("transaction_id"),
        line.c.description.label("memo"),
        text(line.c.office_id).label("branch_id"),
    ).select_from(
        line.join(account, account.c.id == line.c.account_id).outerjoin(
            row, (row.c.id == line.c.loan_transaction_id) & row.c.transaction_type_enum.in_(list(MONEY))
        )
    )
