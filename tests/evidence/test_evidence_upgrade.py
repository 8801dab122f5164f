"""`lending upgrade`: a home of an earlier version is brought up to this one, with the same rows."""

import shutil
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from deltalake import DeltaTable, write_deltalake
from homes import Home, lending

from lending_pipelines.evidence import certificates, verify
from lending_pipelines.lake.files import stored_schema
from lending_pipelines.register import database
from lending_pipelines.tables import TABLES

EARLIER = {
    "loans": {"region": None, "term_count": pa.int32()},
    "loan_positions": {"annual_rate": pa.decimal128(9, 6), "next_due_amount": None},
    "portfolio_snapshots": {"health_score": None},
    "closed_days": {"thinned_at": None},
}
"""What earlier tables had: columns of another type, or, with None, did not have."""


@pytest.fixture
def earlier(home: Home) -> Home:
    """The closed home as an earlier version wrote it: fewer columns, narrower types, no format and no certificates."""
    lake = home.folder / "lake"
    for name, columns in EARLIER.items():
        rows = DeltaTable(lake / name).to_pyarrow_table()
        rows = rows.drop_columns([column for column, kind in columns.items() if kind is None])
        kinds = {column: kind for column, kind in columns.items() if kind is not None}
        rows = rows.cast(pa.schema([field.with_type(kinds.get(field.name, field.type)) for field in rows.schema]))
        shutil.rmtree(lake / name)
        partition = TABLES[name].partition
        write_deltalake(str(lake / name), rows, partition_by=[partition] if partition else None)
    shutil.rmtree(lake / "close_certificates")
    for file in ("_lake.json", "_certificates.json"):
        (lake / file).unlink()
    return home


def test_an_earlier_home_becomes_one_of_this_version(earlier, closed_home, places):
    shown = lending("upgrade")
    assert shown.returncode == 0, shown.stderr
    for line in (
        "loans.region: added as string; earlier rows have null: not read yet, until `lending sync --reload loans`",
        "loans.term_count: int32 becomes int64; the values stay",
        "loan_positions.annual_rate: decimal128(9, 6) becomes decimal128(12, 8); the values stay",
        "loan_positions.next_due_amount: added as decimal128(18, 2); earlier rows have null: not computed, until the",
        "closed_days.thinned_at: added as timestamp[us]; earlier rows have null: not recorded",
        "lake: format not recorded becomes 1",
        "Nothing was changed: run `lending upgrade --apply`.",
    ):
        assert line in shown.stdout
    assert DeltaTable(earlier.folder / "lake/loans").version() == 0

    assert lending("upgrade", "--apply").stdout.endswith("Done.\n")
    for name, columns in EARLIER.items():
        stored = pa.schema(DeltaTable(earlier.folder / "lake" / name).schema())
        assert {field.name: field.type for field in stored} == {f.name: f.type for f in stored_schema(TABLES[name])}
        gone = {column for column, kind in columns.items() if kind is None}
        made = [row | dict.fromkeys(gone) for row in closed_home.rows(name)]
        assert earlier.rows(name) == made
    (certificate,) = certificates(places.lake)
    assert certificate.kind == "upgrade"
    assert verify(places).findings == []
    assert lending("upgrade").stdout == "The home is up to date.\n"

    # What was not read or computed before is filled by the commands that the upgrade names.
    assert lending("sync", "--reload", "loans", "--yes").returncode == 0
    assert earlier.rows("loans") == closed_home.rows("loans")


def test_an_upgrade_of_a_certified_home_says_that_the_rows_are_equal(home, places):
    """As when the next version adds a column: the file of the table changes, its rows do not."""
    table = home.folder / "lake/branches"
    rows = DeltaTable(table).to_pyarrow_table().drop_columns(["region"])
    write_deltalake(str(table), rows, mode="overwrite", schema_mode="overwrite")
    assert lending("upgrade", "--apply").returncode == 0
    said = certificates(places.lake)[-1].content
    (rewritten,) = said["rewritten"]
    assert (rewritten["table"], rewritten["version"], rewritten["rows_equal"]) == ("branches", 2, True)
    assert said["changes"][0].startswith("branches.region: added as string")
    assert verify(places).findings == []


def test_the_register_of_an_earlier_version_is_upgraded(empty_home):
    register = database.Register(empty_home.register_url)
    folder = Path(database.__file__).parent
    with register.engine.connect() as connection, connection.begin():
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", f"{folder}/migrations")
        command.upgrade(config, "0003")
    before, head = register.revisions()
    register.dispose()
    assert before == "0003"
    assert lending("upgrade").stdout.splitlines()[0] == f"  register: schema 0003 becomes {head}"
    assert database.Register(empty_home.register_url).revisions()[0] == "0003"
    assert lending("upgrade", "--apply").returncode == 0
    engine = sa.create_engine(empty_home.register_url)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == head
    engine.dispose()
    assert not (empty_home.folder / "lake").exists()
