"""Relations that are read more than once are computed once (lake/engines/common_tables.py)."""

from collections.abc import Callable, Iterator

import ibis
import ibis.expr.types as ir
import pytest
from ibis.backends.sql import rewrites

from lending_pipelines.lake.engines import DuckDBEngine, common_tables

loans = ibis.memtable({"loan_id": ["L1", "L2", "L3"], "amount": [10, 20, 30]})
payments = ibis.memtable(
    {
        "payment_id": [1, 2, 3],
        "loan_id": ["L1", "L3", "L3"],
        "amount": [5, 77, 99],
        "channel": ["cash", "cash", "card"],
        "received_by": ["S1", "S1", "S2"],
    }
)


def read_by_two_joins() -> ir.Table:
    large = payments.filter(payments.amount > 7).select("loan_id").distinct()
    return ibis.union(
        loans.filter(loans.amount > 15).semi_join(large, "loan_id"), loans.semi_join(large, "loan_id")
    ).order_by("loan_id")


def read_by_two_selects_of_a_join() -> ir.Table:
    both = loans.join(payments.filter(payments.amount > 7), "loan_id", rname="{name}_paid")
    return ibis.union(both.select("loan_id", "amount"), both.select("loan_id", amount="amount_paid")).order_by("amount")


def read_with_a_column_dropped() -> ir.Table:
    large = payments.filter(payments.amount > 7).drop("payment_id")
    both = loans.join(large, "loan_id", rname="{name}_paid").select("loan_id", "amount")
    return ibis.union(both, large.select("loan_id", "amount")).order_by("loan_id", "amount")


def read_once() -> ir.Table:
    large = payments.filter(payments.amount > 7)
    return large.group_by("loan_id").agg(amount=large.amount.sum())


@pytest.fixture
def backend() -> Iterator[ibis.BaseBackend]:
    engine = DuckDBEngine(threads=1)
    yield engine.backend
    engine.close()


@pytest.mark.parametrize(
    ("make", "rows"),
    [
        (read_by_two_joins, [("L3", 30), ("L3", 30)]),
        (read_by_two_selects_of_a_join, [("L3", 30), ("L3", 30), ("L3", 77), ("L3", 99)]),
        (read_with_a_column_dropped, [("L3", 30), ("L3", 30), ("L3", 77), ("L3", 99)]),
        (read_once, [("L3", 176)]),
    ],
)
def test_a_relation_is_computed_once(make: Callable[[], ir.Table], rows: list, backend):
    assert backend.compile(make()).count("> 7") == 1
    assert [tuple(row.values()) for row in backend.to_pyarrow(make()).to_pylist()] == rows


@pytest.mark.parametrize("make", [read_by_two_joins, read_by_two_selects_of_a_join, read_with_a_column_dropped])
def test_ibis_alone_computes_it_twice(make, monkeypatch):
    """When this fails, Ibis extracts these relations itself, and common_tables.py is no longer needed."""
    monkeypatch.setattr(rewrites, "extract_ctes", common_tables.BY_IBIS)
    assert str(ibis.to_sql(make(), dialect="duckdb")).count("> 7") == 2
