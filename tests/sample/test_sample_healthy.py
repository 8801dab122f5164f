"""The healthy book: few loans are late, but for those of the two loan officers in trouble."""

from collections import defaultdict
from datetime import date, timedelta

import pyarrow as pa
import pytest

from lending_pipelines.sample import SampleSpec, generate, officers_in_trouble

SPEC = SampleSpec(2000, date(2025, 1, 1), date(2026, 6, 30), 3, "healthy")


@pytest.fixture(scope="module")
def rows():
    parts = defaultdict(list)
    for name, table in generate(SPEC):
        if name in ("loans", "transactions", "installments", "officer_assignments", "modifications"):
            parts[name].append(table)
    return {name: pa.concat_tables(tables).to_pylist() for name, tables in parts.items()}


def test_only_two_officers_have_many_late_loans(rows):
    # What a loan owes: installments that were due 30 days ago, without modified loans, less what was paid.
    by = SPEC.last - timedelta(days=30)
    modified = {row["loan_id"] for row in rows["modifications"]}
    owed, ended = defaultdict(int), set()
    for row in rows["installments"]:
        if row["due_on"] <= by:
            owed[row["loan_id"]] += row["principal"] + row["interest"]
    repaid, lent = defaultdict(int), defaultdict(int)
    for row in rows["transactions"]:
        sign = {"repayment": 1, "reversal": -1}.get(row["type"], 0)
        owed[row["loan_id"]] -= sign * (row["principal"] + row["interest"])
        repaid[row["loan_id"]] += sign * row["principal"]
        lent[row["loan_id"]] += row["principal"] if row["type"] == "disbursement" else 0
        if row["type"] in ("charge_off", "write_off"):
            ended.add(row["loan_id"])
    officer = {row["loan_id"]: row["officer_id"] for row in rows["officer_assignments"] if row["released_on"] is None}
    loans, late = defaultdict(int), defaultdict(int)
    for loan_id, who in officer.items():
        if loan_id not in ended and loan_id not in modified and repaid[loan_id] < lent[loan_id]:
            loans[who] += 1
            late[who] += owed[loan_id] > 0

    shares = {who: late[who] / number for who, number in loans.items() if number >= 20}
    unpaid, defaulted = officers_in_trouble(SPEC)
    assert shares[unpaid] > 0.15
    assert len(shares) > 8
    others = {who: share for who, share in shares.items() if who not in (unpaid, defaulted)}
    assert max(others.values()) < 0.08
    # The loans of the other officer in trouble are charged off one after the other.
    charged_off = [officer[loan_id] for loan_id in ended]
    assert charged_off.count(defaulted) >= 3
    assert len(charged_off) < 0.02 * SPEC.loans
