"""The database of a site of Frappe for tests, the documents that tests write to it, and its sync."""

from collections.abc import Callable
from datetime import date, datetime

import ibis
import ibis.expr.types as ir
from fineract_tenant import Tenant

from lending_pipelines.conventions import Conventions
from lending_pipelines.lake import Lake
from lending_pipelines.metrics.positions import loan_positions
from lending_pipelines.sources import sync_tables
from lending_pipelines.tables import SERVICING, TABLES


class Site(Tenant):
    """A site: a table `tab…` for each doctype."""

    adapter = "frappe"
    key = "name"

    def stored_name(self, listed: str) -> str:
        return f"tab{listed}"


class Lender:
    """A site that tests write documents to. Columns that a document does not name are NULL."""

    def __init__(self, site: Site):
        self.site = site

    def insert(self, doctype: str, name: str, at: datetime, docstatus: int = 1, **values) -> None:
        document = {"name": name, "creation": at, "modified": at, "docstatus": docstatus, "idx": 0}
        self.site.insert(f"tab{doctype}", **document | values)

    def update(self, doctype: str, name: str, **values) -> None:
        settings = ", ".join(f"{column} = :{column}" for column in values)
        self.site.execute(f"UPDATE `tab{doctype}` SET {settings} WHERE name = :of", of=name, **values)

    def schedule(self, name: str, loan: str, at: datetime, rows: list[tuple], **values) -> None:
        """A schedule in force from its creation on; each row is due date, principal and interest."""
        self.insert("Loan Repayment Schedule", name, at, loan=loan, posting_date=at, **{"status": "Active"} | values)
        for idx, (due_on, principal, interest) in enumerate(rows, 1):
            self.insert(
                "Repayment Schedule", f"{name}-{idx}", at, idx=idx, parent=name, parenttype="Loan Repayment Schedule",
                parentfield="repayment_schedule", payment_date=due_on, principal_amount=principal,
                interest_amount=interest, charges=0,
            )  # fmt: skip

    def lend(self, loan: str, amount: int, at: datetime, **values) -> None:
        if not self.count("Company"):
            self.insert("Company", "Harbour", at, 0, default_currency="INR", country="India")
            self.insert("Loan Product", "Term", at, 0, is_term_loan=1)
        terms = {
            "applicant_type": "Customer", "applicant": "Asha", "company": "Harbour", "loan_product": "Term",
            "status": "Disbursed", "loan_amount": amount, "disbursed_amount": amount, "posting_date": at.date(),
            "rate_of_interest": 12, "repayment_frequency": "Monthly", "repayment_periods": 12, "is_term_loan": 1,
        }  # fmt: skip
        self.insert("Loan", loan, at, **terms | values)
        self.insert(
            "Loan Disbursement", f"{loan}-DIS", at, against_loan=loan, disbursement_date=at.date(),
            disbursed_amount=amount,
        )  # fmt: skip

    def pay(self, name: str, loan: str, at: datetime, principal: int, interest: int = 0, **values) -> None:
        paid = {
            "repayment_type": "Normal Repayment", "value_date": at.date(), "posting_date": at,
            "amount_paid": principal + interest, "principal_amount_paid": principal, "total_interest_paid": interest,
        }  # fmt: skip
        self.insert("Loan Repayment", name, at, against_loan=loan, **paid | values)

    def count(self, doctype: str) -> int:
        with self.site.engine.connect() as connection:
            return connection.exec_driver_sql(f"SELECT count(*) FROM `tab{doctype}`").scalar_one()


def monthly(first: date, number: int, principal: int, interest: int) -> list[tuple]:
    """Installments of the same amounts, one on each day of the month."""
    months = (first.year * 12 + first.month - 1 + n for n in range(number))
    return [(date(month // 12, month % 12 + 1, first.day), principal, interest) for month in months]


def read_from(lake: Lake) -> Callable[[str], ir.Table]:
    """The lake's tables; those that a sync does not make are empty."""

    def read(name: str) -> ir.Table:
        return lake.table(name) if lake.has(name) else ibis.memtable(TABLES[name].arrow_schema.empty_table())

    return read


def positions(lake: Lake, first: date, last: date, known_at: datetime | None = None) -> dict[tuple[date, str], dict]:
    rows = loan_positions(read_from(lake), first, last, Conventions(), known_at=known_at).to_pyarrow().to_pylist()
    return {(row["business_date"], row["loan_id"]): row for row in rows}


def sync(site: Site, lake: Lake, *more: str) -> dict[str, object]:
    """Sync what positions need, and more tables. The outcome of each table."""
    tables = [table for name, table in SERVICING.items() if name in ("loans", "installments", "transactions", *more)]
    synced = sync_tables(site.source, tables, lake, Conventions())
    return {table.name: outcome for table, outcome in synced}


def rows(lake: Lake, table: str, loan: str) -> list[dict]:
    stored = lake.table(table)
    return stored.filter(stored.loan_id == loan).order_by(list(TABLES[table].key)).to_pyarrow().to_pylist()
