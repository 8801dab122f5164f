"""What a correction changes is listed loan by loan and field by field; a tape out of order is not compared."""

import pytest

from lending_pipelines.tapes import Comparison, TapeChanges, TapeError

TYPES = {"id": "string", "balance": "decimal(18, 2)", "paid_on": "date", "late": "boolean"}


def _compare(before, after, old_types=TYPES, new_types=TYPES):
    comparison = Comparison(old_types, "id", new_types, "id")
    rows = comparison.rows(iter(before), iter(after)).read_all().to_pylist()
    return [tuple(row.values()) for row in rows], comparison.summary("x.csv", "aa")


def _row(loan_id, balance="1.00", paid_on="2025-01-31", late="false"):
    return {"id": loan_id, "balance": balance, "paid_on": paid_on, "late": late}


def test_loans_that_come_go_and_change_are_listed_in_order():
    before = [_row("A"), _row("B"), _row("C", paid_on=None), _row("E")]
    after = [_row("B", balance="2.50"), _row("C", late="true"), _row("D"), _row("E")]
    listed, summary = _compare(before, after)
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
    from datetime import datetime

    as_read_from_a_workbook = [{"id": "A", "balance": 1.0, "paid_on": datetime(2025, 1, 31), "late": False}]
    listed, summary = _compare([_row("A")], as_read_from_a_workbook)
    assert listed == []
    assert summary.loans_changed == 0


def test_columns_that_only_one_tape_has_are_named():
    new_types = {"id": "string", "balance": "decimal(18, 2)", "status": "string"}
    listed, summary = _compare([_row("A")], [{"id": "A", "balance": "1.00", "status": "active"}], TYPES, new_types)
    assert listed == []
    assert (summary.columns_added, summary.columns_removed) == (("status",), ("paid_on", "late"))


@pytest.mark.parametrize("loans", [("B", "A"), ("A", "A")])
def test_a_tape_out_of_order_is_not_compared(loans):
    with pytest.raises(TapeError, match="a tape cannot be compared: loan A follows"):
        _compare([_row(loan_id) for loan_id in loans], [_row("A")])
