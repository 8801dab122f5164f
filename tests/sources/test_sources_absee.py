"""The real tape's balances and totals.

Expected values: the tape's own endBalance column, and the totals published in its README.
"""

from collections import defaultdict
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from absee_tapes import rows_of

from lending_pipelines.sources import open_source
from lending_pipelines.tables import SERVICING


def by_definition(transactions: list[dict]) -> pd.DataFrame:
    """What each transaction does to the amounts of a position, reversals as the negative of what they undo."""
    by_id = {row["transaction_id"]: row for row in transactions}
    effects = []
    for row in transactions:
        undone = by_id[row["reverses_id"]] if row["type"] == "reversal" else row
        sign = -1 if row["type"] == "reversal" else 1
        effect = defaultdict(Decimal, loan_id=row["loan_id"], on=row["effective_on"].isoformat())
        match undone["type"]:
            case "disbursement":
                effect["outstanding"] = sign * row["principal"]
            case "capitalization":
                effect["outstanding"] = sign * (row["interest"] + row["fees"])
            case "repayment":
                effect["outstanding"], effect["paid"] = -sign * row["principal"], sign * row["amount"]
            case "charge_off":
                effect["outstanding"], effect["charged_off"] = -sign * row["principal"], sign * row["principal"]
            case "waiver":
                effect["outstanding"] = -sign * row["principal"]
            case "recovery":
                effect["recovered"] = sign * row["amount"]
        effects.append(
            {name: effect[name] for name in ("loan_id", "on", "outstanding", "paid", "charged_off", "recovered")}
        )
    return pd.DataFrame(effects)


@pytest.fixture(scope="module")
def tape_folder(shared_dir: Path) -> Path:
    return shared_dir / "data" / "autoloans"


@pytest.fixture(scope="module")
def tape(tape_folder: Path):
    return open_source("absee", str(tape_folder))


@pytest.fixture(scope="module")
def transactions(tape) -> list[dict]:
    return rows_of(tape, "transactions")


@pytest.fixture(scope="module")
def effects(transactions) -> pd.DataFrame:
    return by_definition(transactions)


def test_principal_outstanding_is_the_tapes_balance_in_every_reported_loan_month(tape_folder, effects):
    monthly = pd.read_csv(tape_folder / "monthly.csv.gz", dtype=str, keep_default_na=False)
    reported = {(r.assetNumber, r.periodEnd): Decimal(r.endBalance) for r in monthly.itertuples() if r.endBalance}
    changes = effects.groupby(["loan_id", "on"]).outstanding.sum().to_dict()
    running: dict[str, Decimal] = {}
    outstanding = {}
    # A day with a balance but no transaction keeps the balance before it.
    for loan_id, on in sorted(set(changes) | set(reported)):
        running[loan_id] = running.get(loan_id, Decimal(0)) + changes.get((loan_id, on), Decimal(0))
        outstanding[loan_id, on] = running[loan_id]

    assert len(reported) == 90_466
    assert {key: outstanding[key] for key in reported} == reported


@pytest.mark.parametrize(
    ("period_end", "loans", "principal", "paid"),
    [
        ("2019-08-31", 2861, "37193021.80", "0.00"),
        ("2019-09-30", 2829, "36298225.84", "1164270.83"),
        ("2020-08-31", 2420, "26481612.13", "13223497.14"),
        ("2023-06-30", 1096, "4804472.78", "37793514.92"),
    ],
)
def test_the_readmes_totals_come_out(effects, period_end, loans, principal, paid):
    until = effects[effects.on <= period_end]
    balances = until.groupby("loan_id").outstanding.sum()

    assert (balances > 0).sum() == loans
    assert balances.sum() == Decimal(principal)
    assert until.paid.sum() == Decimal(paid)


def test_charge_offs_are_the_residuals_that_the_readme_counts(transactions):
    charged_off = [row["principal"] for row in transactions if row["type"] == "charge_off"]

    assert len(charged_off) == 86
    assert sum(charged_off) == Decimal("828972.92")


def test_recoveries_are_all_that_is_reported_net_of_costs(tape_folder, effects):
    monthly = pd.read_csv(tape_folder / "monthly.csv.gz", dtype=str).fillna("0")
    proceeds = monthly.recovered.map(Decimal) + monthly.repossessedProceeds.map(Decimal)
    net = proceeds.groupby(monthly.assetNumber).sum().map(lambda amount: max(amount, Decimal(0)))
    recovered = effects.groupby("loan_id").recovered.sum()

    assert recovered[recovered != 0].to_dict() == net[net != 0].to_dict()


def test_amounts_are_their_components_and_none_is_negative(transactions):
    for row in transactions:
        parts = (row["principal"], row["interest"], row["fees"])
        assert row["amount"] == sum(parts)
        assert min(parts) >= 0
        assert row["amount"] > 0


def test_the_loans_without_a_balance_at_the_cut_off_are_skipped_and_counted(tape):
    assert len(rows_of(tape, "loans")) == 2861
    assert tape.notes(SERVICING["loans"]) == {"skipped_loans_without_balance_at_cut_off": 34}


def test_parties_and_products_of_the_real_tape(tape):
    assert rows_of(tape, "programs") == [{"program_id": "used", "name": "Used vehicles"}]
    assert [row["product_id"] for row in rows_of(tape, "products")] == [
        "near_prime",
        "prime",
        "subprime",
        "super_prime",
    ]
    assert len(rows_of(tape, "branches")) == 51
    assert len(rows_of(tape, "borrowers")) == 2861


def test_what_the_tape_does_not_have_is_declared_and_empty(tape):
    assert {"journal_lines", "gl_accounts", "staff", "collection_contacts", "compliance_checks"} <= tape.absent
    for name in tape.absent:
        assert rows_of(tape, name) == []


def test_since_is_an_inclusive_lower_bound(tape, transactions):
    since = datetime(2023, 7, 1)
    read = [row for batch in tape.read(SERVICING["transactions"], since) for row in batch.to_pylist()]

    assert read
    assert read == [row for row in transactions if row["posted_at"] >= since]


def test_a_longer_tape_only_adds_transactions(tape_folder, tmp_path, transactions):
    monthly = pd.read_csv(tape_folder / "monthly.csv.gz", dtype=str)
    monthly[monthly.periodEnd <= "2021-06-30"].to_csv(tmp_path / "monthly.csv.gz", index=False)
    (tmp_path / "loans.csv.gz").write_bytes((tape_folder / "loans.csv.gz").read_bytes())

    shorter = rows_of(open_source("absee", str(tmp_path)), "transactions")

    assert shorter == [row for row in transactions if row["effective_on"] <= date(2021, 6, 30)]
