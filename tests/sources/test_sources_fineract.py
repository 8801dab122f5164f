"""The source fineract on the published cases: what Fineract's own acceptance tests print of a loan, on both databases.

The cases are in shared/data/fineract. They are loaded into a tenant database, synced, and the positions of their one
business date are compared with what Fineract prints.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pytest
import sqlalchemy as sa
from fineract_tenant import Tenant, expected

from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.lake import Lake
from lending_pipelines.metrics.positions import loan_positions
from lending_pipelines.sources import SourceError, SyncResult, open_source, sync_tables
from lending_pipelines.tables import SERVICING, TABLES

ON = date(2025, 6, 30)
ZERO = Decimal(0)


@dataclass
class Synced:
    """A folder of cases after its sync: the tables of the lake, and the published values."""

    table: Callable[[str], list[dict]]
    cases: list[dict]
    tenant: Tenant


def read_from(lake: Lake) -> Callable[[str], ir.Table]:
    """The lake's tables; those that a sync does not make are empty."""

    def read(name: str) -> ir.Table:
        return lake.table(name) if lake.has(name) else ibis.memtable(TABLES[name].arrow_schema.empty_table())

    return read


def sync(tenant: Tenant, lake: Lake, *names: str) -> dict[str, SyncResult]:
    """Sync every table, or those that are named. No table is rejected."""
    tables = [table for name, table in SERVICING.items() if name in (names or SERVICING)]
    outcomes = {table.name: outcome for table, outcome in sync_tables(tenant.source, tables, lake, Conventions())}
    rejected = [str(outcome) for outcome in outcomes.values() if isinstance(outcome, LendingError)]
    assert rejected == []
    return outcomes


def positions(lake: Lake, first: date) -> dict[tuple[date, str], dict]:
    """The positions from the first day to the one business date, by day and loan."""
    rows = loan_positions(read_from(lake), first, ON, Conventions()).to_pyarrow().to_pylist()
    return {(row["business_date"], row["loan_id"]): row for row in rows}


def synced(tenant: Tenant, folder: Path, lake: Lake) -> Synced:
    tenant.refill(folder)
    sync(tenant, lake)
    return Synced(lambda name: lake.table(name).to_pyarrow().to_pylist(), list(expected(folder)), tenant)


@pytest.fixture
def acceptance(shared_dir: Path) -> Path:
    """The folders of the published cases."""
    return shared_dir / "data" / "fineract" / "acceptance"


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


def test_principal_and_total_outstanding_of_every_case_are_as_published(fineract_tenant, acceptance, lake):
    """Fees are too. Past due amount and days past due follow the published installments, without fees and penalties."""
    cases = synced(fineract_tenant, acceptance / "asof", lake)
    found = positions(lake, ON)
    assessed = defaultdict(Decimal)
    for fee in cases.table("fees"):
        assessed[fee["loan_id"]] += fee["amount"]
        assert (fee["paid_on"] is None) == (fee["paid_amount"] == 0)
    plans, owed = in_force(cases.table("installments")), still_owed(cases.table("transactions"))
    own_rows = stored_installments(cases.tenant)
    differing = defaultdict(set)
    for case in cases.cases:
        loan, published = case["loan_id"], case["published"]
        position, of_loan = found[ON, str(loan)], owed[str(loan)]
        if max(of_loan["principal"], ZERO) != amount(published["last_loan_balance"]):
            differing["principal"].add(loan)
        if position["status"] != "charged_off" and position["principal_outstanding"] != of_loan["principal"]:
            differing["position"].add(loan)
        scheduled = sum(row["principal"] + row["interest"] + row["fees"] for row in plans[str(loan)])
        if max(scheduled - of_loan["settled"], ZERO) != amount(published["total"]["outstanding"]):
            differing["total"].add(loan)
        if assessed[str(loan)] != amount(published["total"]["fees"]) + amount(published["total"]["penalties"]):
            differing["fees"].add(loan)
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


def published_line(line: dict) -> tuple:
    sides = (Decimal(line[side]).quantize(Decimal("0.01")) if line[side] else None for side in ("debit", "credit"))
    return line["account_type"], line["account_code"], line["account_name"], *sides


def test_the_journal_lines_of_every_case_are_those_that_fineract_posts(fineract_tenant, acceptance, lake):
    """Line by line, with the account's code, name and type. An undone transaction keeps its lines."""
    cases = synced(fineract_tenant, acceptance / "posting", lake)
    accounts = {row["account_code"]: row for row in cases.table("gl_accounts")}
    lines = defaultdict(list)
    for row in cases.table("journal_lines"):
        account = accounts[row["account_code"]]
        sides = tuple(row[side] or None for side in ("debit", "credit"))
        lines[row["loan_id"]].append((account["account_type"].upper(), row["account_code"], account["name"], *sides))
    published = {
        str(case["loan_id"]): sorted(map(published_line, case["published"]["lines"]), key=str) for case in cases.cases
    }
    assert len(published) == 208
    assert {loan: sorted(rows, key=str) for loan, rows in lines.items()} == published
    with cases.tenant.engine.connect() as connection:
        offices = connection.exec_driver_sql("SELECT DISTINCT office_id FROM acc_gl_journal_entry").scalars().all()
    assert {row["branch_id"] for row in cases.table("journal_lines")} == set(map(str, offices))


def test_days_past_due_of_every_delinquency_case_are_as_published(fineract_tenant, acceptance, lake):
    """Fineract counts delinquent days after a grace period, and stops them in a pause; we have no grace period."""
    cases = synced(fineract_tenant, acceptance / "delinquency", lake)
    found = positions(lake, date(2025, 6, 20))
    with cases.tenant.engine.connect() as connection:
        ranges = {
            name: range(least, most + 1 if most else 10_000)
            for name, least, most in connection.exec_driver_sql(
                "SELECT classification, min_age_days, max_age_days FROM m_delinquency_range"
            )
        }
        query = "SELECT id, grace_on_arrears_ageing FROM m_loan"
        grace = dict(map(tuple, connection.exec_driver_sql(query)))
    compared = 0
    for case in cases.cases:
        loan = case["loan_id"]
        position = found[ON, str(loan)]
        late = position["days_past_due"]
        for published in case["published"]:
            compared += 1
            match case["check"]:
                case "delinquency_range" | "next_payment" if "NO_DELINQUENCY" in published.values():
                    assert late == 0, case
                case "delinquency_range":
                    assert late - grace[loan] in ranges[published["range"]], case
                    delinquent = date.fromisoformat(published["delinquent_date"])
                    assert position["oldest_due_on"] + timedelta(days=grace[loan]) == delinquent
                case "delinquency_loan":
                    assert late == int(published["past_due_days"]), case
                    assert late - grace[loan] == int(published["delinquent_days"])
                    assert position["past_due_amount"] == amount(published["delinquent_amount"])
                case "delinquency_installment":
                    # The oldest installment is in the last of the ranges, which are told per installment.
                    assert late in ranges[case["published"][-1]["range"]], case
                case "delinquency_history":
                    on = date.fromisoformat(published["added_on_date"])
                    then = found[on, str(loan)]
                    tagged = then["days_past_due"] - grace[loan] in ranges[published["range_classification"]]
                    # A range that is lifted on the day on which it is added was paid on that day.
                    assert tagged or published["lifted_on_date"] == published["added_on_date"], case
    assert (len(cases.cases), compared) == (29, 49)


def test_every_contradiction_of_the_seed_is_reported(url, shared_dir, lake):
    """The numbers are those that the seed's README counts. The tables that the dump does not have are absent."""
    data = shared_dir / "data" / "fineract"
    outcomes = sync(Tenant(url, data / "schema.json", data / "bi_seed", only_files=True), lake)

    assert {name for name, outcome in outcomes.items() if not outcome.absent} == {
        "branches", "borrowers", "programs", "products", "loans", "installments", "transactions", "accruals",
    }  # fmt: skip
    told = [warning.partition(" (id ")[0] for outcome in outcomes.values() for warning in outcome.warnings]
    assert told == [
        "loans: 36 loans are active although every installment is met and nothing is outstanding",
        "loans: 57 loans have interest in m_loan that differs from the schedule",
        "loans: 48 loans have fees in m_loan that differ from the schedule",
        "loans: 29 loans have penalties in m_loan that differ from the schedule",
        "loans: 144 loans are repaid monthly, but fall due on changing days of the month",
        "loans: 12 loans have a delinquency tag although nothing is past due",
        "loans: 14 loans have a delinquency tag whose range does not include their days past due",
        "installments: 22 loans have principal repaid in the schedule that differs from m_loan",
        "installments: 1,728 rows have more than two decimals; rounding keeps the total of each schedule",
        "transactions: 9 loans have principal repaid in m_loan that differs from the payments",
        "transactions: 21 loans have principal repaid in the schedule that differs from the payments",
        "transactions: 8 loans have fees paid in the schedule that differ from the payments",
        "transactions: 29 loans have penalties paid in the schedule that differ from the payments",
        "transactions: 2 loans have more principal repaid than lent",
        "transactions: 7 rows are recoveries on loans that are neither charged off nor written off",
        "transactions: 1,044 rows have more than two decimals; rounding keeps the total of each loan",
        "transactions: 1,609 rows were all stored at the same time, so posted_at is not when each became known",
    ]
    # The exact sums of the dump, each rounded once: thirds of a cent are neither lost nor added.
    with sa.create_engine(url).connect() as connection:
        [exact] = connection.exec_driver_sql(
            "SELECT sum(principal_portion_derived) FROM m_loan_transaction WHERE transaction_type_enum = 2"
        )
    rows = lake.table("transactions")
    paid = rows.filter(rows.type == "repayment").principal.sum().to_pyarrow().as_py()
    loans = rows.loan_id.nunique().to_pyarrow().as_py()
    assert abs(paid - exact[0]) <= Decimal("0.005") * loans


def test_an_unknown_transaction_type_rejects_the_table_by_name(fineract_tenant, acceptance, lake):
    fineract_tenant.refill(acceptance / "delinquency")
    fineract_tenant.execute("UPDATE m_loan_transaction SET transaction_type_enum = 99 WHERE id IN (5, 6)")
    tables = [SERVICING[name] for name in ("loans", "transactions")]
    (_, loans), (_, error) = sync_tables(fineract_tenant.source, tables, lake, Conventions())

    assert not isinstance(loans, LendingError)
    assert str(error) == (
        "fineract: table transactions is rejected: transactions.type: 2 rows have an unknown code in "
        "m_loan_transaction.transaction_type_enum (transaction_type_enum=99: 2, the first with id 5)"
    )


def test_external_owners_have_loans_from_the_day_after_the_settlement_at_their_price(fineract_tenant, acceptance, lake):
    """Sold at 29 June: owned from 30 June. 0.9 × 1,000.25 outstanding = 900.225, rounded to 900.23."""
    tenant = fineract_tenant
    tenant.refill(acceptance / "posting")
    tenant.execute("UPDATE m_external_asset_owner_transfer SET purchase_price_ratio = '0.9' WHERE id = 1")
    tenant.execute("UPDATE m_external_asset_owner_transfer SET effective_date_to = '2025-07-31' WHERE id = 3")
    zeros = {
        f"{part}_derived": 0
        for part in ("principal_outstanding", "interest_outstanding", "fee_charges_outstanding",
                     "penalty_charges_outstanding", "total_overpaid")
    }  # fmt: skip
    tenant.insert(
        "m_external_asset_owner_transfer_details",
        **zeros | {"id": 1, "asset_owner_transfer_id": 1, "total_outstanding_derived": Decimal("1000.25")},
    )
    sync(tenant, lake, "loans", "loan_owners")
    owner = "725f66d0-1491-50a5-8e80-b3676dd75b96"
    assert lake.table("loan_owners").order_by("loan_id").to_pyarrow().to_pylist() == [
        {"loan_id": "97", "assigned_on": ON, "investor_id": owner, "investor_name": owner, "removed_on": None,
         "purchase_price": Decimal("900.23")},
        {"loan_id": "98", "assigned_on": ON, "investor_id": owner, "investor_name": owner,
         "removed_on": date(2025, 8, 1), "purchase_price": None},
    ]  # fmt: skip


def test_a_database_that_is_not_fineracts_is_refused(fineract_tenant, tmp_path):
    (tmp_path / "servicing.db").touch()
    with (
        pytest.raises(SourceError, match="must be a database of PostgreSQL, MariaDB or MySQL, not sqlite"),
        open_source("fineract", f"sqlite:///{tmp_path}/servicing.db").snapshot(),
    ):
        pass
    fineract_tenant.execute("ALTER TABLE m_loan RENAME COLUMN repay_every TO not_repay_every")
    try:
        with (
            fineract_tenant.source.snapshot() as reader,
            pytest.raises(SourceError, match="table m_loan has no column repay_every: it is not a table of Fineract"),
        ):
            list(reader.read(SERVICING["loans"]))
    finally:
        fineract_tenant.execute("ALTER TABLE m_loan RENAME COLUMN not_repay_every TO repay_every")


def test_accruals_of_fineract_are_the_interest_earned_by_the_servicing_system(fineract_tenant, acceptance, lake):
    """Published: 14.19 of interest accrued of loans 7 and 17. 7's is undone on 30 June, and 17's adjusted."""
    chosen, tenant = Conventions(interest_accrual="servicer"), fineract_tenant
    tenant.refill(acceptance / "delinquency")

    needed = ("loans", "installments", "transactions", "accruals")

    def earned() -> dict[str, str]:
        rows = loan_positions(read_from(lake), ON - timedelta(days=1), ON, chosen).to_pyarrow().to_pylist()
        return {
            f"{row['loan_id']} on {row['business_date'].day}": str(row["interest_earned"])
            for row in rows
            if row["loan_id"] in ("7", "17")
        }

    sync(tenant, lake, *needed)
    assert earned() == {"7 on 29": "14.19", "7 on 30": "14.19", "17 on 29": "14.19", "17 on 30": "14.19"}

    tenant.execute(
        "UPDATE m_loan_transaction SET is_reversed = TRUE, manually_adjusted_or_reversed = TRUE,"
        " reversed_on_date = '2025-06-30', last_modified_on_utc = '2025-06-30 10:00:00' WHERE id = 30"
    )
    # An adjustment of 4.19 on 30 June, and a portion that Fineract changed in place.
    tenant.execute(
        "INSERT INTO m_loan_transaction (id, loan_id, office_id, is_reversed, transaction_type_enum, transaction_date,"
        " amount, interest_portion_derived, submitted_on_date, manually_adjusted_or_reversed, created_by,"
        " last_modified_by, created_on_utc, last_modified_on_utc, version) VALUES (9001, 17, 1, FALSE, 34,"
        " '2025-06-30', 4.19, 4.19, '2025-06-30', FALSE, 1, 1, '2025-06-30 10:00:00', '2025-06-30 10:00:00', 1)"
    )
    tenant.execute("UPDATE m_loan_transaction SET interest_portion_derived = 14, amount = 14 WHERE id = 35")
    sync(tenant, lake, *needed)
    assert earned() == {"7 on 29": "14.19", "7 on 30": "0.00", "17 on 29": "14.00", "17 on 30": "9.81"}
    rows = {row["accrual_id"]: row for row in lake.table("accruals").to_pyarrow().to_pylist()}
    assert rows["30~undone"]["reverses_id"] == "30"
    assert rows["9001"]["interest"] == Decimal("-4.19")
    # The first amount stays as it was known.
    assert (rows["35"]["interest"], rows["35~2"]["interest"]) == (Decimal("14.19"), Decimal(14))
