"""Fields that count by dates: whether the first and the last day of a period, and the day itself, belong to it."""

from datetime import date
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest

from lending_pipelines.tables import TABLES
from lending_pipelines.tapes import TABLES_READ, TapeSpec, tape_loans, tape_rows

DAY, NEXT = date(2025, 3, 30), date(2025, 3, 31)
MONEY = [column.name for column in TABLES["loan_positions"].columns if column.type == "decimal(18, 2)"]
FIELDS = (
    *("loan_id", "period_scheduled_principal", "period_scheduled_interest", "period_scheduled", "scheduled_12m"),
    *("next_period_due", "installments_remaining", "interest_paid_through", "original_payment", "fees_unpaid"),
    *("modified", "modification_count", "last_modified_on", "current_term_count", "period_modified"),
    *("period_extension_count", "investor_name", "sold_on", "delinquency_history", "history_months"),
    *("times_30_12m", "months_paid_12m", "paid_12m", "period_opening_principal", "period_disbursed"),
    *("account_state", "defaulted_on", "default_amount"),
)


def _position(loan_id, day=DAY, *, disbursed_on=date(2022, 1, 15), **values) -> dict:
    plain = {"status": "active", "days_past_due": 0, "portfolio_id": "a", "currency": "EUR"}
    keys = {"business_date": day, "loan_id": loan_id, "disbursed_on": disbursed_on}
    return dict.fromkeys(MONEY, Decimal(0)) | plain | keys | values


def _installment(version, number, due_on, amount, effective_on) -> dict:
    """Interest is 1,000 times the principal, fees are 1,000,000 times: each sum shows which installments are in it."""
    split = {"principal": Decimal(amount), "interest": Decimal(1000 * amount), "fees": Decimal(1000000 * amount)}
    keys = {"loan_id": "L1", "version": version, "number": number}
    return keys | {"due_on": due_on, "effective_on": effective_on} | split


def _fee(amount, assessed_on=DAY, **values) -> dict:
    return {"loan_id": "L1", "amount": Decimal(amount), "assessed_on": assessed_on} | values


def _modification(loan_id, effective_on, before, after) -> dict:
    terms = {"before_term": before, "after_term": after}
    return {"loan_id": loan_id, "type": "term_extension", "effective_on": effective_on} | terms


ROWS = {
    "loan_positions": [
        _position("L1", oldest_due_on=DAY, investor_id="n", past_due_amount=Decimal(40))
        | {"principal_outstanding": Decimal(248)},
        _position("L2", days_past_due=89, investor_id="n"),
        # Disbursed on a month end that is not closed.
        _position("L3", disbursed_on=date(2025, 1, 31), principal_paid=Decimal(25), days_past_due=90)
        | {"principal_outstanding": Decimal(100), "interest_receivable": Decimal(7)},
        _position("L3", date(2025, 2, 28), disbursed_on=date(2025, 1, 31), principal_paid=Decimal(25)),
        # Disbursed on the last day before the period, which is not closed for it, and on the period's first day.
        _position("L4", disbursed_on=date(2025, 2, 28), principal_disbursed=Decimal(100)),
        _position("L5", disbursed_on=date(2025, 3, 1), principal_disbursed=Decimal(100)),
    ],
    "loans": [{"loan_id": f"L{number}", "principal": Decimal(1000), "term_count": 10} for number in range(1, 6)],
    "installments": [
        _installment(1, 1, date(2022, 2, 15), 7, date(2022, 1, 15)),
        _installment(1, 2, date(2025, 3, 15), 7, date(2022, 1, 15)),
        *(
            _installment(2, number, date.fromisoformat(due_on), amount, DAY)
            for number, (due_on, amount) in enumerate(
                [
                    ("2024-02-29", 1),
                    ("2024-03-01", 2),
                    ("2025-02-28", 4),
                    ("2025-03-01", 8),
                    ("2025-03-15", 0),
                    ("2025-03-30", 16),
                    ("2025-03-31", 32),
                    ("2025-04-30", 64),
                    ("2025-05-01", 128),
                    ("2025-06-01", 0),
                ],
                start=1,
            )
        ),
        _installment(3, 1, DAY, 9, NEXT),
    ],
    "fees": [
        _fee(100),
        _fee(100, waived_on=DAY, waived_amount=Decimal(30)),
        _fee(100, paid_on=DAY, paid_amount=Decimal(20)),
        _fee(500, NEXT),
        _fee(10, waived_on=NEXT, waived_amount=Decimal(10)),
        _fee(7, paid_on=NEXT, paid_amount=Decimal(7)),
        # Without a date nothing was waived or paid.
        _fee(5, waived_amount=Decimal(2), paid_amount=Decimal(3)),
    ],
    "modifications": [
        _modification("L1", date(2025, 3, 1), 10, 13),
        _modification("L1", DAY, 13, 15),
        _modification("L1", NEXT, 15, 99),
        _modification("L2", date(2025, 2, 28), 10, 12),
    ],
    "loan_ownership": [
        {"loan_id": "L1", "investor_id": "n", "investor_name": "Harbour", "assigned_on": DAY, "removed_on": NEXT},
        {"loan_id": "L2", "investor_id": "n", "investor_name": "Harbour", "assigned_on": date(2024, 1, 1)}
        | {"removed_on": DAY},
    ],
}


@pytest.fixture(scope="module")
def loans() -> dict[str, dict]:
    rows = {name: pa.Table.from_pylist(ROWS.get(name, []), TABLES[name].arrow_schema) for name in TABLES_READ}
    read = {name: ibis.memtable(table) for name, table in rows.items()}.__getitem__
    spec = TapeSpec(name="All", portfolio_id="a", fields=FIELDS)
    found = tape_rows(spec, tape_loans(spec, read, DAY)).to_pyarrow().to_pylist()
    assert [row["loan_id"] for row in found] == ["L1", "L2", "L3", "L4", "L5"]
    return {row["loan_id"]: row for row in found}


def test_installments_of_the_period_the_year_and_the_month_to_come(loans):
    first = loans["L1"]
    # 1 to 30 March: 8 + 16. The year up to the last month end, 1 March 2024 to 28 February 2025: 2 + 4.
    assert (first["period_scheduled_principal"], first["period_scheduled_interest"]) == (24, 24_000)
    assert first["period_scheduled"] == 24_024_024
    assert first["scheduled_12m"] == 6_006
    # 40 past due; 31 March to 30 April: 32 + 64. An installment of 0.00 is none.
    assert (first["next_period_due"], first["installments_remaining"]) == (40 + 96_096, 3)
    # The installment of 30 March is not settled.
    assert first["interest_paid_through"] == date(2025, 3, 1)
    # The first installment of the first version.
    assert first["original_payment"] == 7_007


def test_fees_count_by_their_own_days(loans):
    # 100 + (100 − 30) + (100 − 20) + 10 + 7 + 5: waived and paid tomorrow, they are unpaid today.
    assert loans["L1"]["fees_unpaid"] == 272
    assert loans["L2"]["fees_unpaid"] == 0


def test_modifications_of_the_period(loans):
    first = loans["L1"]
    assert (first["modification_count"], first["last_modified_on"], first["current_term_count"]) == (2, DAY, 15)
    assert (first["period_modified"], first["period_extension_count"]) == (True, 5)
    assert (loans["L2"]["modified"], loans["L2"]["period_modified"]) == (True, False)


def test_an_owner_owns_from_the_day_of_the_assignment_to_the_day_before_the_next(loans):
    assert (loans["L1"]["investor_name"], loans["L1"]["sold_on"]) == ("Harbour", DAY)
    assert loans["L2"]["investor_name"] is None


def test_a_loan_disbursed_on_a_month_end_that_is_not_closed_has_no_data_for_it(loans):
    third = loans["L3"]
    assert (third["delinquency_history"], third["history_months"]) == ("0X" + "B" * 22, 1)
    assert (third["times_30_12m"], third["months_paid_12m"], third["paid_12m"]) == (None, None, 25)


def test_a_loan_disbursed_in_the_period_opens_with_nothing(loans):
    assert (loans["L4"]["period_opening_principal"], loans["L4"]["period_disbursed"]) == (None, None)
    assert (loans["L5"]["period_opening_principal"], loans["L5"]["period_disbursed"]) == (0, 100)


def test_a_loan_is_in_default_from_its_90th_day_past_due(loans):
    assert {name: loans[name]["account_state"] for name in ("L1", "L2", "L3")} == {
        "L1": "restructured",
        "L2": "restructured_arrears",
        "L3": "defaulted",
    }
    assert (loans["L3"]["defaulted_on"], loans["L3"]["default_amount"]) == (DAY, 107)
