"""A tape's rows and control totals, over a lake of a few loans that is worked out by hand."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest

from lending_pipelines.tables import TABLES
from lending_pipelines.tapes import (
    CATALOGUE,
    TABLES_READ,
    ControlTotal,
    TapeSpec,
    control_totals,
    tape_loans,
    tape_rows,
    tape_tables,
    tape_totals,
)

DAY, BEFORE = date(2025, 1, 31), date(2025, 1, 30)


def _position(loan_id, outstanding, *, day=DAY, portfolio="a", investor=None, currency="EUR", **more) -> dict:
    return {
        "business_date": day,
        "loan_id": loan_id,
        "portfolio_id": portfolio,
        "investor_id": investor,
        "currency": currency,
        "product_id": "P1",
        "program_id": "G1",
        "borrower_id": "B1",
        "branch_id": "X1",
        "principal_outstanding": Decimal(outstanding),
        **more,
    }


ROWS = {
    "loan_positions": [
        _position("L3", "300.00", investor="n"),
        _position("L1", "100.10", investor="n", last_payment_amount=Decimal("5.00")),
        _position("L2", "200.20", investor="s", currency="USD"),
        _position("L4", "400.40", product_id="P9", program_id=None, officer_id="S1"),
        _position("L1", "110.00", day=BEFORE, investor="n"),
        _position("L5", "500.00", portfolio="b", investor="n"),
        _position("L6", "600.00", portfolio=None, investor="n"),
    ],
    "loans": [
        {"loan_id": "L1", "principal": Decimal("1000.00"), "annual_rate": Decimal("0.125000")},
        {"loan_id": "L2", "principal": Decimal("2000.00")},
        {"loan_id": "L3", "principal": Decimal("3000.00")},
        {"loan_id": "L4", "principal": Decimal("4000.00"), "collateral_value": Decimal("4500.00")},
    ],
    "borrowers": [{"borrower_id": "B1", "segment": "retail"}],
    "products": [{"product_id": "P1", "name": "Car loan"}],
    "programs": [{"program_id": "G1", "name": "Vehicles"}],
    "branches": [{"branch_id": "X1", "name": "Main", "region": "North"}],
    "staff": [{"staff_id": "S1", "full_name": "Ann Ash"}],
    "fees": [{"loan_id": "L1", "amount": Decimal("30.00"), "assessed_on": DAY}],
}


@pytest.fixture(scope="module")
def read() -> Callable[[str], ibis.Table]:
    """A lake on DuckDB: what a row above leaves out is null, a table that has no rows there is empty."""
    rows = {name: pa.Table.from_pylist(ROWS.get(name, []), TABLES[name].arrow_schema) for name in TABLES_READ}
    tables = {name: ibis.memtable(table) for name, table in rows.items()}
    return tables.__getitem__


def _spec(*fields, **more) -> TapeSpec:
    return TapeSpec(**{"name": "Daily", "portfolio_id": "a", "fields": fields, **more})


def _rows(spec, read, day) -> ibis.Table:
    return tape_rows(spec, tape_loans(spec, read, day))


def _totals(spec, read, day) -> ibis.Table:
    return tape_totals(spec, tape_loans(spec, read, day))


def test_a_tape_has_the_portfolios_loans_of_the_day_in_order(read):
    tape = _rows(_spec("principal_outstanding", "loan_id"), read, DAY).to_pyarrow()
    assert tape.to_pylist() == [
        {"principal_outstanding": Decimal("100.10"), "loan_id": "L1"},
        {"principal_outstanding": Decimal("200.20"), "loan_id": "L2"},
        {"principal_outstanding": Decimal("300.00"), "loan_id": "L3"},
        {"principal_outstanding": Decimal("400.40"), "loan_id": "L4"},
    ]
    assert tape.schema.field("principal_outstanding").type == pa.decimal128(18, 2)


def test_a_tape_of_another_day_has_that_days_loans(read):
    rows = _rows(_spec("loan_id", "principal_outstanding"), read, BEFORE).to_pyarrow().to_pylist()
    assert rows == [{"loan_id": "L1", "principal_outstanding": Decimal("110.00")}]


def test_an_investors_tape_has_only_the_investors_loans(read):
    rows = _rows(_spec("loan_id", investor_id="n"), read, DAY).to_pyarrow().to_pylist()
    assert rows == [{"loan_id": "L1"}, {"loan_id": "L3"}]


def test_the_order_is_by_loan_wherever_the_tape_shows_it(read):
    rows = _rows(_spec("original_principal", {"field": "loan_id", "as": "id"}), read, DAY).to_pyarrow().to_pylist()
    assert [row["original_principal"] for row in rows] == [1000, 2000, 3000, 4000]


def test_fields_of_other_tables_are_joined_and_renamed(read):
    spec = _spec(
        {"field": "loan_id", "as": "Loan"},
        "original_rate",
        "collateral_value",
        "product_name",
        {"field": "program_name", "as": "Program"},
        "borrower_segment",
        "branch_region",
        "officer_name",
        allow_pii=True,
    )
    assert tape_tables(spec) == ("loan_positions", "loans", "borrowers", "products", "programs", "branches", "staff")
    rows = _rows(spec, read, DAY).to_pyarrow().to_pylist()
    assert rows[0] == {
        "Loan": "L1",
        "original_rate": Decimal("0.125000"),
        "collateral_value": None,
        "product_name": "Car loan",
        "Program": "Vehicles",
        "borrower_segment": "retail",
        "branch_region": "North",
        "officer_name": None,
    }
    # A product and a program that are not there leave the loan in the tape.
    assert (rows[3]["Loan"], rows[3]["product_name"], rows[3]["Program"]) == ("L4", None, None)
    assert rows[3]["officer_name"] == "Ann Ash"


def test_if_any_fee_is_recorded_a_loan_without_a_fee_owes_none(read):
    rows = _rows(_spec("loan_id", "fees_unpaid"), read, DAY).to_pyarrow().to_pylist()
    assert {row["loan_id"]: row["fees_unpaid"] for row in rows} == {"L1": 30, "L2": 0, "L3": 0, "L4": 0}


def test_only_the_tables_that_are_needed_are_read(read):
    spec = _spec("loan_id", "principal_outstanding")
    assert tape_tables(spec) == ("loan_positions",)
    _rows(spec, {"loan_positions": read("loan_positions")}.__getitem__, DAY)


def test_every_field_of_the_catalogue_can_be_in_a_tape_as_its_column_says(read):
    spec = _spec(*CATALOGUE, allow_pii=True)
    tape = _rows(spec, read, DAY)
    assert tape.columns == tuple(column.name for column in spec.columns)
    for column in spec.columns:
        assert tape[column.name].type().copy(nullable=True) == ibis.dtype(column.type)
    assert len(tape.to_pyarrow()) == 4


def test_control_totals_are_per_currency_and_count_each_loan_once(read):
    spec = _spec(
        "loan_id",
        {"field": "principal_outstanding", "as": "UPB"},
        "principal_outstanding",
        "last_payment_amount",
        "original_principal",
        "annual_rate",
    )
    totals = control_totals(_totals(spec, read, DAY).to_pyarrow())
    assert totals == (
        ControlTotal(
            currency="EUR",
            row_count=3,
            amounts={
                # 100.10 + 300.00 + 400.40
                "principal_outstanding": Decimal("800.50"),
                "last_payment_amount": Decimal("5.00"),
                "original_principal": Decimal("8000.00"),
            },
        ),
        ControlTotal(
            currency="USD",
            row_count=1,
            amounts={
                "principal_outstanding": Decimal("200.20"),
                "last_payment_amount": None,
                "original_principal": Decimal("2000.00"),
            },
        ),
    )


def test_a_tape_without_loans_or_money_has_totals_too(read):
    assert control_totals(_totals(_spec("loan_id", portfolio_id="z"), read, DAY).to_pyarrow()) == ()
    assert _rows(_spec("loan_id", portfolio_id="z"), read, DAY).to_pyarrow().num_rows == 0
    (euro,) = control_totals(_totals(_spec("loan_id", investor_id="n"), read, DAY).to_pyarrow())
    assert euro == ControlTotal(currency="EUR", row_count=2, amounts={})
