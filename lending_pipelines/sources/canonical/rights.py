"""What a user may do in a servicing database, and the clock of its server. For `lending doctor`; read only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from lending_pipelines.tables import SERVICING
from lending_pipelines.tables.sql import MYSQL


@dataclass(frozen=True)
class Rights:
    """The servicing tables that the user may write to, and the server's time in UTC."""

    writable: list[str]
    now: datetime


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


def rights(connection: sa.Connection) -> Rights | None:
    """The user's rights; None for a database without users. Rights by roles of MySQL are not counted."""
    if connection.dialect.name not in _QUERIES:
        return None
    may_insert, now = _QUERIES[connection.dialect.name]
    names = [name for name in SERVICING if sa.inspect(connection).has_table(name)]
    writable = [name for name in names if connection.scalar(sa.text(may_insert), {"name": name})]
    return Rights(writable, connection.scalar(sa.text(now)))
