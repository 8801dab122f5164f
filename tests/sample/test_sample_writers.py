"""The sample in databases and files: what is read back is what was made, and nothing is lost or half there."""

import sqlite3
from collections import defaultdict
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from lending_pipelines.sample import SampleError, SampleSpec, fill_database, fill_parquet, generate
from lending_pipelines.tables import SERVICING
from lending_pipelines.tables.sql import servicing_metadata

SPEC = SampleSpec(300, date(2025, 1, 1), date(2025, 3, 31), seed=4)


@pytest.fixture(scope="module")
def made() -> dict[str, list[tuple]]:
    rows = defaultdict(list)
    for name, table in generate(SPEC):
        rows[name] += [tuple(row.values()) for row in table.to_pylist()]
    return rows


@pytest.fixture
def sqlite(tmp_path) -> str:
    return f"sqlite:///{tmp_path / 'deep' / 'sample.db'}"


def read(url: str) -> dict[str, list[tuple]]:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        rows = {
            t.name: [tuple(r) for r in connection.execute(sa.select(t))] for t in servicing_metadata().sorted_tables
        }
    engine.dispose()
    return rows


def assert_same(found: dict[str, list[tuple]], made: dict[str, list[tuple]]) -> None:
    assert found.keys() == made.keys()
    for name, rows in made.items():
        assert sorted(found[name], key=repr) == sorted(rows, key=repr), name


def test_sqlite_gives_back_every_row_to_the_cent(sqlite, made):
    seen = []
    counts = fill_database(SPEC, sqlite, progress=lambda done, todo: seen.append((done, todo)))
    assert counts == {name: len(made[name]) for name in SERVICING}
    assert seen == [(300, 300)]
    assert_same(read(sqlite), made)


def test_postgresql_gives_back_every_row_to_the_cent(postgres_url, made):
    counts = fill_database(SPEC, postgres_url)
    assert counts == {name: len(made[name]) for name in SERVICING}
    assert_same(read(postgres_url), made)


def test_parquet_gives_back_every_row(tmp_path, made):
    counts = fill_parquet(SPEC, tmp_path / "sample")
    assert counts == {name: len(made[name]) for name in SERVICING}
    for name, table in SERVICING.items():
        parts = [pq.read_table(part) for part in sorted((tmp_path / "sample" / name).glob("*.parquet"))]
        rows = pa.concat_tables(parts)
        assert rows.schema == table.arrow_schema
        assert [tuple(row.values()) for row in rows.to_pylist()] == made[name]


def test_the_watermarks_are_indexed(sqlite):
    fill_database(SPEC, sqlite)
    engine = sa.create_engine(sqlite)
    indexed = {
        table: [index["column_names"] for index in sa.inspect(engine).get_indexes(table)]
        for table in ("transactions", "loans")
    }
    engine.dispose()
    assert indexed == {"transactions": [["posted_at"]], "loans": [["updated_at"]]}


def test_rows_that_are_there_are_kept_unless_asked(sqlite):
    fill_database(SPEC, sqlite)
    before = read(sqlite)
    other = SampleSpec(20, SPEC.first, SPEC.last, seed=9)
    with pytest.raises(SampleError, match="has rows in branches: use --overwrite"):
        fill_database(other, sqlite)
    assert read(sqlite) == before
    fill_database(other, sqlite, overwrite=True)
    assert len(read(sqlite)["loans"]) == 20


def test_postgresql_rows_are_kept_unless_asked(postgres_url, made):
    fill_database(SPEC, postgres_url)
    other = SampleSpec(20, SPEC.first, SPEC.last, seed=9)
    with pytest.raises(SampleError, match="has rows in branches: use --overwrite"):
        fill_database(other, postgres_url)
    assert_same(read(postgres_url), made)
    fill_database(other, postgres_url, overwrite=True)
    assert len(read(postgres_url)["loans"]) == 20


def test_an_interrupted_run_leaves_nothing_that_looks_complete(sqlite, postgres_url, tmp_path, made):
    def interrupt(done: int, todo: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill_database(SPEC, sqlite, progress=interrupt)
    assert not list(Path(tmp_path, "deep").iterdir())
    with pytest.raises(KeyboardInterrupt):
        fill_parquet(SPEC, tmp_path / "files", progress=interrupt)
    assert not (tmp_path / "files").exists()
    fill_database(SPEC, postgres_url)
    with pytest.raises(KeyboardInterrupt):
        fill_database(SampleSpec(20, SPEC.first, SPEC.last), postgres_url, progress=interrupt, overwrite=True)
    assert_same(read(postgres_url), made)


def test_a_file_with_something_else_in_it_is_refused(tmp_path):
    path = tmp_path / "notes.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE notes (text)")
    connection.close()
    with pytest.raises(SampleError, match=r"holds other tables \(notes\)"):
        fill_database(SPEC, f"sqlite:///{path}", overwrite=True)
    path.write_text("Not a database at all, though long enough to be read as one. " * 100)
    with pytest.raises(SampleError, match="cannot be read as a SQLite database"):
        fill_database(SPEC, f"sqlite:///{path}", overwrite=True)
    with pytest.raises(SampleError, match="is not an empty directory"):
        fill_parquet(SPEC, tmp_path)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "is not a database URL"),
        ("sqlite://", "needs a file"),
        ("oracle://host/x", "cannot be put into oracle"),
        ("postgresql://nobody:secret@127.0.0.1:1/x", r"nobody:\*\*\*@127.0.0.1:1/x"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url, message):
    with pytest.raises(SampleError, match=message):
        fill_database(SPEC, url)
