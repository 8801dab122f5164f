"""What a correction changes is listed loan by loan and field by field; a tape out of order is not compared."""

import pyarrow as pa
import pytest

from lending_pipelines.tapes import Comparison, TapeChanges, TapeError

TYPES = {"id": "string", "balance": "decimal(18, 2)", "paid_on": "date", "late": "boolean"}


def _batches(rows, size):
    schema = pa.schema([(name, pa.string()) for name in rows[0]])
    return iter(pa.Table.from_pylist(rows, schema).to_batches(max_chunksize=size))


def _compare(before, after, old_types=TYPES, new_types=TYPES, sizes=(100, 100)):
    comparison = Comparison(old_types, "id", new_types, "id")
    batches = [_batches(rows, size) if rows else iter(()) for rows, size in zip((before, after), sizes, strict=True)]
    rows = comparison.rows(*batches).read_all().to_pylist()
    return [tuple(row.values()) for row in rows], comparison.summary("x.csv", "aa")


def _row(loan_id, balance="1.00", paid_on="2025-01-31", late="false"):
    return {"id": loan_id, "balance": balance, "paid_on": paid_on, "late": late}


@pytest.mark.parametrize("sizes", [(100, 100), (1, 3), (2, 1)])
def test_loans_that_come_go_and_change_are_listed_in_order(sizes):
    before = [_row("A"), _row("B"), _row("C", paid_on=None), _row("E")]
    after = [_row("B", balance="2.50"), _row("C", late="true"), _row("D"), _row("E")]
    listed, summary = _compare(before, after, sizes=sizes)
    assert listed == [
        ("removed", "A", None, None, None),
        ("changed", "B", "balance", "1", "2.5"),
        ("changed", "C", "paid_on", None, "2025-01-31"),
        ("changed", "C", "late", "false", "true"),
        ("added", "D", None, None, None),
    ]
    assert summary == TapeChanges(
        file_name="x.csv",
        sha256="aa",
        loans_added=1,
        loans_removed=1,
        loans_changed=2,
        fields={"balance": 1, "paid_on": 1, "late": 1},
        columns_added=(),
        columns_removed=(),
    )


def test_equal_values_in_another_format_are_no_change():
    as_read_from_a_workbook = [_row("A", balance="1.0", paid_on="2025-01-31 00:00:00", late="False")]
    listed, summary = _compare([_row("A")], as_read_from_a_workbook)
    assert listed == []
    assert summary.loans_changed == 0


def test_columns_that_only_one_tape_has_are_named():
    new_types = {"id": "string", "balance": "decimal(18, 2)", "status": "string"}
    listed, summary = _compare([_row("A")], [{"id": "A", "balance": "1.00", "status": "active"}], TYPES, new_types)
    assert listed == []
    assert (summary.columns_added, summary.columns_removed) == (("status",), ("paid_on", "late"))


def test_all_loans_of_a_tape_come_when_there_were_none_and_go_when_none_are_left():
    loans = [_row("A"), _row("B")]
    came, _ = _compare([], loans, sizes=(1, 1))
    assert came == [("added", "A", None, None, None), ("added", "B", None, None, None)]
    went, summary = _compare(loans, [])
    assert went == [("removed", "A", None, None, None), ("removed", "B", None, None, None)]
    assert (summary.loans_added, summary.loans_removed) == (0, 2)


@pytest.mark.parametrize("size", [100, 1])
@pytest.mark.parametrize("loans", [("B", "A"), ("A", "A")])
def test_a_tape_out_of_order_is_not_compared(loans, size):
    with pytest.raises(TapeError, match="a tape cannot be compared: loan A comes after"):
        _compare([_row(loan_id) for loan_id in loans], [_row("A")], sizes=(size, size))
