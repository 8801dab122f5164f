"""Payment history, the reporting period, schedules, modifications and losses, of a few loans worked out by hand."""

from datetime import date
from decimal import Decimal

import ibis
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lending_pipelines.metrics.payment_history import month_ends
from lending_pipelines.tables import TABLES
from lending_pipelines.tables.frequencies import PAYMENT_FREQUENCIES
from lending_pipelines.tapes import (
    CATALOGUE,
    TABLES_READ,
    TapeError,
    TapeSpec,
    checked_rows,
    tape_loans,
    tape_rows,
    tape_totals,
)
from lending_pipelines.tapes.joined_fields import original_term_months
from lending_pipelines.tapes.parts import month_later

DAY = date(2025, 3, 31)
ENDS = month_ends(DAY, 25)
MONEY = [column.name for column in TABLES["loan_positions"].columns if column.type == "decimal(18, 2)"]


def _position(loan_id, day=DAY, *, dpd=0, status="active", disbursed_on=date(2022, 1, 15), **money) -> dict:
    row = dict.fromkeys(MONEY, Decimal(0)) | {name: Decimal(value) for name, value in money.items()}
    return row | {
        "business_date": day,
        "loan_id": loan_id,
        "portfolio_id": "a",
        "investor_id": "n" if loan_id == "L1" else None,
        "borrower_id": f"b-{loan_id}",
        "product_id": "P",
        "currency": "EUR",
        "status": status,
        "days_past_due": dpd,
        "disbursed_on": disbursed_on,
        "matures_on": date(2027, 1, 31),
        "annual_rate": Decimal("0.085000"),
        "oldest_due_on": date(2025, 2, 28) if dpd else None,
        "last_payment_on": date(2025, 3, 20),
    }


def _history(loan_id, late: dict[int, int], gaps=(), **more) -> list[dict]:
    """A loan's month ends, days past due by how many months ago, but for those in `gaps`."""
    return [_position(loan_id, end, dpd=late.get(n, 0), **more) for n, end in enumerate(ENDS) if n and n not in gaps]


ROWS = {
    "loan_positions": [
        # 35 days late two months ago, 65 one month ago, 95 now, and 31 fifteen months ago; pays 10 every month.
        _position("L1", dpd=95, principal_outstanding="900", principal_paid="250", past_due_amount="40"),
        *(
            row | {"principal_paid": Decimal(250 - 10 * n), "principal_outstanding": Decimal(900 + 10 * n)}
            for n, row in zip(range(1, 25), _history("L1", {1: 65, 2: 35, 15: 31}), strict=True)
        ),
        # One month end, four months ago, is not in the lake.
        _position("L2", principal_outstanding="100"),
        *_history("L2", {}, gaps=(4,), principal_outstanding="100"),
        # Disbursed in February: closed now.
        _position("L3", status="closed", disbursed_on=date(2025, 2, 10), principal_paid="500", interest_paid="3"),
        _position("L3", ENDS[1], disbursed_on=date(2025, 2, 10), principal_outstanding="500"),
        # Charged off on 10 March, of which 50 came back.
        _position("L4", status="charged_off", principal_charged_off="200", recovered="50"),
        *_history("L4", {1: 200}, principal_outstanding="200"),
        # Nothing has happened to it for long.
        _position("L5", status="closed", principal_paid="70"),
        *_history("L5", {}, status="closed", principal_paid="70"),
    ],
    "loans": [
        {
            "loan_id": f"L{n}",
            "principal": Decimal(1000),
            "annual_rate": Decimal("0.100000"),
            "term_count": 60,
            "payment_frequency": frequency,
            "collateral_value": Decimal(1250),
            "region": "North",
        }
        for n, frequency in ((1, "monthly"), (2, "weekly"), (3, "quarterly"), (4, "monthly"), (5, "bullet"))
    ],
    "installments": [
        {
            "loan_id": "L1",
            "version": version,
            "number": number,
            "due_on": due_on,
            "principal": Decimal(principal),
            "interest": Decimal(5),
            "fees": Decimal(1),
            "effective_on": date(2022 + version, 1, 15),
        }
        for version, principal in ((1, 30), (2, 20))
        for number, due_on in enumerate([date(2025, 1, 31), date(2025, 2, 28), DAY, date(2025, 4, 30)], start=1)
    ],
    "modifications": [
        {
            "modification_id": "M1",
            "loan_id": "L1",
            "type": "rate_reduction",
            "effective_on": date(2024, 1, 15),
        },
        {
            "modification_id": "M2",
            "loan_id": "L1",
            "type": "term_extension",
            "effective_on": date(2025, 3, 5),
            "before_term": 60,
            "after_term": 66,
        },
    ],
    "transactions": [
        {
            "transaction_id": f"T{n}",
            "loan_id": "L4",
            "type": type_,
            "effective_on": on,
            "amount": Decimal(amount),
            "principal": Decimal(amount),
            "interest": Decimal(0),
            "fees": Decimal(0),
        }
        for n, (type_, on, amount) in enumerate(
            [("charge_off", date(2025, 3, 10), 200), ("recovery", date(2025, 3, 25), 50)]
        )
    ],
    "loan_ownership": [
        {
            "investor_id": "n",
            "investor_name": "Harbour",
            "loan_id": "L1",
            "assigned_on": date(2024, 6, 1),
            "purchase_price": Decimal("880.50"),
        }
    ],
    "portfolio_membership": [
        {"portfolio_id": "a", "portfolio_name": "Pool A", "loan_id": "L1", "assigned_on": date(2024, 1, 1)}
    ],
}


@pytest.fixture(scope="module")
def read():
    rows = {name: pa.Table.from_pylist(ROWS.get(name, []), TABLES[name].arrow_schema) for name in TABLES_READ}
    return {name: ibis.memtable(table) for name, table in rows.items()}.__getitem__


def _rows(spec, read, day) -> ibis.Table:
    return tape_rows(spec, tape_loans(spec, read, day))


def _totals(spec, read, day) -> ibis.Table:
    return tape_totals(spec, tape_loans(spec, read, day))


@pytest.fixture(scope="module")
def loans(read) -> dict[str, dict]:
    spec = TapeSpec(name="All", portfolio_id="a", fields=list(CATALOGUE), allow_pii=True)
    return {row["loan_id"]: row for row in _rows(spec, read, DAY).to_pyarrow().to_pylist()}


def test_month_ends_and_a_month_later():
    assert month_ends(date(2024, 3, 30), 3) == [date(2024, 2, 29), date(2024, 1, 31), date(2023, 12, 31)]
    assert month_ends(DAY, 2) == [DAY, date(2025, 2, 28)]
    assert month_later(date(2025, 2, 28)) == DAY
    assert month_later(date(2025, 1, 30)) == date(2025, 2, 28)
    assert month_later(date(2025, 12, 15)) == date(2026, 1, 15)


def test_the_history_is_a_character_a_month_end(loans):
    assert loans["L1"]["delinquency_history"] == "321" + "0" * 12 + "1" + "0" * 8
    assert loans["L2"]["delinquency_history"] == "0000X" + "0" * 19
    assert loans["L3"]["delinquency_history"] == "E0" + "B" * 22
    assert loans["L4"]["delinquency_history"] == "L6" + "0" * 22
    assert [loans[name]["history_months"] for name in ("L1", "L2", "L3")] == [24, 23, 2]
    assert loans["L1"]["last_late_on"] == DAY
    assert loans["L4"]["last_late_on"] == ENDS[1]
    assert loans["L2"]["last_late_on"] is None


def test_times_late_are_counted_and_are_no_data_where_a_month_end_is_missing(loans):
    times = {name: loans["L1"][name] for name in loans["L1"] if name.startswith("times_")}
    assert times == {
        "times_30_12m": 1,
        "times_30_24m": 2,
        "times_60_12m": 1,
        "times_60_24m": 1,
        "times_90_12m": 1,
        "times_90_24m": 1,
    }
    assert all(loans["L2"][name] is None for name in times)
    # Before it was disbursed a loan was not late.
    assert all(loans["L3"][name] == 0 for name in times)
    # Charged off now, 200 days late the month before.
    assert (loans["L4"]["times_90_12m"], loans["L4"]["times_30_12m"]) == (1, 0)


def test_payments_of_the_last_12_months(loans):
    # 10 a month.
    assert (loans["L1"]["paid_12m"], loans["L1"]["months_paid_12m"]) == (Decimal(120), 12)
    assert (loans["L3"]["paid_12m"], loans["L3"]["months_paid_12m"]) == (Decimal(503), 1)
    assert loans["L2"]["months_paid_12m"] is None


def test_the_period_is_the_difference_to_the_month_end_before(loans):
    first = loans["L1"]
    assert (first["period_begins_on"], first["period_opening_principal"]) == (date(2025, 3, 1), Decimal(910))
    assert (first["period_principal_paid"], first["period_paid"]) == (Decimal(10), Decimal(10))
    assert (loans["L3"]["period_opening_principal"], loans["L3"]["period_paid"]) == (Decimal(500), Decimal(503))
    assert (loans["L4"]["period_charged_off"], loans["L4"]["period_recovered"]) == (Decimal(200), Decimal(50))
    assert {name: row["in_period"] for name, row in loans.items()} == {
        "L1": True,
        "L2": True,
        "L3": True,
        "L4": True,
        "L5": False,
    }


def test_without_the_month_end_before_the_period_is_no_data(read):
    spec = TapeSpec(
        name="P", portfolio_id="a", fields=["loan_id", "period_opening_principal", "period_paid", "in_period"]
    )
    one_day = read("loan_positions").filter(lambda t: t.business_date == DAY)
    tables = {"loan_positions": one_day}
    rows = _rows(spec, tables.__getitem__, DAY).to_pyarrow().to_pylist()
    assert all(row["period_opening_principal"] is None and row["period_paid"] is None for row in rows)
    assert all(row["in_period"] for row in rows)


def test_the_schedule_in_force_says_what_was_due_and_what_is_next(loans):
    first = loans["L1"]
    # Version 2: 20 + 5 an installment, with a fee of 1.
    assert first["original_payment"] == Decimal(35)
    assert (first["period_scheduled_principal"], first["period_scheduled_interest"]) == (Decimal(20), Decimal(5))
    assert (first["period_scheduled"], first["scheduled_12m"]) == (Decimal(26), Decimal(75))
    # 40 past due and 25 on 30 April.
    assert (first["next_period_due"], first["installments_remaining"]) == (Decimal(65), 1)
    # The installment of 28 February is not settled.
    assert first["interest_paid_through"] == date(2025, 1, 31)
    assert (loans["L4"]["period_scheduled"], loans["L4"]["installments_remaining"]) == (None, 0)


def test_a_loan_that_owes_only_interest_has_no_installment_to_come(read):
    # Its schedule has 25 on 30 April, but the principal is repaid: only the 5 past due are owed.
    spec = TapeSpec(name="P", portfolio_id="a", fields=["loan_id", "next_period_due", "installments_remaining"])
    rows = [_position("L1", dpd=31, principal_paid="900", past_due_amount="5")]
    positions = ibis.memtable(pa.Table.from_pylist(rows, TABLES["loan_positions"].arrow_schema))
    tables = {name: read(name) for name in TABLES_READ} | {"loan_positions": positions}
    (row,) = _rows(spec, tables.__getitem__, DAY).to_pyarrow().to_pylist()
    assert (row["next_period_due"], row["installments_remaining"]) == (Decimal(5), 0)


def test_original_terms_in_months_follow_the_payment_frequency():
    # 24 payments: 24 weeks are 24 × 12 ÷ 52 = 5.5 months, 24 times four weeks 24 × 12 ÷ 13 = 22.2, 24 half months 12.
    months = {"weekly": 6, "biweekly": 11, "semimonthly": 12, "four_weekly": 22, "monthly": 24, "bimonthly": 48}
    months |= {"quarterly": 72, "semiannual": 144, "annual": 288}
    # Without a period: from January 2022 to January 2027.
    months |= {"bullet": 60, "irregular": 60}
    assert set(months) == set(PAYMENT_FREQUENCIES)
    rows = pa.table(
        {
            "payment_frequency": list(months),
            "term_count": [24] * len(months),
            "disbursed_on": [date(2022, 1, 15)] * len(months),
            "matures_on": [date(2027, 1, 31)] * len(months),
        }
    )
    loans = ibis.memtable(rows)
    found = loans.select("payment_frequency", months=original_term_months(loans)).to_pyarrow().to_pylist()
    assert {row["payment_frequency"]: row["months"] for row in found} == months


def test_terms_modifications_and_sales(loans):
    first = loans["L1"]
    assert (first["original_term_months"], first["months_on_book"], first["remaining_months"]) == (60, 38, 22)
    # 60 weeks are 13.8 months; 60 quarters 180; a bullet runs from January 2022 to January 2027.
    assert [loans[name]["original_term_months"] for name in ("L2", "L3", "L5")] == [14, 180, 60]
    assert (first["original_ltv"], first["current_ltv"]) == (0.8, 0.72)
    assert first["months_past_due"] == 1
    assert (first["modified"], first["modification_count"]) == (True, 2)
    assert (first["last_modification_type"], first["last_modified_on"]) == ("term_extension", date(2025, 3, 5))
    assert (first["period_modified"], first["period_extension_count"], first["current_term_count"]) == (True, 6, 66)
    assert (loans["L2"]["modified"], loans["L2"]["modification_count"], loans["L2"]["period_modified"]) == (
        False,
        0,
        False,
    )
    assert (first["investor_name"], first["purchase_price"], first["sold_on"]) == (
        "Harbour",
        Decimal("880.50"),
        date(2024, 6, 1),
    )
    assert (first["portfolio_name"], first["pool_added_on"]) == ("Pool A", date(2024, 1, 1))


def test_losses_and_account_state(loans):
    assert {name: row["account_state"] for name, row in loans.items()} == {
        "L1": "defaulted",
        "L2": "performing",
        "L3": "redeemed",
        "L4": "charged_off",
        "L5": "redeemed",
    }
    lost = loans["L4"]
    assert (lost["charged_off_on"], lost["last_recovered_on"]) == (date(2025, 3, 10), date(2025, 3, 25))
    assert (lost["default_amount"], lost["net_loss"], lost["zero_balance_on"]) == (200, 150, date(2025, 3, 10))
    # 95 days late on 31 March: 90 on the 26th.
    assert (loans["L1"]["defaulted_on"], loans["L1"]["default_amount"]) == (date(2025, 3, 26), Decimal(900))
    assert loans["L2"]["default_amount"] is None
    # No fee was ever recorded: no data, not zero.
    assert all(row["fees_unpaid"] is None for row in loans.values())


ESMA_VALUES = {"AUTL1": "DEAL1", "AUTL82": "ACME", "AUTL83": "529900T8BM49AURSDO55", "AUTL84": "DE"}


def test_a_loan_is_in_arrears_from_its_first_day_past_due():
    # Under OTS a loan whose payment of 28 February is missed is 1 day past due on 29 March: 1 month past due by then.
    day = date(2025, 3, 29)
    rows = [_position("L1", day, dpd=1, principal_outstanding="100"), _position("L2", day, principal_outstanding="100")]

    def read(table: str) -> ibis.Table:
        values = rows if table == "loan_positions" else ROWS["loans"] if table == "loans" else []
        return ibis.memtable(pa.Table.from_pylist(values, schema=TABLES[table].arrow_schema))

    spec = TapeSpec(name="Late", fields=["loan_id", "account_state", "months_past_due"], portfolio_id="a")
    found = {row["loan_id"]: row for row in _rows(spec, read, day).to_pyarrow().to_pylist()}
    assert (found["L1"]["account_state"], found["L1"]["months_past_due"]) == ("arrears", 1)
    assert (found["L2"]["account_state"], found["L2"]["months_past_due"]) == ("performing", 0)


def _template(read, **more) -> list[dict]:
    spec = TapeSpec(name="E", portfolio_id="a", template="esma_annex5_auto", allow_pii=True, **more)
    rows = _rows(spec, read, DAY).to_pyarrow()
    return checked_rows(spec, rows.to_reader()).read_all().to_pylist()


def test_a_template_writes_values_as_its_standard_does(read):
    rows = _template(read, template_values=ESMA_VALUES | {"AUTL10": {"North": "DE300"}})
    # The loan to which nothing happens any more is not reported.
    assert [row["AUTL2"] for row in rows] == ["L1", "L2", "L3", "L4"]
    first, _, closed, lost = rows
    written = {
        "AUTL1": "DEAL1",
        "AUTL4": "B-L1",
        "AUTL6": "2025-03-31",
        "AUTL8": "ND5",
        "AUTL10": "DE300",
        "AUTL12": "ND1",
        "AUTL26": "60",
        "AUTL28": "EUR",
        "AUTL30": "900.00",
        "AUTL34": "MNTH",
        "AUTL40": "8.5000",
        "AUTL59": "80.0000",
        "AUTL68": "40.00",
        "AUTL69": "95",
        "AUTL70": "DFLT",
        "AUTL71": "PDXX",
        "AUTL72": "900.00",
    }
    assert {code: first[code] for code in written} == written
    assert (closed["AUTL9"], closed["AUTL70"], closed["AUTL71"], closed["AUTL72"]) == ("2025-03-20", "RDMD", "ND5", "0")
    assert (lost["AUTL70"], lost["AUTL73"], lost["AUTL74"], lost["AUTL76"]) == ("DFLT", "2025-03-10", "150.00", "50.00")


def test_a_template_sums_the_amounts_that_it_is_made_of(read):
    spec = TapeSpec(
        name="E", portfolio_id="a", template="esma_annex5_auto", template_values=ESMA_VALUES, allow_pii=True
    )
    (total,) = _totals(spec, read, DAY).to_pyarrow().to_pylist()
    # 900 + 100 + 0 + 0.
    assert (total["row_count"], total["principal_outstanding"]) == (4, Decimal(1000))


def test_a_value_that_its_standard_does_not_know_names_the_loan(read):
    rows = read("loan_positions").mutate(currency=ibis.literal("EURO"))
    tables = {name: read(name) for name in TABLES_READ} | {"loan_positions": rows}
    with pytest.raises(
        TapeError, match=r"loan L1 has 'EURO' in AUTL28 \(Currency Denomination\), whose format is CURR"
    ):
        _template(tables.__getitem__, template_values=ESMA_VALUES)


def test_every_value_of_a_plain_tape_passes_unchecked(read):
    spec = TapeSpec(name="P", portfolio_id="a", fields=["loan_id"])
    rows = _rows(spec, read, DAY).to_pyarrow()
    assert (
        pc.equal(checked_rows(spec, rows.to_reader()).read_all()["loan_id"], rows["loan_id"]).to_pylist() == [True] * 5
    )
