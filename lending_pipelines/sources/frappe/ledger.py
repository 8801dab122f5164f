"""SELECTs for the general ledger: accounts and journal lines."""

import sqlalchemy as sa

from lending_pipelines.sources.frappe.codes import DRAFT, LOAN_CONTROLS, PRODUCT_CONTROLS, ROOT_TYPES, named
from lending_pipelines.sources.frappe.organisation import filled, text
from lending_pipelines.sources.frappe.transactions import ledger_vouchers
from lending_pipelines.sources.rounding import cents, or_zero
from lending_pipelines.sources.stored import StoredTables


def gl_accounts(t: StoredTables) -> sa.Select:
    """The charts of accounts of all companies. The code is the account's name, which ends in the company.

    Loan products and loans say what an account is for. An account that serves several purposes controls no total,
    because no total ties to it.
    """
    account = t.account
    named_by = [
        sa.select(row.c[field].label("account"), text(control).label("control"))
        for row, controls in ((t.loan_product, PRODUCT_CONTROLS), (t.loan, LOAN_CONTROLS))
        for field, control in controls.items()
    ]
    purpose = sa.union_all(*named_by).subquery("purpose")
    only = (
        sa.select(purpose.c.account, sa.func.min(purpose.c.control).label("control"))
        .group_by(purpose.c.account)
        .having(sa.func.min(purpose.c.control) == sa.func.max(purpose.c.control))
        .subquery("only_purpose")
    )
    return sa.select(
        account.c.name.label("account_code"),
        sa.func.coalesce(filled(account.c.account_name), account.c.name).label("name"),
        named(account.c.root_type, ROOT_TYPES).label("account_type"),
        filled(account.c.parent_account).label("parent_code"),
        only.c.control.label("control_for"),
    ).select_from(account.outerjoin(only, only.c.account == account.c.name))


def journal_lines(t: StoredTables) -> sa.Select:
    """Every line in the currency of its company. A cancelled voucher keeps its lines and has lines that reverse them.

    An entry is a voucher. Frappe renames the lines of the ledger after a while, so lines are numbered in the order of
    their content.
    """
    line, company, loan = t.gl_entry, t.company, t.loan
    voucher = (line.c.voucher_type, line.c.voucher_no)
    order = (line.c.creation, line.c.account, line.c.debit, line.c.credit, line.c.name)
    loans, transactions, joined = [], [], line.outerjoin(company, company.c.name == line.c.company)
    for kind in ledger_vouchers(t):
        row = kind.table.alias(f"of_{kind.doctype.lower().replace(' ', '_')}")
        joined = joined.outerjoin(row, (line.c.voucher_type == kind.doctype) & (row.c.name == line.c.voucher_no))
        loans.append(row.c[kind.loan])
        if kind.moves_money is not None:
            transactions.append(sa.case((kind.moves_money(row), row.c.name), else_=None))
    stated = sa.case((line.c.against_voucher_type == "Loan", filled(line.c.against_voucher)), else_=None)
    of_loan = sa.func.coalesce(stated, *loans)
    return sa.select(
        (line.c.voucher_type + " " + line.c.voucher_no).label("entry_id"),
        sa.func.row_number().over(partition_by=voucher, order_by=order).label("line_no"),
        line.c.account.label("account_code"),
        line.c.posting_date.label("entry_date"),
        line.c.creation.label("posted_at"),
        cents(or_zero(line.c.debit), voucher, order).label("debit"),
        cents(or_zero(line.c.credit), voucher, order).label("credit"),
        company.c.default_currency.label("currency"),
        loan.c.name.label("loan_id"),
        sa.func.coalesce(*transactions).label("transaction_id"),
        filled(line.c.remarks).label("memo"),
        sa.func.coalesce(filled(line.c.branch), line.c.company).label("branch_id"),
    ).select_from(joined.outerjoin(loan, (loan.c.name == of_loan) & (loan.c.docstatus != DRAFT)))
