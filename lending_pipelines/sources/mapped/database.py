"""A lender's database as tables: any table or view of it, in the transaction of a snapshot."""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from lending_pipelines.errors import did_you_mean
from lending_pipelines.sources.canonical.database import DatabaseSnapshot
from lending_pipelines.sources.canonical.failure import ReadFailed
from lending_pipelines.sources.convert import Values
from lending_pipelines.sources.mapped.mapping import TableRule
from lending_pipelines.sources.mapped.unreadable import Unreadable


class LenderDatabase:
    """The tables of a database that is open for reading."""

    def __init__(self, database: DatabaseSnapshot):
        self._database = database

    def columns(self, rule: TableRule) -> list[str]:
        """The columns of a table, in order. Raises Unreadable."""
        return [column.name for column in self._table(rule).columns]

    def groups(self, rule: TableRule, columns: Sequence[str]) -> Iterator[dict[str, Values]]:
        """The named columns of a table, in groups of rows. Raises Unreadable."""
        table = self._table(rule)
        try:
            for group in self._database.extract(sa.select(*(table.columns[name] for name in columns))):
                yield dict(zip(columns, group, strict=True))
        except (sa.exc.SQLAlchemyError, ReadFailed) as error:
            raise Unreadable(f"{rule.origin}: {' '.join(str(error).split())[:300]}") from error

    def _table(self, rule: TableRule) -> sa.TableClause:
        """The table with its columns. `schema.table` names the schema."""
        schema, _, name = rule.origin.rpartition(".")
        inspector = sa.inspect(self._database.connection)
        try:
            columns = inspector.get_columns(name, schema or None)
        except sa.exc.NoSuchTableError:
            names = [*inspector.get_table_names(schema or None), *inspector.get_view_names(schema or None)]
            raise Unreadable(f"there is no table {rule.origin}; {did_you_mean(name, names)}") from None
        except sa.exc.SQLAlchemyError as error:
            raise Unreadable(f"{rule.origin}: {' '.join(str(error).split())[:300]}") from error
        return sa.table(name, *(sa.column(each["name"], each["type"]) for each in columns), schema=schema or None)
