"""The lake as one person sees it: the only way from a route or a query to a lake table.

A query is a function that builds an Ibis expression:

    def late_loans(lake: Tables, order: str, day: ir.DateValue) -> ir.Table:
        loans = lake.table("loan_positions")
        return loans.filter(loans.business_date == day, loans.days_past_due > 0).order_by(order)

    access.lake.rows(late_loans, "loan_id", day=date(2025, 3, 31))

Positional arguments, such as the column to order by, shape the query and have few possible values. Keyword arguments
become parameters of the SQL. The SQL is compiled once for the query, its shape, and the form of the person's scope;
results are kept until one of the tables that it reads changes.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property
from typing import Any, Protocol

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from lending_pipelines.errors import LendingError
from lending_pipelines.portal.lake.compiled import Compiled, bound, compile_query, type_of
from lending_pipelines.portal.lake.keyset import Page, Seek, Sort, as_page, cursor_labels, rows_of_page, start_of_page
from lending_pipelines.portal.lake.snapshots import Snapshot, Snapshots
from lending_pipelines.portal.lake.stored_tables import OWN_TABLES
from lending_pipelines.portal.lake.table_rules import RULES, Filter, Shown, scope_values
from lending_pipelines.portal.scope import Scope
from lending_pipelines.tables import SERVICING

_BATCH_ROWS = 16_384
_MOST_COMPILED = 4_000
"""The maximum number of compiled queries that are kept."""
_MOST_RESULT_BYTES = 8_000_000
"""A larger result is not kept."""
_MOST_RESULTS_BYTES = 128_000_000
"""The maximum size of all results that are kept."""
_RESULT_BYTES = 4_000
"""The bytes counted for a result in addition to its rows, so that the number of results without rows is limited too."""


class NoRule(LendingError):
    """A table has no rule in table_rules.py, so nobody can see it."""


class NotMade(LendingError):
    """A table was never written: there is no data yet."""


class Tables(Protocol):
    """The scoped tables, as a query sees them."""

    def table(self, name: str) -> ir.Table:
        """The rows of a lake table that the person may see, with masked columns null. NotMade before the first."""

    def has(self, name: str) -> bool:
        """Whether the table was ever written."""


Query = Callable[..., ir.Table]
"""A function of Tables, of positional arguments that shape the query, and of values by name."""


@dataclass(frozen=True)
class _PageOf:
    """The query of a page of another query."""

    query: Query
    seek: Seek

    def __call__(self, lake: Tables, *shape: Hashable, **values: ir.Value) -> ir.Table:
        own = {name: value for name, value in values.items() if name not in cursor_labels(self.seek)}
        return rows_of_page(self.query(lake, *shape, **own), self.seek)


@dataclass
class Result:
    """The rows of a query. `rendered` caches what was made of them, such as a JSON response."""

    table: pa.Table
    etag: str
    rendered: dict[str, bytes] = field(default_factory=dict)

    @cached_property
    def rows(self) -> tuple[Mapping[str, Any], ...]:
        """The rows as mappings by column. They are shared: do not change them."""
        names = self.table.column_names
        columns = [column.to_pylist() for column in self.table.columns]
        return tuple(dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True))


class Results:
    """Compiled queries and results of a process, bounded in memory, the least recently used removed first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._compiled: OrderedDict[Hashable, Compiled] = OrderedDict()
        self._results: OrderedDict[Hashable, Result] = OrderedDict()
        self._bytes = 0

    def compiled(self, key: Hashable, compile_it: Callable[[], Compiled]) -> Compiled:
        """The compiled query of that key."""
        with self._lock:
            if key in self._compiled:
                self._compiled.move_to_end(key)
                return self._compiled[key]
        made = compile_it()
        with self._lock:
            self._compiled[key] = made
            if len(self._compiled) > _MOST_COMPILED:
                self._compiled.popitem(last=False)
        return made

    def result(self, key: Hashable) -> Result | None:
        """The result of that key, if it is kept."""
        with self._lock:
            if key in self._results:
                self._results.move_to_end(key)
            return self._results.get(key)

    def keep(self, key: Hashable, result: Result) -> None:
        """Keep a result that is not too large."""
        size = result.table.nbytes + _RESULT_BYTES
        if size > _MOST_RESULT_BYTES:
            return
        with self._lock:
            if key not in self._results:
                self._results[key] = result
                self._bytes += size
            while self._bytes > _MOST_RESULTS_BYTES:
                self._bytes -= self._results.popitem(last=False)[1].table.nbytes + _RESULT_BYTES


@dataclass(frozen=True)
class _Tables:
    """The scoped tables while a query is compiled."""

    filter: Filter
    shown: Shown
    made: frozenset[str]

    def table(self, name: str) -> ir.Table:
        """See Tables."""
        if name not in RULES:
            raise NoRule(f"table {name} has no rule in the portal's table_rules.py, so it cannot be shown")
        rows = self._read(name)
        if not self.filter.unrestricted:
            rows = RULES[name].rows(rows, self.filter, self._read)
        masked = self.shown.masked(name)
        return rows.mutate(**{each: ibis.null(rows[each].type()) for each in masked}) if masked else rows

    def has(self, name: str) -> bool:
        """See Tables."""
        return name in self.made

    def _read(self, name: str) -> ir.Table:
        if name not in self.made:
            what = "it was not synced yet" if name in SERVICING else "no day is closed yet"
            raise NotMade(f"there is no data of {name}: {what}")
        return ibis.table(OWN_TABLES[name].schema, name=name)


@dataclass
class ScopedLake:
    """The lake at one moment, as the person of a request sees it."""

    _snapshots: Snapshots
    _snapshot: Snapshot
    _results: Results
    scopes: tuple[Scope, ...]
    shown: Shown
    etags: list[str] = field(default_factory=list)

    @property
    def last_day(self) -> date | None:
        """The last day for which every daily table is made."""
        return self._snapshot.last_day

    @property
    def day_before(self) -> date | None:
        """The closed day before the last one."""
        return self._snapshot.day_before

    def days(self, name: str = "loan_positions") -> tuple[date, ...]:
        """The days for which a daily table is made."""
        return self._snapshot.tables[name].days if name in self._snapshot.tables else ()

    def has(self, name: str) -> bool:
        """Whether the table was ever written."""
        return name in self._snapshot.tables

    def written_at(self, name: str) -> datetime | None:
        """When the table was last written, UTC; None if it never was."""
        stored = self._snapshot.tables.get(name)
        return stored.written_at if stored else None

    def seen_by(self, scopes: tuple[Scope, ...], shown: Shown) -> "ScopedLake":
        """The same moment of the lake as other grants see it."""
        return replace(self, scopes=scopes, shown=shown)

    def with_borrowers_shown(self) -> "ScopedLake":
        """The same with the personal data of borrowers. access.py decides who gets it, and records it."""
        return replace(self, shown=replace(self.shown, borrowers=True))

    def rows(self, query: Query, *shape: Hashable, **values: Any) -> tuple[Mapping[str, Any], ...]:
        """The rows of a query, in its order. Raises NotMade when a table that it reads was never written."""
        return self.result(query, *shape, **values).rows

    def row(self, query: Query, *shape: Hashable, **values: Any) -> Mapping[str, Any] | None:
        """The first row of a query; None without rows."""
        return next(iter(self.rows(query, *shape, **values)), None)

    def result(self, query: Query, *shape: Hashable, **values: Any) -> Result:
        """The rows of a query as an Arrow table, and as mappings."""
        return self._found(query, shape, values)

    def _found(self, query: Query, shape: tuple[Hashable, ...], values: Mapping[str, Any]) -> Result:
        """The result of a query, from the cache if its tables have not changed."""
        compiled, given = self._prepared(query, shape, values)
        key = (compiled.sql, self._snapshot.identity(compiled.tables), _frozen(given))
        result = self._results.result(key)
        if result is None:
            with self._snapshots.cursor(self._snapshot) as cursor:
                table = cursor.sql(compiled.sql, params=given).to_arrow_table()
            result = Result(table, hashlib.sha256(repr(key).encode()).hexdigest()[:32])
            self._results.keep(key, result)
        self.etags.append(result.etag)
        return result

    def page(
        self, query: Query, *shape: Hashable, sort: Sort, cursor: str | None = None, size: int = 50, **values: Any
    ) -> Page:
        """A page of the rows of a query, which has no order of its own. Raises BadCursor.

        Args:
            query: The query.
            *shape: The positional arguments that shape the query.
            sort: The order of the rows; its columns are columns of the query.
            cursor: Where the page begins, from an earlier page; None for the first.
            size: The number of rows.
            **values: The values of its parameters.
        """
        schema = self._compiled(query, shape, values).schema
        seek, begins = start_of_page(sort, size, cursor, schema)
        result = self._found(_PageOf(query, seek.compiled), shape, {**values, **begins})
        return replace(as_page(result.rows, seek), schema=result.table.schema, rendered=result.rendered)

    @contextmanager
    def batches(self, query: Query, *shape: Hashable, **values: Any) -> Iterator[pa.RecordBatchReader]:
        """The rows of a query in batches as they are computed, for exports. They are not kept."""
        compiled, given = self._prepared(query, shape, values)
        with self._snapshots.cursor(self._snapshot) as cursor:
            yield cursor.sql(compiled.sql, params=given).to_arrow_reader(_BATCH_ROWS)

    def etag(self) -> str:
        """Identifies all results of this request so far."""
        return hashlib.sha256(" ".join(self.etags).encode()).hexdigest()[:32]

    @cached_property
    def _filter(self) -> Filter:
        return Filter.of(self.scopes)

    def _prepared(
        self, query: Query, shape: tuple[Hashable, ...], values: Mapping[str, Any]
    ) -> tuple[Compiled, dict[str, Any]]:
        """The SQL of a query, and the values of its parameters. Scopes that it does not read are left out."""
        compiled = self._compiled(query, shape, values)
        if unused := values.keys() - compiled.parameters:
            raise TypeError(f"the query does not read the values {', '.join(sorted(unused))}")
        given = {**values, **scope_values(self.scopes, self._filter.shape)}
        return compiled, {name: _plain(value) for name, value in given.items() if name in compiled.parameters}

    def _compiled(self, query: Query, shape: tuple[Hashable, ...], values: Mapping[str, Any]) -> Compiled:
        """The compiled query for its shape, the types of its values, and the form of the scope."""
        types = {name: type_of(value) for name, value in values.items()}
        tables = _Tables(self._filter, self.shown, frozenset(self._snapshot.tables))
        key = (query, shape, tuple(sorted(types.items())), tables)

        def expression() -> ir.Table:
            rows = query(tables, *shape, **{name: bound(name, type_) for name, type_ in types.items()})
            self._snapshots.add_functions(rows)
            return rows

        return self._results.compiled(key, lambda: compile_query(expression))


def _plain(value: Any) -> Any:
    """A value as DuckDB accepts it."""
    return list(value) if isinstance(value, tuple | frozenset) else value


def _frozen(values: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """The values in a hashable form, for a key of results."""
    return tuple(
        (name, tuple(value) if isinstance(value, list | frozenset) else value) for name, value in sorted(values.items())
    )
