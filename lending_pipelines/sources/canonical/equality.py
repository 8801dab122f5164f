"""Finds ids that a database treats as equal although their spelling differs, such as 'L1' and 'l1' in citext.

The lake compares ids exactly. If the database treats different spellings as one loan, the lake would have two loans.
"""

import re
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from lending_pipelines.sources.canonical.mysql import collations as mysql_collations
from lending_pipelines.sources.finding import SHOWN, Finding
from lending_pipelines.tables import Table
from lending_pipelines.tables.references import REFERENCES
from lending_pipelines.tables.sql import MYSQL, servicing_metadata

_PROBLEM = "have an id that the database treats as equal to another spelling: use one spelling, for example by lower()"
_EXACT = {"postgresql": "C", "sqlite": "BINARY"}
"""The collation in which text is compared exactly. In other databases, the bytes of the text are compared."""
_COLLATE = re.compile(r"\bcollate\b", re.IGNORECASE)
"""The SQL keyword COLLATE. It does not match a column such as collateral_value."""


def spelled_differently(connection: sa.Connection, table: Table, since: datetime | None) -> list[Finding]:
    """The ids whose spelling differs from an equal id in the same table or in the table that they refer to.

    Only columns with a type or collation that ignores differences are read: citext, a nondeterministic collation of
    PostgreSQL, NOCASE and RTRIM of SQLite, and most collations of MySQL. `since` is the same as in Reader.read.
    """
    stored = servicing_metadata().tables
    exact = _EXACT.get(connection.dialect.name)
    findings = []
    for name in _loose_columns(connection, table):
        column = stored[table.name].columns[name]
        queries = [within(column, exact)]
        parent, key = REFERENCES.get(table.name, {}).get(name, ("", ""))
        if parent and _comparable(connection, (table.name, name), (parent, key)):
            queries.append(against(column, stored[parent].alias("parent").columns[key], exact))
        recent = (_recent(query, column.table, table.watermark, since) for query in queries)
        pairs = [pair for query in recent for pair in connection.execute(query)]
        if pairs:
            examples = tuple(f"{_text(spelling)!r} and {_text(other)!r}" for spelling, other in pairs[:SHOWN])
            findings.append(Finding(name, _PROBLEM, len(pairs), examples, at_least=len(pairs) >= SHOWN))
    return findings


def _loose_columns(connection: sa.Connection, table: Table) -> list[str]:
    """The id columns in which the database may treat different spellings as equal."""
    ids = {*table.key, *REFERENCES.get(table.name, {})}
    text = [column.name for column in table.columns if column.name in ids and column.type == "string"]
    types = {column["name"]: column["type"] for column in sa.inspect(connection).get_columns(table.name)}
    match connection.dialect.name:
        case "postgresql":
            unordered = sa.text("SELECT collname FROM pg_collation WHERE NOT collisdeterministic")
            collations = set(connection.scalars(unordered))
            return [name for name in text if name in types and is_loose(types[name], collations)]
        case "sqlite":
            # SQLite does not report a column's collation. If no CREATE statement names one, all columns compare
            # exactly.
            statements = connection.scalars(sa.text("SELECT sql FROM sqlite_master WHERE sql LIKE '%collate%'"))
            return [name for name in text if name in types] if any(map(_COLLATE.search, statements)) else []
        case dialect if dialect in MYSQL:
            by_column = mysql_collations(connection, table.name)
            return [name for name in text if not by_column.get(name, "_bin").endswith("_bin")]
        case _:
            return []


def _comparable(connection: sa.Connection, child: tuple[str, str], parent: tuple[str, str]) -> bool:
    """Whether the parent's table exists, and both columns (table, name) have the same rules of comparison."""
    if not sa.inspect(connection).has_table(parent[0]):
        return False
    if connection.dialect.name not in MYSQL:
        return True
    # MySQL compares two columns of different collations exactly, or not at all.
    own, other = (mysql_collations(connection, table).get(name) for table, name in (child, parent))
    return own == other


def is_loose(type_: sa.types.TypeEngine, collations: set[str]) -> bool:
    """Whether a PostgreSQL type ignores differences in spelling. `collations` are the nondeterministic ones."""
    while isinstance(type_, postgresql.DOMAIN):
        type_ = type_.data_type
    return isinstance(type_, postgresql.CITEXT) or getattr(type_, "collation", None) in collations


def within(column: sa.Column, exact: str | None) -> sa.Select:
    """Pairs of different spellings of one id within the column."""
    spelling = _spelling(column, exact)
    first, last = sa.func.min(spelling), sa.func.max(spelling)
    return sa.select(first, last).group_by(column).having(first != last)


def against(column: sa.Column, parent: sa.Column, exact: str | None) -> sa.Select:
    """Pairs of different spellings of one id, in the column and in the parent's key."""
    spelling, other = _spelling(column, exact), _spelling(parent, exact)
    return (
        sa.select(spelling, other)
        .distinct()
        .join_from(column.table, parent.table, column == parent)
        .where(spelling != other)
    )


def _spelling(column: sa.Column, exact: str | None) -> sa.ColumnElement:
    """The id as text or bytes that the database compares exactly."""
    text = sa.cast(column, sa.Text)
    # The binary collations of MySQL ignore blanks at the end.
    return sa.collate(text, exact) if exact else sa.cast(text, sa.LargeBinary)


def _text(spelling: str | bytes) -> str:
    return spelling.decode() if isinstance(spelling, bytes) else spelling


def _recent(pairs: sa.Select, table: sa.Table, watermark: str | None, since: datetime | None) -> sa.Select:
    """The first SHOWN pairs from rows whose watermark is at or after `since`."""
    if since is not None and watermark is not None:
        pairs = pairs.where(table.columns[watermark] >= since)
    return pairs.limit(SHOWN)
