"""Ratios and bands at their edges, charge-offs against the roll-forward of positions, reversals of payments."""

from datetime import date
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest
from book import Book

from lending_pipelines.metrics import payments, ratios, revenue

_PERIODS = {
    "number": "int64",
    "opening": "date",
    "first": "date",
    "last": "date",
    "days": "int64",
    "closed_days": "int64",
}


def value(expression):
    found = ibis.duckdb.connect().to_pyarrow(expression)
    return found.to_pylist() if isinstance(found, pa.Table) else found.as_py()


def periods(*rows):
    columns = pa.schema([(name, {"int64": pa.int64(), "date": pa.date32()}[kind]) for name, kind in _PERIODS.items()])
    return ibis.memtable(pa.Table.from_pylist([dict(zip(_PERIODS, row, strict=True)) for row in rows], schema=columns))


@pytest.mark.parametrize(
    ("rate", "width", "low"),
    [
        ("0.050000", 5, "0.05"),
        ("0.049999", 5, "0.00"),
        ("0.070000", 7, "0.07"),
        ("0.290000", 1, "0.29"),
        ("0", 5, "0"),
        ("-0.010000", 5, "-0.05"),
    ],
)
def test_a_rate_lies_in_the_band_that_begins_at_or_below_it(rate, width, low):
    assert value(revenue.rate_from(ibis.literal(Decimal(rate), "decimal(12, 8)"), width)) == Decimal(low)


def test_a_share_of_a_total_with_an_unknown_part_is_not_known():
    rows = pa.table(
        {"currency": ["EUR", "EUR", "USD", "USD"], "amount": pa.array([1, 3, 1, None], pa.decimal128(18, 2))}
    )
    shared = ratios.with_share(ibis.memtable(rows), "amount").order_by("currency", "amount").to_pyarrow()
    assert shared["share"].to_pylist() == [0.25, 0.75, None, None]


def test_charge_offs_are_what_the_roll_forward_leaves():
    book = Book()
    for loan_id in ("L1", "L2"):
        book.loan(loan_id, "2025-01-01", "100.00", [("2025-02-01", "50.00", "5.00"), ("2025-03-01", "50.00", "5.00")])
    book.txn("L1", "repayment", "2025-02-03", "30.00", "5.00")
    book.txn("L1", "charge_off", "2025-02-10", "70.00", "4.00")
    undone = book.txn("L2", "charge_off", "2025-02-10", "100.00")
    book.reverse(undone, "2025-02-12")
    book.txn("L1", "recovery", "2025-02-14", "10.00", "1.00")
    positions = book.memo("2025-01-31", "2025-02-15")
    loan_days = revenue.loan_days(
        positions, positions.filter(positions.business_date == date(2025, 2, 15)), [], revenue.LOSSES
    )
    february = periods((0, date(2025, 1, 31), date(2025, 2, 1), date(2025, 2, 15), 15, 15))

    lost = book.backend.to_pyarrow(revenue.losses(loan_days, february, ["loan_id"]).order_by("loan_id")).to_pylist()

    # L2's was undone; the balance of L1 was 100 on two days and 70 on seven, that of L2 nothing on two.
    assert [(str(row["charged_off"]), str(row["recoveries"]), str(row["average_balance"])) for row in lost] == [
        ("70.00", "11.00", "46.00"),
        ("0.00", "0.00", "86.67"),
    ]
    ends = {(str(row["business_date"]), row["loan_id"]): row for row in book.backend.to_pyarrow(positions).to_pylist()}
    for row in lost:
        opening, closing = ends["2025-01-31", row["loan_id"]], ends["2025-02-15", row["loan_id"]]
        left = opening["principal_outstanding"] - (closing["principal_paid"] - opening["principal_paid"])
        assert row["charged_off"] == left - closing["principal_outstanding"]


def test_interest_of_a_currency_is_added_over_its_products():
    start, end = date(2025, 1, 31), date(2025, 2, 1)
    rows = [
        (start, "P1", "10.00", "8.00", "2.00", "100.00"),
        (start, "P2", "20.00", "20.00", "0.00", "200.00"),
        (end, "P1", "11.00", "9.00", "2.00", "100.00"),
        (end, "P2", "22.00", "20.00", "2.00", "200.00"),
    ]
    names = ("business_date", "product_id", *revenue.INTEREST)
    days = pa.table([list(column) for column in zip(*rows, strict=True)], names=names)
    days = ibis.memtable(days).mutate(currency=ibis.literal("USD"))
    daily = days.mutate(**{name: days[name].cast("decimal(18, 2)") for name in revenue.INTEREST})
    (row,) = value(revenue.interest(daily, periods((0, start, end, end, 1, 1)), ["currency"]))
    # Earned 33 − 30, collected 29 − 28.
    assert [str(row[name]) for name in ("earned", "collected", "variance", "receivable", "average_balance")] == [
        "3.00",
        "1.00",
        "-2.00",
        "4.00",
        "300.00",
    ]


def _position(loan_id, on, status, recovered="0.00"):
    return {"business_date": on, "loan_id": loan_id, "status": status, "recovered": Decimal(recovered)}


def _positions(*rows):
    columns = {"business_date": pa.date32(), "loan_id": pa.string(), "status": pa.string()}
    columns["recovered"] = pa.decimal128(18, 2)
    return ibis.memtable(pa.Table.from_pylist(list(rows), schema=pa.schema(columns)))


def test_loans_out_of_scope_are_not_counted_as_active():
    start, end = date(2025, 1, 31), date(2025, 2, 28)
    positions = _positions(
        _position("L1", end, "active"),
        _position("L2", end, "active"),
        _position("L3", end, "closed"),
        _position("L3", start, "active"),
        _position("L4", end, "active"),
        _position("out_of_scope", end, "active"),
    )
    loans = ibis.memtable({"loan_id": ["L1", "L2", "L3", "L4"], "currency": ["USD", "USD", "USD", "EUR"]})
    february = periods((0, start, date(2025, 2, 1), end, 28, 28))
    active = revenue.active_loans(positions, loans, february, ["currency"]).order_by("currency")
    assert value(active) == [
        {"number": 0, "currency": "EUR", "active_loans": 1},
        {"number": 0, "currency": "USD", "active_loans": 2},
    ]


def test_recoveries_of_all_loans_charged_off_in_a_period_are_added():
    start, end, observed = date(2025, 1, 31), date(2025, 2, 28), date(2025, 6, 30)
    off = [("L1", "10.00"), ("L2", "5.50"), ("before", "7.00"), ("out_of_scope", "9.00")]
    positions = _positions(
        _position("before", start, "charged_off", "1.00"),
        *(_position(loan_id, end, "charged_off", "1.00") for loan_id, _ in off),
        *(_position(loan_id, observed, "charged_off", recovered) for loan_id, recovered in off),
    )
    loans = ibis.memtable({"loan_id": ["L1", "L2", "before"], "currency": ["USD"] * 3})
    february = periods((0, start, date(2025, 2, 1), end, 28, 28))
    recovered = revenue.recovered_since(positions, loans, february, ["currency"], observed)
    # 10.00 + 5.50 by June. The loan charged off before February and the loan out of scope do not count.
    assert value(recovered) == [{"number": 0, "currency": "USD", "recovered_since": Decimal("15.50")}]


def test_loan_volume_is_the_contractual_principal_of_the_loans_disbursed_in_each_period():
    loans = ibis.memtable(
        pa.table(
            {
                "loan_id": ["L1", "L2", "L3", "L4"],
                "currency": ["USD", "USD", "USD", "EUR"],
                "disbursed_on": [date(2025, 1, 31), date(2025, 2, 1), date(2025, 2, 28), date(2025, 2, 28)],
            }
        )
    )
    principal = pa.array([Decimal("100.00"), Decimal("20.00"), Decimal("3.50"), Decimal("7.00")], pa.decimal128(18, 2))
    contracts = ibis.memtable(pa.table({"loan_id": ["L1", "L2", "L3", "L4"], "principal": principal}))
    february = periods((0, date(2025, 1, 31), date(2025, 2, 1), date(2025, 2, 28), 28, 28))
    volume = revenue.loan_volume(contracts, loans, february, ["currency"]).order_by("currency")
    # Without L1, which was disbursed the day before.
    assert [(row["currency"], str(row["loan_volume"]), row["loans_disbursed"]) for row in value(volume)] == [
        ("EUR", "7.00", 1),
        ("USD", "23.50", 2),
    ]


def test_a_reversed_reversal_is_a_reversal_that_comes_in_by_the_channel_of_its_root():
    book = Book()
    book.loan("L1", "2025-01-01", "100.00", [("2025-02-01", "100.00", "5.00")])
    paid = book.txn("L1", "repayment", "2025-02-01", "100.00", "5.00")
    book.rows["transactions"][-1]["channel"] = "card"
    book.reverse(book.reverse(paid, "2025-02-02"), "2025-02-03")
    loans = ibis.memtable({"loan_id": ["L1"], "currency": ["USD"]})

    rows = payments.payments(book.read("transactions"), loans, date(2025, 2, 1), date(2025, 2, 28))

    found = book.backend.to_pyarrow(rows.order_by("paid_on")).to_pylist()
    assert [(row["kind"], row["channel"], str(row["amount"])) for row in found] == [
        ("repayment", "card", "105.00"),
        ("reversal", "card", "-105.00"),
        ("reversal", "card", "105.00"),
    ]
