"""The tables of a servicing system as its database has them, for sources that read each servicing table by one SELECT.

A system adds columns and tables with its versions, and a lender may not use all of them. A table that is missing here
has no rows, and a missing column that a later version added is NULL. So each SELECT is written once for all versions.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import sqlalchemy as sa

from lending_pipelines.sources.protocol import SourceError

_TYPES: dict[str, sa.types.TypeEngine] = {
    "ids": sa.BigInteger(),
    "texts": sa.String(500),
    "flags": sa.Boolean(),
    "dates": sa.Date(),
    "instants": sa.DateTime(),
    "amounts": sa.Numeric(19, 6),
    "decimals": sa.Numeric(21, 9),
}


def columns(**names: str) -> dict[str, sa.types.TypeEngine]:
    """The columns of a table with their types. Each argument is a kind, with the names of its columns in one text."""
    return {name: _TYPES[kind] for kind, listed in names.items() for name in listed.split()}


@dataclass(frozen=True)
class Layout:
    """The tables of a servicing system."""

    system: str
    """The system and its versions, as error messages name them."""
    columns: Mapping[str, Mapping[str, sa.types.TypeEngine]]
    """The columns that are read of each table."""
    added_later: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Columns that a database of an earlier version may lack."""
    names: Mapping[str, str] = field(default_factory=dict)
    """The database's name of each table that has another name in `columns`."""

    def stored_name(self, table: str) -> str:
        """The database's name of a table."""
        return self.names.get(table, table)


class StoredTables:
    """A system's tables in one database, by name. They are read in the transaction of a snapshot."""

    def __init__(self, source: str, connection: sa.Connection, layout: Layout):
        self.layout = layout
        self._source = source
        self._inspector = sa.inspect(connection)
        self._known: dict[str, sa.FromClause] = {}

    @cached_property
    def names(self) -> Collection[str]:
        """The tables of the layout that the database has."""
        existing = {*self._inspector.get_table_names(), *self._inspector.get_view_names()}
        return frozenset(name for name in self.layout.columns if self.layout.stored_name(name) in existing)

    def __getattr__(self, name: str) -> sa.FromClause:
        """A table of the layout by its name.

        Raises:
            SourceError: The table lacks a column that every version of the system has.
        """
        if name not in self.layout.columns:
            raise AttributeError(name)
        if name not in self._known:
            self._known[name] = self._table(name)
        return self._known[name]

    def _table(self, name: str) -> sa.FromClause:
        columns, stored_name = self.layout.columns[name], self.layout.stored_name(name)
        if name not in self.names:
            nothing = (_null(type_).label(column) for column, type_ in columns.items())
            return sa.select(*nothing).where(sa.false()).subquery(name)
        existing = {column["name"] for column in self._inspector.get_columns(stored_name)}
        missing = [column for column in columns if column not in existing]
        stored = sa.table(stored_name, *(sa.column(column, type_) for column, type_ in columns.items()))
        if not missing:
            return stored
        if lost := [column for column in missing if column not in self.layout.added_later.get(name, ())]:
            raise SourceError(
                f"{self._source}: table {stored_name} has no column {', '.join(lost)}: it is not a table of "
                f"{self.layout.system}; read it with the source `mapped` instead"
            )
        return sa.select(
            *(
                _null(type_).label(column) if column in missing else stored.columns[column]
                for column, type_ in columns.items()
            )
        ).subquery(name)


def _null(type_: sa.types.TypeEngine) -> sa.ColumnElement:
    """NULL of a type. MySQL has no cast to a flag."""
    return sa.case((sa.false(), sa.true()), else_=None) if isinstance(type_, sa.Boolean) else sa.cast(sa.null(), type_)
