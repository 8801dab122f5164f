"""A tenant database of Fineract for tests: its tables by the published schema, and rows from published CSV files."""

import csv
import gzip
import io
import json
from collections.abc import Iterable
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

from lending_pipelines.sources import open_source
from lending_pipelines.sources.protocol import Source

_FLAGS = {"f": False, "t": True}


class Tenant:
    """One tenant database. `schema` is Fineract's own, `folder` has a gzipped CSV file for each table with rows.

    With `only_files`, tables and columns without a file do not exist, as in a dump.
    """

    adapter = "fineract"
    key = "id"
    """The primary key of every table."""

    def __init__(self, url: str, schema: Path, folder: Path, only_files: bool = False):
        self.url = url
        # With a pool: PyMySQL reads all certificates of the machine for each connection.
        self.engine = sa.create_engine(url)
        self.metadata = sa.MetaData()
        tables = json.loads(schema.read_text())
        files = {file.name.removesuffix(".csv.gz"): file for file in sorted(folder.glob("*.csv.gz"))}
        with self.engine.begin() as connection:
            for listed in sorted(tables.keys() - {"_about"}):
                name = self.stored_name(listed)
                file = files.get(name.replace(" ", "_"))
                rows = _rows(file) if file else []
                if rows or not only_files:
                    columns = tables[listed]["columns"]
                    self._create(connection, name, [c for c in columns if not only_files or c["name"] in rows[0]])
                if rows:
                    self._load(connection, name, rows)

    @cached_property
    def source(self) -> Source:
        """Reads the database. It is kept, because SQLAlchemy then compiles a SELECT only once."""
        return open_source(self.adapter, self.url)

    def refill(self, folder: Path) -> None:
        """Replace the rows of all tables by those of another folder, which costs less than another database."""
        with self.engine.begin() as connection:
            for name, table in self.metadata.tables.items():
                connection.execute(table.delete())
                file = folder / f"{name.replace(' ', '_')}.csv.gz"
                if file.exists():
                    self._load(connection, name, _rows(file))

    def stored_name(self, listed: str) -> str:
        """The database's name of a table of the schema."""
        return listed

    def _create(self, connection: sa.Connection, name: str, columns: list[dict]) -> None:
        table = sa.Table(
            name,
            self.metadata,
            *(
                sa.Column(column["name"], _type(column), primary_key=column["name"] == self.key, autoincrement=False)
                for column in columns
            ),
        )
        table.create(connection)

    def _load(self, connection: sa.Connection, name: str, rows: list[list[str]]) -> None:
        header, *rows = rows
        name = connection.dialect.identifier_preparer.quote(name)
        if self.engine.name == "postgresql":
            lines = io.StringIO()
            csv.writer(lines).writerows([header, *rows])
            lines.seek(0)
            with connection.connection.cursor() as cursor:
                cursor.copy_expert(f"COPY {name} ({', '.join(header)}) FROM STDIN (FORMAT csv, HEADER)", lines)
        elif rows:
            values = [[_value(cell) for cell in row] for row in rows]
            places = ", ".join(["%s"] * len(header))
            with connection.connection.cursor() as cursor:
                cursor.executemany(f"INSERT INTO {name} ({', '.join(header)}) VALUES ({places})", values)

    def execute(self, statement: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.text(statement), values)

    def insert(self, table: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(self.metadata.tables[table].insert(), values)


def _rows(file: Path) -> list[list[str]]:
    """The header and the rows of a gzipped CSV file."""
    with gzip.open(file, "rt", newline="") as lines:
        return list(csv.reader(lines))


def _value(cell: str) -> str | bool | None:
    """A cell as MariaDB takes it. PostgreSQL writes flags as t and f, and UTC as +00."""
    return None if cell == "" else _FLAGS[cell] if cell in _FLAGS else cell.removesuffix("+00")


def _type(column: dict) -> sa.types.TypeEngine:
    kind, _, size = column["type"].removesuffix(")").partition("(")
    match kind.upper():
        case "BIGINT":
            return sa.BigInteger()
        case "INT":
            return sa.Integer()
        case "SMALLINT" | "TINYINT":
            return sa.SmallInteger()
        case "BOOLEAN":
            return sa.Boolean()
        case "DATE":
            return sa.Date()
        case "DATETIME":
            zone = "ZONE" in column.get("type_postgresql", "")
            return postgresql.TIMESTAMP(timezone=zone).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
        case "DECIMAL":
            return sa.Numeric(*map(int, size.split(",")))
        case "VARCHAR":
            return sa.String(int(size))
        case "TEXT" | "LONGTEXT":
            return sa.Text()
    raise KeyError(column["type"])


def expected(folder: Path) -> Iterable[dict]:
    """What Fineract says of each loan of a folder."""
    for line in (folder / "expected.jsonl").read_text().splitlines():
        yield json.loads(line, parse_float=Decimal)
