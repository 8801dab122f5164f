"""What a sync adds to the lake when the source has changed rows in place, worked by hand."""

from datetime import date, datetime
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest

from lending_pipelines.sources.history import Moment, events, versions
from lending_pipelines.tables import TABLES

LAST, NOW = datetime(2025, 6, 1, 23), datetime(2025, 6, 2, 23)
MOMENT = Moment(NOW, LAST)
EARLY, TODAY = datetime(2025, 5, 1, 9), datetime(2025, 6, 2, 9)
MAY, JUNE = date(2025, 5, 1), date(2025, 6, 2)


def table(name, rows):
    schema = TABLES[name].arrow_schema
    return ibis.memtable(pa.Table.from_pylist([dict.fromkeys(schema.names) | row for row in rows], schema))


def payment(id_, principal="8.00", posted_at=EARLY, effective_on=MAY, **values):
    amounts = {"amount": Decimal("10.00"), "principal": Decimal(principal), "fees": Decimal("0.00")}
    amounts["interest"] = amounts["amount"] - amounts["principal"]
    return amounts | {
        "transaction_id": id_, "loan_id": "L1", "type": "repayment", "effective_on": effective_on,
        "posted_at": posted_at,
    } | values  # fmt: skip


def undo(id_, posted_at=TODAY, effective_on=JUNE, **values):
    return payment(
        f"{id_}~undone", type="reversal", reverses_id=id_, posted_at=posted_at, effective_on=effective_on, **values
    )


@pytest.mark.parametrize(
    ("lake", "source", "added"),
    [
        pytest.param([payment("1")], [payment("1")], [], id="the same"),
        pytest.param([], [payment("1", posted_at=TODAY)], [payment("1", posted_at=TODAY)], id="new"),
        pytest.param([], [payment("1")], [payment("1", posted_at=NOW)], id="seen late"),
        pytest.param(
            [payment("1")],
            [payment("1", "7.00")],
            [payment("1~2", "7.00", NOW), undo("1", NOW, MAY)],
            id="other portions",
        ),
        pytest.param([payment("1")], [payment("1"), undo("1")], [undo("1")], id="undone"),
        pytest.param([payment("1")], [], [undo("1", NOW, MAY)], id="gone"),
        pytest.param(
            [payment("1"), undo("1", EARLY), payment("1~2", "7.00")],
            [payment("1", "7.00"), undo("1", principal="7.00")],
            [undo("1~2", principal="7.00")],
            id="undone after other portions",
        ),
        pytest.param([payment("1"), undo("1", EARLY)], [payment("1")], [payment("1~2", posted_at=NOW)], id="back"),
    ],
)
def test_transactions(lake, source, added):
    rows = events(table("transactions", source), table("transactions", lake), MOMENT)
    expected = table("transactions", added).to_pyarrow().to_pylist()
    assert rows.order_by("transaction_id").to_pyarrow().to_pylist() == expected


def installment(number, due_on, version=1, principal="100.00", effective_on=MAY, posted_at=EARLY, loan_id="L1"):
    return {
        "loan_id": loan_id, "version": version, "number": number, "due_on": due_on, "principal": Decimal(principal),
        "interest": Decimal("1.00"), "fees": Decimal("0.00"), "effective_on": effective_on, "posted_at": posted_at,
    }  # fmt: skip


def test_a_changed_schedule_is_a_new_version_of_all_its_installments():
    july, august, september = date(2025, 7, 1), date(2025, 8, 1), date(2025, 9, 1)
    lake = [installment(1, july), installment(2, august), installment(1, july, loan_id="L2")]
    source = [installment(1, july), installment(2, september), installment(1, july, loan_id="L2")]

    rows = versions(
        table("installments", source), table("installments", lake), MOMENT, lambda loans: dict.fromkeys(loans, JUNE)
    )

    assert rows.order_by("number").to_pyarrow().to_pylist() == [
        installment(1, july, 2, effective_on=JUNE, posted_at=NOW),
        installment(2, september, 2, effective_on=JUNE, posted_at=NOW),
    ]
