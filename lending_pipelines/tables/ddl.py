"""The servicing tables as SQL text for a lender's own database: CREATE TABLE, and templates of CREATE VIEW.

Each column's meaning is a comment. servicing.py defines the columns; SQLAlchemy writes the SQL types.
"""

from importlib import import_module
from typing import Literal

from lending_pipelines.tables.references import REFERENCES
from lending_pipelines.tables.schema import MONEY, RATE, Table
from lending_pipelines.tables.servicing import REQUIRED, SERVICING
from lending_pipelines.tables.sql import servicing_metadata

Dialect = Literal["postgresql", "sqlite", "mysql"]

_UNITS = {MONEY: "amount in the row's currency, 2 decimals", RATE: "yearly fraction: 12.5 % is 0.125"}


def create_tables(dialect: Dialect) -> str:
    """A CREATE TABLE for every servicing table, in an order that satisfies foreign keys."""
    return "\n\n".join(_create_table(table, dialect) for table in SERVICING.values()) + "\n"


def create_views(dialect: Dialect) -> str:
    """A template of CREATE VIEW for every servicing table. Replace each `...` with an expression."""
    return "\n\n".join(_create_view(table, dialect) for table in SERVICING.values()) + "\n"


def _create_table(table: Table, dialect: Dialect) -> str:
    lines = []
    for column, type_ in _types(table, dialect).items():
        required = "" if table.column(column).nullable else " NOT NULL"
        lines.append((f"    {column} {type_}{required},", _meaning(table, column)))
    lines.append((f"    PRIMARY KEY ({', '.join(table.key)})", ""))
    return f"{_header(table)}\nCREATE TABLE {table.name} (\n{_with_comments(lines)}\n);"


def _create_view(table: Table, dialect: Dialect) -> str:
    lines = []
    for column, type_ in _types(table, dialect).items():
        end = "" if column == table.names[-1] else ","
        null = "may be NULL" if table.column(column).nullable else "never NULL"
        null += " or left out" * table.column(column).optional
        meaning = _meaning(table, column)
        lines.append((f"    ... AS {column}{end}", f"{type_}, {null}{'; ' if meaning else ''}{meaning}"))
    return f"{_header(table)}\nCREATE VIEW {table.name} AS\nSELECT\n{_with_comments(lines)}\nFROM ...;"


def _header(table: Table) -> str:
    use = "Required." if table.name in REQUIRED else "Optional: leave it out if you have nothing for it."
    return f"-- {table.name}: {table.description} {use}"


def _with_comments(lines: list[tuple[str, str]]) -> str:
    width = max(len(text) for text, _ in lines)
    return "\n".join(f"{text:<{width}}  -- {comment}" if comment else text for text, comment in lines)


def _types(table: Table, dialect: Dialect) -> dict[str, str]:
    """The SQL type of each column."""
    compiler = import_module(f"sqlalchemy.dialects.{dialect}").dialect().type_compiler_instance
    columns = servicing_metadata().tables[table.name].columns
    return {column.name: compiler.process(column.type) for column in columns}


def _meaning(table: Table, name: str) -> str:
    column = table.column(name)
    parts = [column.description or _UNITS.get(column.type, "")]
    if column.values:
        parts.append(f"one of {', '.join(column.values)}")
    if reference := REFERENCES.get(table.name, {}).get(name):
        parts.append(f"refers to {'.'.join(reference)}")
    return "; ".join(part for part in parts if part)
