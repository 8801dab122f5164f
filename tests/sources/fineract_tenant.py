"""A tenant database of Fineract for tests: its tables by the published schema, and rows from published CSV files."""

import csv
import gzip
import io
import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

_FLAGS = {"0": False, "1": True, "f": False, "t": True}


class Tenant:
    """One tenant database. `schema` is Fineract's own, `folder` has a gzipped CSV file per table."""

    def __init__(self, url: str, schema: Path, folder: Path, left_out: Sequence[str] = ()):
        self.url = url
        self.engine = sa.create_engine(url, poolclass=sa.NullPool)
        self.metadata = sa.MetaData()
        tables = json.loads(schema.read_text())
        files = {file.name.removesuffix(".csv.gz"): file for file in sorted(folder.glob("*.csv.gz"))}
        with self.engine.begin() as connection:
            for name, file in files.items():
                if name in tables and name not in left_out:
                    with gzip.open(file, "rt", newline="") as lines:
                        rows = list(csv.reader(lines))
                    self._load(connection, name, tables[name]["columns"], rows)

    def _load(self, connection: sa.Connection, name: str, columns: list[dict], rows: list[list[str]]) -> None:
        header, *rows = rows
        known = [column for column in columns if column["name"] in header]
        table = sa.Table(
            name,
            self.metadata,
            *(
                sa.Column(column["name"], _type(column), primary_key=column["name"] == "id", autoincrement=False)
                for column in known
            ),
        )
        table.create(connection)
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
        """Insert a row. A required column that is not given has the least of its type."""
        with self.engine.begin() as connection:
            connection.execute(self.metadata.tables[table].insert(), values)


def _value(cell: str) -> str | bool | None:
    return None if cell == "" else _FLAGS[cell] if cell in ("t", "f") else cell


def _type(column: dict) -> sa.types.TypeEngine:
    kind, _, size = column["type"].removesuffix(")").partition("(")
    match kind:
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
        case "TEXT":
            return sa.Text()
    raise KeyError(column["type"])


def expected(folder: Path) -> Iterable[dict]:
    """What Fineract says of each loan of a folder."""
    for line in (folder / "expected.jsonl").read_text().splitlines():
        yield json.loads(line, parse_float=Decimal)
