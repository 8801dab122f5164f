"""The source fineract on the published cases: what Fineract's own acceptance tests print of a loan, on both databases.

The cases are in shared/data/fineract. They are loaded into a tenant database, synced, and the positions of their one
business date are compared with what Fineract prints.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pytest
from fineract_tenant import Tenant, expected

from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.lake import Lake
from lending_pipelines.metrics.positions import loan_positions
from lending_pipelines.sources import open_source, sync_tables
from lending_pipelines.tables import SERVICING, TABLES

ON = date(2025, 6, 30)
ZERO = Decimal(0)


@dataclass
class Synced:
    """A folder of cases after its sync: the tables of the lake, the positions of the day, and the published values."""

    table: Callable[[str], list[dict]]
    positions: dict[str, dict]
    cases: list[dict]
    tenant: Tenant


def read_from(lake: Lake) -> Callable[[str], ir.Table]:
    """The lake's tables; those that a sync does not make are empty."""

    def read(name: str) -> ir.Table:
        return lake.table(name) if lake.has(name) else ibis.memtable(TABLES[name].arrow_schema.empty_table())

    return read


def sync(tenant: Tenant, lake: Lake) -> dict[str, object]:
    """Sync every table. No table is rejected."""
    outcomes = {
        table.name: outcome
        for table, outcome in sync_tables(open_source("fineract", tenant.url), SERVICING.values(), lake, Conventions())
    }
    rejected = [str(outcome) for outcome in outcomes.values() if isinstance(outcome, LendingError)]
    assert rejected == []
    return outcomes


def positions_on(lake: Lake, on: date) -> dict[str, dict]:
    rows = loan_positions(read_from(lake), on, on, Conventions()).to_pyarrow().to_pylist()
    return {row["loan_id"]: row for row in rows}


def synced(url: str, shared_dir: Path, folder: str, lake: Lake) -> Synced:
    data = shared_dir / "data" / "fineract"
    tenant = Tenant(url, data / "schema.json", data / "acceptance" / folder)
    sync(tenant, lake)
    return Synced(
        lambda name: lake.table(name).to_pyarrow().to_pylist(),
        positions_on(lake, ON),
        list(expected(data / "acceptance" / folder)),
        tenant,
    )


@pytest.fixture(params=["postgres_url", "mariadb_url"])
def url(request) -> str:
    return request.getfixturevalue(request.param)


def amount(text: str | None) -> Decimal:
    return Decimal(text or "0")


def in_force(rows: list[dict]) -> dict[str, list[dict]]:
    """The installments of each loan's highest version."""
    by_loan = defaultdict(list)
    for row in rows:
        by_loan[row["loan_id"]].append(row)
    return {
        loan: [row for row in plan if row["version"] == max(each["version"] for each in plan)]
        for loan, plan in by_loan.items()
    }


def still_owed(transactions: list[dict]) -> dict[str, dict[str, Decimal]]:
    """What each borrower owes by the transactions. A charge-off changes nothing of it.

    `principal`, as Fineract prints it last, before a write-off; and `settled`, the sum of what reduces the schedule.
    """
    sign = {"disbursement": 1, "capitalization": 1, "refund": 1, "repayment": -1, "waiver": -1, "write_off": -1}
    undone = {row["reverses_id"] for row in transactions}
    owed: dict[str, dict[str, Decimal]] = defaultdict(lambda: {"principal": ZERO, "settled": ZERO})
    for row in transactions:
        if row["transaction_id"] in undone or row["type"] not in sign:
            continue
        of_loan = owed[row["loan_id"]]
        capitalized = row["interest"] + row["fees"] if row["type"] == "capitalization" else ZERO
        if row["type"] != "write_off":
            of_loan["principal"] += sign[row["type"]] * (row["principal"] + capitalized)
        if row["type"] not in ("disbursement", "capitalization"):
            of_loan["settled"] -= sign[row["type"]] * row["amount"]
    return owed


def test_principal_and_total_outstanding_of_every_case_are_as_published(url, shared_dir, lake):
    """And past due amount and days past due follow the published installments, without fees and penalties."""
    cases = synced(url, shared_dir, "asof", lake)
    plans, owed = in_force(cases.table("installments")), still_owed(cases.table("transactions"))
    own_rows = stored_installments(cases.tenant)
    differing = defaultdict(set)
    for case in cases.cases:
        loan, published = case["loan_id"], case["published"]
        position, of_loan = cases.positions[str(loan)], owed[str(loan)]
        if max(of_loan["principal"], ZERO) != amount(published["last_loan_balance"]):
            differing["principal"].add(loan)
        if position["status"] != "charged_off" and position["principal_outstanding"] != of_loan["principal"]:
            differing["position"].add(loan)
        scheduled = sum(row["principal"] + row["interest"] + row["fees"] for row in plans[str(loan)])
        if max(scheduled - of_loan["settled"], ZERO) != amount(published["total"]["outstanding"]):
            differing["total"].add(loan)
        if position["status"] == "charged_off":
            # It is not aged.
            assert (position["days_past_due"], position["past_due_amount"]) == (0, 0)
            continue
        unpaid = [
            (date.fromisoformat(row["due_date"]), owing)
            for row in published["installments"]
            if (owing := amount(row["outstanding"]) - own_rows[loan][row["nr"]]) > 0
        ]
        due = [(due_on, owing) for due_on, owing in unpaid if due_on <= ON]
        if position["past_due_amount"] != sum(owing for _, owing in due):
            differing["past due amount"].add(loan)
        if position["days_past_due"] != max([(ON - due_on).days for due_on, _ in due], default=0):
            differing["days past due"].add(loan)

    assert len(cases.cases) == 313
    # Fineract allocates a payment of these two to a later installment while an earlier one is unpaid. By definition,
    # payments here settle the oldest installment first.
    assert dict(differing) == {"past due amount": {232}, "days past due": {153}}


def stored_installments(tenant: Tenant) -> dict[int, dict[int, Decimal]]:
    """The unpaid fees and penalties of each installment by loan and number, which never age here."""
    query = (
        "SELECT loan_id, installment, coalesce(fee_charges_amount, 0) - coalesce(fee_charges_completed_derived, 0)"
        " - coalesce(fee_charges_waived_derived, 0) + coalesce(penalty_charges_amount, 0)"
        " - coalesce(penalty_charges_completed_derived, 0) - coalesce(penalty_charges_waived_derived, 0)"
        " FROM m_loan_repayment_schedule"
    )
    unpaid: dict[int, dict[int, Decimal]] = defaultdict(dict)
    with tenant.engine.connect() as connection:
        for loan, number, fees in connection.exec_driver_sql(query):
            unpaid[loan][number] = fees
    return unpaid
