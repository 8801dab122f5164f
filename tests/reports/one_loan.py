"""A lake with one loan: its servicing system keeps loans, schedules and payments, and nothing else.

1,000.00 lent on 10 January 2025 in two installments; the first is paid, the second is not due yet. Its portfolio's name
is 200 characters long, its product's looks like a formula.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal

import ibis
import pyarrow as pa

from lending_pipelines.conventions import Conventions
from lending_pipelines.resources import LakeReportSource, recomputed
from lending_pipelines.tables import DERIVED, SERVICING, TABLES

FIRST, LAST = date(2025, 1, 31), date(2025, 2, 28)
LONG_NAME = "Кредиты 消費者 Ø" + "x" * 186
FORMULA = '=HYPERLINK("http://example.test")'
_POSTED = datetime(2025, 1, 11)
_LOAN = {"loan_id": "L/1", "posted_at": _POSTED}
_ROWS = {
    "branches": [{"branch_id": "B1", "name": "Zürich", "region": "CH"}],
    "borrowers": [{"borrower_id": "C1", "branch_id": "B1", "segment": "retail", "joined_on": date(2025, 1, 1)}],
    "programs": [{"program_id": "R1", "name": "Retail"}],
    "products": [{"product_id": "P1", "program_id": "R1", "name": FORMULA, "product_type": "term"}],
    "loans": [
        _LOAN
        | {
            "borrower_id": "C1",
            "product_id": "P1",
            "branch_id": "B1",
            "currency": "CHF",
            "principal": Decimal("1000.00"),
            "annual_rate": Decimal("0.12"),
            "day_count": "30/360",
            "term_count": 2,
            "payment_frequency": "monthly",
            "approved_on": date(2025, 1, 10),
            "disbursed_on": date(2025, 1, 10),
            "first_due_on": date(2025, 2, 10),
            "matures_on": date(2025, 3, 10),
            "updated_at": _POSTED,
        }
    ],
    "installments": [
        _LOAN
        | {
            "version": 1,
            "number": number,
            "due_on": due,
            "principal": Decimal("500.00"),
            "interest": interest,
            "fees": Decimal("0.00"),
            "effective_on": date(2025, 1, 10),
        }
        for number, due, interest in ((1, date(2025, 2, 10), Decimal("10.00")), (2, date(2025, 3, 10), Decimal("5.00")))
    ],
    "transactions": [
        _LOAN
        | {
            "transaction_id": f"T{number}",
            "type": type_,
            "effective_on": on,
            "principal": principal,
            "interest": interest,
            "fees": Decimal("0.00"),
            "amount": principal + interest,
        }
        for number, type_, on, principal, interest in (
            (1, "disbursement", date(2025, 1, 10), Decimal("1000.00"), Decimal("0.00")),
            (2, "repayment", date(2025, 2, 10), Decimal("500.00"), Decimal("10.00")),
        )
    ],
    "portfolio_membership": [
        {
            "portfolio_id": "PF1",
            "portfolio_name": LONG_NAME,
            "loan_id": "L/1",
            "assigned_on": date(2025, 1, 10),
            "method": "static",
        }
    ],
}


def synced(lake, rows):
    """Write the lake's tables with these rows, as a sync and a close without days leave them."""
    for name in (*SERVICING, *DERIVED):
        table = pa.Table.from_pylist(rows.get(name, []), schema=TABLES[name].arrow_schema)
        lake.replace(name, ibis.memtable(table))


def closed(lake):
    """Write the lake's tables with the one loan, and its days FIRST to LAST."""
    synced(lake, _ROWS)
    days = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
    with recomputed(LakeReportSource(lake, Conventions()), days, Conventions(), None) as computed:
        for name, table in DERIVED.items():
            if table.daily:
                lake.replace_days(name, computed.table(name), FIRST, LAST)
