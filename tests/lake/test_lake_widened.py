"""A lake of an earlier release is read and written on: rates had 6 decimals, and tables had fewer columns."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from lending_pipelines.lake import Lake
from lending_pipelines.lake import lake as lake_module
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.tables import TABLES, Table

RATES = {"modifications": "before_rate", "loan_positions": "annual_rate", "portfolio_snapshots": "weighted_avg_rate"}
FIRST, SECOND = date(2025, 1, 31), date(2025, 2, 1)


def of_six_decimals(table: Table) -> Table:
    """The table as an earlier release had it."""
    narrow = (replace(c, type="decimal(9, 6)") if c.type == "decimal(12, 8)" else c for c in table.columns)
    return replace(table, columns=tuple(narrow))


def without_health(table: Table) -> Table:
    """portfolio_snapshots as it was before it had the health of scopes."""
    columns = [c for c in table.columns if c.name not in ("health_score", "due_in_window", "health_category")]
    return replace(table, columns=tuple(columns))


def row(table: Table, key: str, day: date, rate: str) -> ibis.Table:
    """One row, null but for its key and its rate."""
    values: dict = dict.fromkeys(table.names) | {table.key[-1]: key, RATES[table.name]: Decimal(rate)}
    if table.daily:
        values["business_date"] = day
    return ibis.memtable(pa.Table.from_pylist([values], schema=table.arrow_schema))


@pytest.fixture
def lake(tmp_path, monkeypatch):
    """A lake of an earlier release with a row of 31 January in each table with rates."""
    engine = DuckDBEngine(memory_limit="1GB", threads=1)
    lake = Lake(str(tmp_path / "lake"), engine)
    with monkeypatch.context() as patch:
        patch.setattr(lake_module, "TABLES", {name: of_six_decimals(table) for name, table in TABLES.items()})
        for name in RATES:
            table = of_six_decimals(TABLES[name])
            if table.daily:
                lake.replace_days(name, row(table, "X1", FIRST, "0.123456"), FIRST, FIRST)
            else:
                lake.append(name, row(table, "X1", FIRST, "0.123456"))
    yield lake
    engine.close()


def rates(lake: Lake, name: str, **kwargs) -> list[Decimal]:
    found = lake.table(name, **kwargs).to_pyarrow()
    assert found.schema.field(RATES[name]).type == pa.decimal128(12, 8)
    return sorted(found[RATES[name]].to_pylist())


@pytest.mark.parametrize("name", RATES)
def test_rates_of_six_decimals_are_read_with_eight(lake, name):
    assert rates(lake, name) == [Decimal("0.12345600")]


@pytest.mark.parametrize("name", RATES)
def test_the_first_write_widens_the_table_and_keeps_its_rows_and_earlier_versions(lake, name):
    configuration = DeltaTable(f"{lake.url}/{name}").metadata().configuration
    table = TABLES[name]
    if table.daily:
        lake.replace_days(name, row(table, "X2", SECOND, "0.12345678"), SECOND, SECOND)
    else:
        lake.append(name, row(table, "X2", SECOND, "0.12345678"))

    assert rates(lake, name) == [Decimal("0.12345600"), Decimal("0.12345678")]
    assert rates(lake, name, version=0) == [Decimal("0.12345600")]
    stored = DeltaTable(f"{lake.url}/{name}")
    assert {str(field.type) for field in stored.schema().fields if field.name == RATES[name]} == {
        'PrimitiveType("decimal(12,8)")'
    }
    assert (stored.metadata().name, stored.metadata().description) == (name, table.description)
    assert stored.metadata().configuration == configuration

    # One commit to widen, one to write; after that a write is one commit again.
    assert lake.version(name) == 2
    if table.daily:
        lake.replace_days(name, row(table, "X3", SECOND, "0.1"), SECOND, SECOND)
    else:
        lake.append(name, row(table, "X3", SECOND, "0.1"))
    assert lake.version(name) == 3


def test_new_columns_are_null_until_their_days_are_made_again(tmp_path, monkeypatch):
    name = "portfolio_snapshots"
    table = TABLES[name]
    engine = DuckDBEngine(memory_limit="1GB", threads=1)
    lake = Lake(str(tmp_path / "lake"), engine)
    with monkeypatch.context() as patch:
        patch.setattr(lake_module, "TABLES", TABLES | {name: without_health(table)})
        lake.replace_days(name, row(without_health(table), "USD", FIRST, "0.1"), FIRST, FIRST)

    def health() -> list[tuple]:
        rows = lake.table(name).order_by("business_date").to_pyarrow().to_pylist()
        return [(r["business_date"], r["due_in_window"], r["health_score"], r["health_category"]) for r in rows]

    before = [(FIRST, None, None, None)]
    assert health() == before
    made = dict.fromkeys(table.names) | {"currency": "USD", "business_date": SECOND, "health_score": 71.5}
    made |= {"due_in_window": Decimal("12.50"), "health_category": "Good"}
    rows = ibis.memtable(pa.Table.from_pylist([made], schema=table.arrow_schema))
    lake.replace_days(name, rows, SECOND, SECOND)
    assert health() == [*before, (SECOND, Decimal("12.50"), 71.5, "Good")]
    assert lake.table(name, version=0).schema() == table.schema
    engine.close()
