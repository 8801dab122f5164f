"""The lake's format, and tables that a later version wrote: both are refused before anything is read or written."""

import ibis
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lending_pipelines.lake import Lake, LakeError
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.lake.format import FILE, FORMAT, lake_format
from lending_pipelines.places import SealBroken, sealed
from lending_pipelines.tables import TABLES

BRANCHES = TABLES["branches"]


@pytest.fixture
def engine():
    engine = DuckDBEngine(memory_limit="1GB", threads=1)
    yield engine
    engine.close()


def branch(lake: Lake) -> None:
    """Write the table branches with a row."""
    row = pa.Table.from_pylist([dict.fromkeys(BRANCHES.names)], schema=BRANCHES.arrow_schema)
    lake.replace("branches", ibis.memtable(row))


def stored(lake: Lake, **columns: pa.DataType) -> None:
    """Write the table branches with other columns than the program has."""
    types = {field.name: field.type for field in BRANCHES.arrow_schema} | columns
    write_deltalake(f"{lake.url}/branches", pa.schema(list(types.items())).empty_table())


def test_the_first_write_records_the_format(engine, tmp_path):
    lake = Lake(str(tmp_path), engine)
    assert lake_format(lake.url) is None
    branch(lake)
    assert lake_format(lake.url) == FORMAT == 1
    assert lake.table("branches").count().to_pyarrow().as_py() == 1


def test_a_lake_of_a_later_format_is_refused(engine, tmp_path):
    branch(Lake(str(tmp_path), engine))
    (tmp_path / FILE).write_bytes(sealed({"format": 2, "written_by": "lending_pipelines 9.0.0"}))
    lake = Lake(str(tmp_path), engine)
    message = r"has format 2, and lending_pipelines .* knows formats up to 1: install the version that wrote the lake"
    with pytest.raises(LakeError, match=message):
        lake.table("branches")
    with pytest.raises(LakeError, match=message):
        branch(lake)


def test_a_damaged_format_is_refused(engine, tmp_path):
    branch(Lake(str(tmp_path), engine))
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes().replace(b"1", b"0", 1))
    with pytest.raises(SealBroken, match="is damaged"):
        Lake(str(tmp_path), engine).table("branches")


def test_columns_of_a_later_version_are_not_lost(engine, tmp_path):
    lake = Lake(str(tmp_path), engine)
    stored(lake, opening_hours=pa.string())
    with pytest.raises(LakeError, match="branches: unknown columns opening_hours: a later version"):
        branch(lake)


def test_wider_types_of_a_later_version_are_not_cut(engine, tmp_path):
    lake = Lake(str(tmp_path), engine)
    types = {field.name: field.type for field in TABLES["loans"].arrow_schema} | {"principal": pa.decimal128(20, 2)}
    write_deltalake(f"{lake.url}/loans", pa.schema(list(types.items())).empty_table())
    with pytest.raises(LakeError, match=r"principal is decimal128\(20, 2\), here decimal128\(18, 2\)"):
        lake.schema_changes("loans")


def test_a_write_without_rows_leaves_no_file(engine, tmp_path):
    lake = Lake(str(tmp_path), engine)
    lake.replace("branches", ibis.memtable(BRANCHES.arrow_schema.empty_table()))
    assert lake.table("branches").count().to_pyarrow().as_py() == 0
    assert list(tmp_path.rglob("*.parquet")) == []
