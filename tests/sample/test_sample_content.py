"""What is in the sample: every table, every kind of event, and rows that agree with each other."""

from collections import defaultdict
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise

import pyarrow as pa
import pytest

from lending_pipelines.sample import SampleError, SampleSpec, generate
from lending_pipelines.sample.stream import EMPTY_TABLES
from lending_pipelines.tables import SERVICING

SPEC = SampleSpec(1500, date(2025, 1, 1), date(2026, 6, 30), seed=7)


def tables_of(spec: SampleSpec) -> dict[str, pa.Table]:
    parts = defaultdict(list)
    for name, table in generate(spec):
        parts[name].append(table)
    return {name: pa.concat_tables(tables) for name, tables in parts.items()}


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    return tables_of(SPEC)


@pytest.fixture(scope="module")
def rows(tables) -> dict[str, list[dict]]:
    return {name: table.to_pylist() for name, table in tables.items()}


@pytest.mark.parametrize("name", [name for name in SERVICING if name not in EMPTY_TABLES])
def test_table_is_filled_as_its_schema_says(tables, name):
    table, rows = SERVICING[name], tables[name]
    assert rows.num_rows
    assert rows.schema == table.arrow_schema
    assert rows.group_by(list(table.key)).aggregate([]).num_rows == rows.num_rows, "the key is unique"
    for column in table.columns:
        values = set(rows[column.name].to_pylist())
        assert column.nullable or None not in values, column.name
        assert not column.values or values - {None} <= set(column.values), column.name


def test_every_kind_of_thing_happens(rows):
    def seen(table: str, column: str) -> set:
        return {row[column] for row in rows[table]} - {None}

    for table, column in [
        ("transactions", "type"),
        ("modifications", "type"),
        ("fees", "fee_type"),
        ("staff", "role"),
        ("collection_contacts", "channel"),
        ("collection_contacts", "outcome"),
        ("tickets", "status"),
        ("tickets", "side"),
        ("gateway_payments", "status"),
        ("gl_accounts", "account_type"),
    ]:
        assert seen(table, column) == set(SERVICING[table].column(column).values), (table, column)
    assert seen("loans", "day_count") == {"30/360", "actual/365", "actual/360"}
    assert seen("loans", "payment_frequency") == {"weekly", "biweekly", "monthly", "quarterly", "bullet"}
    assert seen("compliance_checks", "passed") == {True, False}
    assert seen("loans", "currency") == {"USD", "EUR"}
    assert any(row["disbursed_on"] is None for row in rows["loans"])
    assert any(row["left_on"] for row in rows["borrowers"])
    assert any(row["waived_on"] for row in rows["fees"])
    assert any(row["kept_on"] for row in rows["promises_to_pay"])
    assert any(row["broken_on"] for row in rows["promises_to_pay"])
    assert any(row["borrower_id"] is None for row in rows["users"])


def test_payments_come_early_late_ahead_backdated_and_not_at_all(rows):
    due = {(row["loan_id"], row["due_on"]) for row in rows["installments"] if row["version"] == 1}
    paid = [row for row in rows["transactions"] if row["type"] == "repayment"]
    on_time = [row for row in paid if (row["loan_id"], row["effective_on"]) in due]
    early = [
        row for row in paid if any((row["loan_id"], row["effective_on"] + timedelta(days=n)) in due for n in (1, 2))
    ]
    late = [
        row for row in paid if any((row["loan_id"], row["effective_on"] - timedelta(days=n)) in due for n in (2, 9))
    ]
    backdated = [row for row in paid if row["posted_at"].date() - row["effective_on"] > timedelta(days=1)]
    for kind in (on_time, early, late, backdated):
        assert 0.003 < len(kind) / len(paid) < 0.9
    matured = {row["loan_id"]: row["matures_on"] for row in rows["loans"] if row["matures_on"]}
    balance = outstanding(rows)
    assert any(balance[loan] > 0 and day < SPEC.first for loan, day in matured.items()), "overdue past maturity"
    assert any(amount < 0 for amount in balance.values()), "a credit balance"


def test_at_least_thirty_percent_of_the_loans_are_seasoned(rows):
    seasoned = [row for row in rows["loans"] if row["disbursed_on"] and row["disbursed_on"] < SPEC.first]
    assert len(seasoned) >= 0.3 * SPEC.loans
    balance = outstanding(rows, SPEC.first - timedelta(days=1))
    assert sum(amount > 0 for amount in balance.values()) >= 0.15 * SPEC.loans


def test_amounts_are_their_components(rows):
    for row in rows["transactions"]:
        assert row["amount"] == row["principal"] + row["interest"] + row["fees"]
        assert min(row["principal"], row["interest"], row["fees"]) >= 0
        assert row["amount"] > 0


def test_reversals_mirror_what_they_reverse(rows):
    by_id = {row["transaction_id"]: row for row in rows["transactions"]}
    reversals = [row for row in rows["transactions"] if row["type"] == "reversal"]
    for row in reversals:
        undone = by_id[row["reverses_id"]]
        assert all(row[part] == undone[part] for part in ("loan_id", "amount", "principal", "interest", "fees"))
        assert undone["type"] == "repayment"
        assert undone["effective_on"] <= row["effective_on"]
        assert undone["posted_at"] <= row["posted_at"]
    assert len({row["reverses_id"] for row in reversals}) == len(reversals)
    assert all((row["reverses_id"] is None) == (row["type"] != "reversal") for row in rows["transactions"])


def test_every_schedule_version_adds_up_to_the_principal(rows):
    """What is scheduled is what was disbursed and capitalized before the version took effect."""
    loans = {row["loan_id"]: row for row in rows["loans"]}
    capitalized = defaultdict(Decimal)
    for row in rows["transactions"]:
        if row["type"] == "capitalization":
            capitalized[row["loan_id"]] += row["interest"] + row["fees"]
    versions = defaultdict(list)
    for row in rows["installments"]:
        versions[row["loan_id"], row["version"]].append(row)
    for (loan_id, version), installments in versions.items():
        expected = loans[loan_id]["principal"] + (capitalized[loan_id] if version == 2 else 0)
        assert sum(row["principal"] for row in installments) == expected
        assert [row["number"] for row in installments] == list(range(1, len(installments) + 1))
        days = [loans[loan_id]["disbursed_on"], *(row["due_on"] for row in installments)]
        assert all(before < after for before, after in pairwise(days))
        assert min(min(row["principal"], row["interest"]) for row in installments) >= 0
    first = {loan_id: len(rows) for (loan_id, version), rows in versions.items() if version == 1}
    assert first == {loan_id: row["term_count"] for loan_id, row in loans.items() if row["disbursed_on"]}
    second = {loan_id: (len(r), r[0]["effective_on"]) for (loan_id, version), r in versions.items() if version == 2}
    assert second == {row["loan_id"]: (row["after_term"], row["effective_on"]) for row in rows["modifications"]}
    for row in rows["loans"]:
        if row["disbursed_on"]:
            assert versions[row["loan_id"], 1][0]["due_on"] == row["first_due_on"]
            assert versions[row["loan_id"], 1][-1]["due_on"] == row["matures_on"]
            assert versions[row["loan_id"], 1][0]["effective_on"] == row["disbursed_on"]


def test_a_level_schedule_has_level_payments(rows):
    count = {row["loan_id"]: row["term_count"] for row in rows["loans"]}
    payments = defaultdict(set)
    for row in rows["installments"]:
        if row["version"] == 1 and row["number"] < count[row["loan_id"]]:
            payments[row["loan_id"]].add(row["principal"] + row["interest"])
    assert payments
    assert all(len(amounts) == 1 for amounts in payments.values())


def test_rows_refer_to_rows_that_exist(rows):
    ids = {name: {row[SERVICING[name].key[0]] for row in rows[name]} for name in SERVICING}
    references = {
        "loan_id": "loans",
        "borrower_id": "borrowers",
        "product_id": "products",
        "program_id": "programs",
        "branch_id": "branches",
        "officer_id": "staff",
        "collector_id": "staff",
        "team_leader_id": "staff",
        "account_code": "gl_accounts",
        "parent_code": "gl_accounts",
        "transaction_id": "transactions",
        "user_id": "users",
        "wallet_id": "wallets",
    }
    for name in SERVICING:
        for column in set(SERVICING[name].names) & set(references):
            used = {row[column] for row in rows[name]} - {None}
            assert used <= ids[references[column]], (name, column)


def test_a_transaction_has_an_entry_of_its_own_with_its_day_and_posting_time(rows):
    transactions = {row["transaction_id"]: row for row in rows["transactions"]}
    posted = set()
    for line in rows["journal_lines"]:
        if line["transaction_id"]:
            row = transactions[line["transaction_id"]]
            posted.add(line["transaction_id"])
            assert (line["loan_id"], line["entry_date"]) == (row["loan_id"], row["effective_on"])
            assert line["posted_at"] == row["posted_at"]
    unposted = [row for row in rows["transactions"] if row["transaction_id"] not in posted]
    assert all(row["type"] == "waiver" and row["amount"] == row["fees"] for row in unposted)


def test_fees_paid_and_waived_are_those_of_the_transactions(rows):
    paid, waived = defaultdict(Decimal), defaultdict(Decimal)
    for row in rows["transactions"]:
        if row["fees"]:
            (paid if row["type"] == "repayment" else waived)[row["loan_id"], row["effective_on"]] += row["fees"]
    for fee in rows["fees"]:
        paid[fee["loan_id"], fee["paid_on"]] -= fee["paid_amount"]
        waived[fee["loan_id"], fee["waived_on"]] -= fee["waived_amount"]
        assert fee["paid_amount"] + fee["waived_amount"] <= fee["amount"]
        assert fee["paid_on"] is None or fee["paid_on"] >= fee["assessed_on"]
    assert not any(paid.values())
    assert not any(waived.values())


def test_modifications_move_the_terms_that_their_type_says(rows):
    for row in rows["modifications"]:
        assert (row["after_rate"] < row["before_rate"]) == (row["type"] == "rate_reduction")
        assert (row["after_term"] > row["before_term"]) == (row["type"] == "term_extension")
        assert (row["after_principal"] > row["before_principal"]) == (row["type"] == "capitalization")
        assert (row["after_principal"] < row["before_principal"]) == (row["type"] == "principal_forgiveness")


def test_no_account_has_its_balance_on_the_wrong_side(rows):
    """Assets and expenses end in debit, liabilities, equity and income in credit, in each currency."""
    types = {row["account_code"]: row["account_type"] for row in rows["gl_accounts"]}
    balances: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for line in rows["journal_lines"]:
        balances[line["account_code"], line["currency"]] += line["debit"] - line["credit"]
    for (account, currency), balance in balances.items():
        assert balance >= 0 if types[account] in ("asset", "expense") else balance <= 0, (account, currency, balance)
    # 1,500 loans: 1,500,000.00 of capital, 95 % of it in USD. It is what is left in the bank (1010).
    assert (balances["1010", "USD"], balances["1010", "EUR"]) == (Decimal(1_425_000), Decimal(75_000))


def test_nothing_is_known_or_counts_after_the_end(rows):
    end = datetime.combine(SPEC.last + timedelta(days=1), time())
    for name, column in [("transactions", "effective_on"), ("journal_lines", "entry_date")]:
        assert max(row[column] for row in rows[name]) == SPEC.last
    for name, table in SERVICING.items():
        for column in table.columns:
            values = [row[column.name] for row in rows[name] if row[column.name] is not None]
            if column.type == "timestamp(6)":
                assert max(values, default=end - timedelta(days=1)) < end, (name, column.name)
            if column.type == "date" and column.name not in ("due_on", "first_due_on", "matures_on"):
                assert max(values, default=SPEC.last) <= SPEC.last, (name, column.name)
    assert all(row["updated_at"] >= row["posted_at"] for row in rows["loans"])


def test_an_officer_is_always_one_of_the_branch_and_employed(rows):
    staff = {row["staff_id"]: row for row in rows["staff"]}
    branch = {row["loan_id"]: row["branch_id"] for row in rows["loans"]}
    moved = [row for row in rows["officer_assignments"] if row["released_on"]]
    assert moved
    for row in rows["officer_assignments"]:
        officer = staff[row["officer_id"]]
        assert officer["role"] == "loan_officer"
        assert officer["branch_id"] == branch[row["loan_id"]]
        assert officer["active_from"] <= row["assigned_on"]
        assert officer["active_to"] is None or row["assigned_on"] < officer["active_to"]


def test_the_same_spec_gives_the_same_rows_and_another_seed_other_ones():
    spec = SampleSpec(40, date(2025, 1, 1), date(2025, 1, 31), seed=5)
    assert tables_of(spec) == tables_of(spec)
    other = tables_of(SampleSpec(40, date(2025, 1, 1), date(2025, 1, 31), seed=6))
    assert tables_of(spec)["transactions"] != other["transactions"]


def test_chunks_follow_each_other_without_a_clash():
    spec = SampleSpec(4100, date(2025, 1, 1), date(2025, 1, 2))
    for name, table in tables_of(spec).items():
        assert table.group_by(list(SERVICING[name].key)).aggregate([]).num_rows == table.num_rows, name


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0, date(2025, 1, 1), date(2025, 2, 1)), "0 loans"),
        ((10, date(2025, 2, 1), date(2025, 1, 1)), "last day is before the first"),
        ((10, date(1901, 1, 1), date(2025, 1, 1)), "first day from 1980-01-01"),
        ((10, date(1990, 1, 1), date(2025, 1, 1)), "at most 30 years"),
        ((10, date(2025, 1, 1), date(2025, 1, 1), -1), "seed -1"),
    ],
)
def test_a_spec_that_cannot_be_made_is_refused(values, message):
    with pytest.raises(SampleError, match=message):
        SampleSpec(*values)


def test_a_single_loan_on_a_single_day_can_be_made():
    tables = tables_of(SampleSpec(1, date(2025, 1, 1), date(2025, 1, 1)))
    assert tables["loans"].num_rows == 1


def outstanding(rows: dict[str, list[dict]], day: date = SPEC.last) -> dict[str, Decimal]:
    """Principal outstanding at the end of the day by loan, straight from the definition."""
    signs = {"disbursement": 1, "refund": 1, "repayment": -1, "waiver": -1, "charge_off": -1, "write_off": -1}
    by_id = {row["transaction_id"]: row for row in rows["transactions"]}
    balance: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows["transactions"]:
        if row["effective_on"] <= day:
            what = by_id.get(row["reverses_id"], row)
            sign = -1 if row["reverses_id"] else 1
            balance[row["loan_id"]] += sign * signs.get(what["type"], 0) * what["principal"]
            if what["type"] == "capitalization":
                balance[row["loan_id"]] += sign * (what["interest"] + what["fees"])
    return balance
