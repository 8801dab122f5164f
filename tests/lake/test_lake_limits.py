"""Amounts beyond the largest that tables take: the error names the table, column, row and amount."""

from datetime import date
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest

from lending_pipelines.errors import LendingError
from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.lake.limits import AmountTooLarge, amounts_in_range
from lending_pipelines.metrics.delinquency import aging_buckets
from lending_pipelines.metrics.money import money
from lending_pipelines.tables import TABLES

DAY = date(2025, 1, 31)


@pytest.fixture
def lake(tmp_path):
    engine = DuckDBEngine(memory_limit="1GB", threads=1)
    yield Lake(str(tmp_path / "lake"), engine)
    engine.close()


def positions(*balances):
    """Active loans L1, L2, … in rial, with these balances."""
    rows = [
        {
            "business_date": DAY,
            "loan_id": f"L{number}",
            "currency": "IRR",
            "status": "active",
            "bucket": "current",
            "principal_outstanding": Decimal(balance),
            "past_due_amount": Decimal(0),
        }
        for number, balance in enumerate(balances, 1)
    ]
    return ibis.memtable(pa.Table.from_pylist(rows, schema=TABLES["loan_positions"].arrow_schema))


def test_a_sum_beyond_the_largest_amount_is_named_by_row(lake):
    # 9,000,000,000,000,000.00 twice
    rows = aging_buckets(positions("9000000000000000.00", "9000000000000000.00"))
    with pytest.raises(AmountTooLarge) as refused:
        lake.replace_days("aging_buckets", rows, DAY, DAY)
    assert str(refused.value) == (
        "aging_buckets.principal_outstanding is 18,000,000,000,000,000.00 (business_date=2025-01-31, scope=all, "
        "scope_id=*, currency=IRR, bucket=current): the largest allowed amount is 9,999,999,999,999,999.99"
    )
    assert not lake.has("aging_buckets")


def test_the_largest_sum_is_taken(lake):
    rows = aging_buckets(positions("9000000000000000.00", "999999999999999.99"))
    lake.replace_days("aging_buckets", rows, DAY, DAY)
    (found,) = lake.table("aging_buckets").principal_outstanding.to_pyarrow().to_pylist()
    assert found == Decimal("9999999999999999.99")


def test_a_sum_that_no_table_holds_is_named_by_what_is_computed(lake):
    total = money(positions("9000000000000000.00", "9000000000000000.00").principal_outstanding.sum())
    message = r"report x: a sum of amounts exceeds 9,999,999,999,999,999\.99"
    with pytest.raises(LendingError, match=message), amounts_in_range("report x"):
        lake.engine.backend.to_pyarrow(total)


def test_other_errors_stay_as_they_are():
    with pytest.raises(IndexError, match="out of range"), amounts_in_range("report x"):
        raise IndexError("list index out of range")
