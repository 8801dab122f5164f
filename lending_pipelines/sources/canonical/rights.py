"""What a user may do in a servicing database, and the clock of its server. For `lending doctor`; read only."""

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from lending_pipelines.sources.protocol import Rights
from lending_pipelines.tables.sql import MYSQL

_MYSQL_INSERT = """
    WITH me AS (SELECT concat('''', replace(current_user(), '@', '''@'''), '''') AS grantee)
    SELECT EXISTS (SELECT 1 FROM information_schema.user_privileges JOIN me USING (grantee)
                   WHERE privilege_type = 'INSERT')
        OR EXISTS (SELECT 1 FROM information_schema.schema_privileges JOIN me USING (grantee)
                   WHERE privilege_type = 'INSERT' AND database() LIKE table_schema)
        OR EXISTS (SELECT 1 FROM information_schema.table_privileges JOIN me USING (grantee)
                   WHERE privilege_type = 'INSERT' AND table_schema = database() AND table_name = :name)
"""

_QUERIES: Mapping[str, tuple[str, str]] = {
    "postgresql": ("SELECT has_table_privilege(:name, 'INSERT')", "SELECT clock_timestamp() AT TIME ZONE 'UTC'"),
    **dict.fromkeys(MYSQL, (_MYSQL_INSERT, "SELECT utc_timestamp(6)")),
}
"""Whether the user may insert into a table, and the time in UTC, by SQLAlchemy's name of the database."""


def rights(connection: sa.Connection, tables: Iterable[str]) -> Rights | None:
    """The user's rights; None for a database without users. Rights by roles of MySQL are not counted.

    Args:
        connection: The connection of a snapshot.
        tables: The tables that the source reads. All of them exist.
    """
    dialect = connection.dialect
    if dialect.name not in _QUERIES:
        return None
    may_insert, now = _QUERIES[dialect.name]
    # PostgreSQL reads the name as an identifier.
    quote = dialect.identifier_preparer.quote if dialect.name == "postgresql" else str
    writable = [name for name in tables if connection.scalar(sa.text(may_insert), {"name": quote(name)})]
    return Rights(writable, connection.scalar(sa.text(now)))
