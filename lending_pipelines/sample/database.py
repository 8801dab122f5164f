"""Writes the sample to a SQLite or PostgreSQL database. stream.py generates it.

A sample is written completely or not at all: SQLite is built in a temporary file next to the final one and moved, and
PostgreSQL is filled in one transaction.
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import sqlalchemy as sa

from lending_pipelines.sample.spec import SampleError, SampleSpec
from lending_pipelines.sample.stream import Progress, write_sample
from lending_pipelines.tables import SERVICING
from lending_pipelines.tables.sql import servicing_metadata


def fill_database(
    spec: SampleSpec, url: str, *, progress: Progress | None = None, overwrite: bool = False
) -> dict[str, int]:
    """Create the servicing tables in a SQLite or PostgreSQL database and fill them. Returns the rows per table.

    An interrupted run leaves the database unchanged.

    Args:
        spec: The sample.
        url: The SQLAlchemy URL of the database.
        progress: Called after each chunk of loans.
        overwrite: Replace existing servicing tables.

    Raises:
        SampleError: The database has rows and `overwrite` is false, or it cannot be written.
    """
    try:
        target = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise SampleError(f"{url!r} is not a database URL: write one as sqlite:///sample.db") from None
    match target.get_backend_name():
        case "sqlite":
            return _fill_sqlite(spec, target, progress, overwrite)
        case "postgresql":
            return _fill_postgresql(spec, target, progress, overwrite)
        case other:
            raise SampleError(f"the sample cannot be put into {other}: use a sqlite:// or postgresql:// URL")


def _fill_sqlite(spec: SampleSpec, target: sa.URL, progress: Progress | None, overwrite: bool) -> dict[str, int]:
    """Build the sample in a temporary file, and move it to its place."""
    if not target.database or target.database == ":memory:":
        raise SampleError("a SQLite sample needs a file: write the URL as sqlite:///sample.db")
    path = Path(target.database)
    if path.exists():
        _check_sqlite(target, path, overwrite)
    building = path.with_name(path.name + ".building")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        building.unlink(missing_ok=True)
        counts = _build_sqlite(spec, building, progress)
        # Otherwise SQLite would replay the journal of an earlier database.
        for left in ("-wal", "-shm", "-journal"):
            path.with_name(path.name + left).unlink(missing_ok=True)
        os.replace(building, path)
    except (OSError, sa.exc.OperationalError) as error:
        raise SampleError(f"the sample cannot be written to {path}: {error}") from error
    finally:
        with suppress(OSError):
            building.unlink()
    return counts


def _check_sqlite(target: sa.URL, path: Path, overwrite: bool) -> None:
    """Reject a file with content that would be lost."""
    engine = sa.create_engine(target)
    try:
        with engine.connect() as connection:
            others = set(sa.inspect(connection).get_table_names()) - set(SERVICING)
            _refuse_to_lose(connection, overwrite)
    except sa.exc.DatabaseError as error:
        raise SampleError(f"{path} cannot be read as a SQLite database: give the sample a file of its own") from error
    finally:
        engine.dispose()
    if others:
        raise SampleError(f"{path} holds other tables ({', '.join(sorted(others))}): give the sample a file of its own")


def _build_sqlite(spec: SampleSpec, path: Path, progress: Progress | None) -> dict[str, int]:
    """Write the sample to a new SQLite file."""
    engine = sa.create_engine(f"sqlite:///{path}")
    try:
        with engine.connect() as connection:
            # No other process reads the file before it is complete, and an incomplete file is deleted.
            connection.exec_driver_sql("PRAGMA journal_mode = OFF")
            connection.exec_driver_sql("PRAGMA synchronous = OFF")
            connection.exec_driver_sql("PRAGMA cache_size = -200000")

            def write(name: str, rows: pa.Table) -> None:
                if rows.num_rows:
                    marks = ", ".join("?" * rows.num_columns)
                    connection.exec_driver_sql(f"INSERT INTO {name} VALUES ({marks})", _sqlite_rows(rows))

            with _tables_then_indexes(connection):
                counts = write_sample(spec, write, progress)
            connection.commit()
    finally:
        engine.dispose()
    return counts


def _fill_postgresql(spec: SampleSpec, target: sa.URL, progress: Progress | None, overwrite: bool) -> dict[str, int]:
    """Replace the servicing tables in one transaction."""
    # COPY needs this driver's own cursor. For postgresql:// without a driver, SQLAlchemy uses another one.
    engine = sa.create_engine(target.set(drivername="postgresql+psycopg2"))
    try:
        with engine.begin() as connection:
            _refuse_to_lose(connection, overwrite)
            servicing_metadata().drop_all(connection)
            cursor = connection.connection.cursor()

            def write(name: str, rows: pa.Table) -> None:
                text = io.BytesIO()
                pyarrow.csv.write_csv(rows, text, pyarrow.csv.WriteOptions(include_header=False))
                text.seek(0)
                cursor.copy_expert(f"COPY {name} FROM STDIN (FORMAT csv)", text)

            with _tables_then_indexes(connection):
                counts = write_sample(spec, write, progress)
    except sa.exc.DBAPIError as error:
        place = target.render_as_string(hide_password=True)
        raise SampleError(f"the sample cannot be put into {place}: {str(error.orig).strip()}") from error
    finally:
        engine.dispose()
    return counts


@contextmanager
def _tables_then_indexes(connection: sa.Connection) -> Iterator[None]:
    """Create tables before the block and indexes after it, because loading without indexes is faster."""
    tables = servicing_metadata().tables.values()
    for table in tables:
        connection.execute(sa.schema.CreateTable(table))
    yield
    for table in tables:
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            index.create(connection)


def _refuse_to_lose(connection: sa.Connection, overwrite: bool) -> None:
    """Raise SampleError if a servicing table has rows, unless they may be overwritten."""
    if overwrite:
        return
    present = set(sa.inspect(connection).get_table_names())
    for table in servicing_metadata().tables.values():
        if table.name in present and connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first():
            raise SampleError(
                f"{connection.engine.url.render_as_string(hide_password=True)} has rows in {table.name}: "
                "use --overwrite to replace them, or another database"
            )


def _sqlite_rows(rows: pa.Table) -> list[tuple]:
    """Rows as SQLite stores them for SQLAlchemy: dates and timestamps as text, money as an exact number."""
    return list(zip(*(_sqlite_column(column.combine_chunks()) for column in rows.columns), strict=True))


def _sqlite_column(column: pa.Array) -> list:
    """The values of a column as SQLite stores them."""
    if pa.types.is_decimal(column.type):
        column = pc.cast(column, pa.float64())
    elif pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        column = pc.cast(column, pa.string())
    # Arrow's lists are several times slower, but numpy has no missing numbers.
    if column.null_count and not pa.types.is_string(column.type):
        return column.to_pylist()
    return column.to_numpy(zero_copy_only=False).tolist()
