"""Thinned days: their rows are gone, closed_days says so, and all other days and versions stay."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import ibis
import pyarrow as pa
import pytest

from lending_pipelines.lake import Lake
from lending_pipelines.lake import lake as lake_module
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.lake.store import DeltaStore
from lending_pipelines.tables import TABLES

FIRST = date(2025, 1, 29)
DAYS = [FIRST + timedelta(days=n) for n in range(6)]
"""29 January to 3 February: a month end is among them."""
MONTH_END = date(2025, 1, 31)
THINNED = [date(2025, 1, 29), date(2025, 1, 30), date(2025, 2, 1)]
BY_DAY_AND_BY_MONTH = ("loan_positions", "trial_balance")


@pytest.fixture
def lake(tmp_path):
    engine = DuckDBEngine(memory_limit="1GB", threads=1)
    yield Lake(str(tmp_path / "lake"), engine)
    engine.close()


def close(lake, name, days):
    table = TABLES[name]
    columns = dict.fromkeys(table.names) | {"business_date": days, table.key[1]: [f"{day:%d}" for day in days]}
    rows = [{name: column[n] if column else None for name, column in columns.items()} for n in range(len(days))]
    made = pa.Table.from_pylist(rows, schema=table.arrow_schema)
    lake.replace_days(name, ibis.memtable(made), days[0], days[-1])
    lake.record_days(name, days, None, {"par_operator": ">="})


def dates(lake, name, **kwargs):
    return sorted(lake.table(name, **kwargs).business_date.to_pyarrow().to_pylist())


@pytest.mark.parametrize("name", BY_DAY_AND_BY_MONTH)
def test_thinned_days_are_closed_but_not_there(lake, name):
    close(lake, name, DAYS)
    lake.thin(name, THINNED)
    kept = [day for day in DAYS if day not in THINNED]
    assert MONTH_END in kept
    assert dates(lake, name) == kept == lake.days(name)
    assert lake.thinned(name) == THINNED
    records = lake.table("closed_days").to_pyarrow().to_pylist()
    assert sorted(row["business_date"] for row in records) == DAYS
    assert {row["business_date"] for row in records if row["thinned_at"]} == set(THINNED)
    # How the days were closed stays on record.
    assert {row["conventions"] for row in records} == {'{"par_operator": ">="}'}


@pytest.mark.parametrize("name", BY_DAY_AND_BY_MONTH)
def test_the_version_before_still_has_the_days(lake, name):
    close(lake, name, DAYS)
    version = lake.version(name)
    lake.thin(name, THINNED)
    assert lake.version(name) == version + 1
    assert dates(lake, name, version=version) == DAYS


@pytest.mark.parametrize("name", BY_DAY_AND_BY_MONTH)
def test_a_day_that_is_closed_again_is_there_again(lake, name):
    close(lake, name, DAYS)
    lake.thin(name, THINNED)
    close(lake, name, DAYS[:2])
    assert lake.thinned(name) == THINNED[2:]
    assert lake.days(name) == [day for day in DAYS if day != THINNED[2]]


def test_a_run_that_dies_between_record_and_removal_leaves_the_days_there(lake, monkeypatch):
    close(lake, "loan_positions", DAYS)
    with monkeypatch.context() as patch:
        patch.setattr(DeltaStore, "remove_days", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            lake.thin("loan_positions", THINNED)
    assert dates(lake, "loan_positions") == DAYS == lake.days("loan_positions")
    assert lake.thinned("loan_positions") == []


def test_days_closed_before_closed_days_existed_are_recorded_as_thinned(lake):
    table = TABLES["loan_positions"]
    rows = [dict.fromkeys(table.names) | {"business_date": day, "loan_id": "L1"} for day in DAYS]
    made = pa.Table.from_pylist(rows, schema=table.arrow_schema)
    lake.replace_days("loan_positions", ibis.memtable(made), DAYS[0], DAYS[-1])
    lake.thin("loan_positions", THINNED)
    assert lake.thinned("loan_positions") == THINNED


def test_a_lake_whose_closed_days_lack_the_column_is_read_and_written_on(lake, monkeypatch):
    table = TABLES["closed_days"]
    earlier = replace(table, columns=tuple(c for c in table.columns if c.name != "thinned_at"))
    closed_at = datetime(2025, 2, 1, 1)
    row = {"table_name": "loan_positions", "business_date": MONTH_END, "closed_at": closed_at, "conventions": "{}"}
    with monkeypatch.context() as patch:
        patch.setattr(lake_module, "TABLES", TABLES | {"closed_days": earlier})
        lake.merge("closed_days", ibis.memtable(pa.Table.from_pylist([row], schema=earlier.arrow_schema)))
    assert lake.table("closed_days").to_pyarrow().to_pylist() == [dict.fromkeys(table.names) | row]
    lake.record_days("loan_positions", [date(2025, 2, 1)], None, {})
    rows = lake.table("closed_days").order_by("business_date").to_pyarrow().to_pylist()
    assert [row["business_date"] for row in rows] == [MONTH_END, date(2025, 2, 1)]
    assert rows[0]["closed_at"] == closed_at


def test_the_record_of_a_close_leaves_the_records_before_it_in_their_files(lake):
    for day in DAYS[:3]:
        close(lake, "loan_positions", [day])
        close(lake, "trial_balance", [day])
    files = [set(lake.delta("closed_days", version).file_uris()) for version in range(6)]
    assert [len(each) for each in files] == [1, 2, 3, 4, 5, 6]
    assert all(before < after for before, after in pairwise(files))


def test_a_day_that_is_closed_again_has_one_record(lake):
    close(lake, "loan_positions", DAYS[:2])
    close(lake, "loan_positions", DAYS[2:3])
    close(lake, "loan_positions", DAYS[1:4])
    records = lake.table("closed_days").to_pyarrow().to_pylist()
    assert sorted(row["business_date"] for row in records) == DAYS[:4]


def test_money_of_kept_days_is_unchanged(lake):
    table = TABLES["trial_balance"]
    rows = [
        dict.fromkeys(table.names)
        | {"business_date": day, "account_code": "1000", "currency": "USD", "balance": Decimal(f"{n}.01")}
        for n, day in enumerate(DAYS)
    ]
    made = pa.Table.from_pylist(rows, schema=table.arrow_schema)
    lake.replace_days("trial_balance", ibis.memtable(made), DAYS[0], DAYS[-1])
    lake.thin("trial_balance", THINNED)
    kept = {row["business_date"]: row["balance"] for row in lake.table("trial_balance").to_pyarrow().to_pylist()}
    assert kept == {MONTH_END: Decimal("2.01"), date(2025, 2, 2): Decimal("4.01"), date(2025, 2, 3): Decimal("5.01")}
