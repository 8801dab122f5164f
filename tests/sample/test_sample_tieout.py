"""The sample's ledger against loan positions that are worked out here slowly, loan by loan and day by day."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import groupby, pairwise

import pytest

from lending_pipelines.sample import SampleSpec, generate

ZERO = Decimal(0)
SETTLES = {"repayment": 1, "refund": -1, "waiver": 1, "capitalization": 1}
CHARGE_OFFS = ("charge_off", "write_off")


def rows_of(spec: SampleSpec) -> dict[str, list[dict]]:
    rows: dict[str, list[dict]] = defaultdict(list)
    for name, table in generate(spec):
        rows[name] += table.to_pylist()
    return rows


@pytest.fixture(
    scope="module",
    params=[
        SampleSpec(60, date(2025, 1, 1), date(2025, 3, 31), seed=1),
        SampleSpec(60, date(2023, 12, 1), date(2024, 2, 29), seed=2),
        # Few days of many loans, so that every kind of event lies behind them.
        SampleSpec(1500, date(2025, 6, 1), date(2025, 6, 4), seed=3),
    ],
    ids=["a quarter", "a leap year", "many loans"],
)
def sample(request) -> tuple[SampleSpec, dict[str, list[dict]]]:
    return request.param, rows_of(request.param)


def test_every_control_account_ties_out_on_every_day(sample):
    spec, rows = sample
    versions, events = versions_by_loan(rows), events_by_loan(rows)
    controls = {a["account_code"]: a["control_for"] for a in rows["gl_accounts"] if a["control_for"]}
    credit_natured = {"interest_income", "fee_income", "recovery"}
    for day in days_of(spec):
        ledger: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for line in rows["journal_lines"]:
            if line["account_code"] in controls and line["entry_date"] <= day:
                control = controls[line["account_code"]]
                amount = line["debit"] - line["credit"]
                ledger[control, line["currency"]] += -amount if control in credit_natured else amount
        subledger: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for loan in rows["loans"]:
            if loan["disbursed_on"] and loan["disbursed_on"] <= day:
                for control, amount in totals(loan, versions[loan["loan_id"]], events[loan["loan_id"]], day).items():
                    subledger[control, loan["currency"]] += amount
        assert {key: amount for key, amount in ledger.items() if amount} == {
            key: amount for key, amount in subledger.items() if amount
        }, day


def test_every_entry_balances_in_one_currency(sample):
    _, rows = sample
    key = lambda line: line["entry_id"]  # noqa: E731
    for entry, lines in groupby(sorted(rows["journal_lines"], key=key), key):
        lines = list(lines)
        assert sum(line["debit"] for line in lines) == sum(line["credit"] for line in lines), entry
        assert len({line["currency"] for line in lines}) == 1
        assert [line["line_no"] for line in lines] == list(range(1, len(lines) + 1))
    assert all((line["debit"] > 0) != (line["credit"] > 0) for line in rows["journal_lines"])
    assert all(min(line["debit"], line["credit"]) == 0 for line in rows["journal_lines"])


def totals(loan: dict, versions: list[list[dict]], events: list[tuple[dict, int]], day: date) -> dict[str, Decimal]:
    """What one loan adds to each control account's total at the end of the day, as the definitions have it."""
    known = [(event, sign) for event, sign in events if event["on"] <= day]

    def total(component: str, **signs: int) -> Decimal:
        return sum((sign * signs.get(e["type"], 0) * e[component] for e, sign in known), ZERO)

    disbursed = total("amount", disbursement=1)
    charged_off = total("principal", charge_off=1, write_off=1)
    outstanding = (
        disbursed
        + total("interest", capitalization=1)
        + total("fees", capitalization=1)
        - total("principal", repayment=1, refund=-1)
        - charged_off
        - total("principal", waiver=1)
    )
    settled = total("interest", **SETTLES)
    charge_off_days = [e["on"] for e, sign in known if e["type"] in CHARGE_OFFS]
    if charge_off_days:
        earned, active = earned_by(loan, versions, min(charge_off_days) - timedelta(days=1)), False
    elif outstanding <= 0:
        earned, active = settled, False
    else:
        earned, active = earned_by(loan, versions, day), True
    return {
        "principal": outstanding,
        "cash": total("amount", repayment=1, refund=-1, recovery=1) - disbursed,
        "fee_income": total("fees", repayment=1, refund=-1),
        "charge_off": charged_off,
        "recovery": total("amount", recovery=1),
        "interest_income": earned,
        "interest_receivable": max(ZERO, earned - settled) if active else ZERO,
    }


def earned_by(loan: dict, versions: list[list[dict]], day: date) -> Decimal:
    """Interest of the schedule in force for the time elapsed, exactly, then to the cent, half to even."""
    in_force = [version for version in versions if version[0]["effective_on"] <= day][-1]
    bounds = [loan["disbursed_on"], *(installment["due_on"] for installment in in_force)]
    earned = Fraction(0)
    for (begin, due), installment in zip(pairwise(bounds), in_force, strict=True):
        elapsed = min(max((day - begin).days, 0), (due - begin).days)
        earned += Fraction(installment["interest"]) * elapsed / (due - begin).days
    return Decimal(round(earned * 100)).scaleb(-2)


def versions_by_loan(rows: dict[str, list[dict]]) -> dict[str, list[list[dict]]]:
    found: dict[str, list[list[dict]]] = defaultdict(list)
    order = lambda row: (row["loan_id"], row["version"], row["number"])  # noqa: E731
    for (loan_id, _), version in groupby(
        sorted(rows["installments"], key=order), lambda r: (r["loan_id"], r["version"])
    ):
        found[loan_id].append(list(version))
    return found


def events_by_loan(rows: dict[str, list[dict]]) -> dict[str, list[tuple[dict, int]]]:
    """Each loan's (event, sign); a reversal is what it reverses, negative, from the reversal's day."""
    by_id = {row["transaction_id"]: row for row in rows["transactions"]}
    found: dict[str, list[tuple[dict, int]]] = defaultdict(list)
    for row in rows["transactions"]:
        what = by_id[row["reverses_id"]] if row["type"] == "reversal" else row
        found[row["loan_id"]].append(({**what, "on": row["effective_on"]}, -1 if row["type"] == "reversal" else 1))
    return found


def days_of(spec: SampleSpec) -> Iterator[date]:
    for number in range((spec.last - spec.first).days + 1):
        yield spec.first + timedelta(days=number)
