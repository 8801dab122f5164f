"""SQL of expressions that were compiled before.

A close compiles the same expressions every night. Only days, times and the generated names of views differ, and for
small books compiling takes longer than running. The SQL of an expression is therefore kept as a template with places
for them, under a key that describes the expression without them.
"""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache, lru_cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import ibis
import ibis.expr.datashape as ds
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.schema as sch
from ibis.backends.duckdb import Backend
from ibis.common.graph import Node
from ibis.expr.operations.udf import InputType

KEPT = 1000
"""The number of templates that a process or a file keeps: the last ones used."""

_GENERATED = re.compile(r"ibis_\w+?_[a-z0-9]{26}")
"""A name that Ibis generates, of a view or a table in memory."""


class SqlTemplates:
    """The templates of a process. Templates of earlier processes are read from a file, and new ones are added to it."""

    def __init__(self) -> None:
        self._templates: dict[str, list[str | int]] = {}
        self._read: set[Path] = set()
        self._new = 0

    def sql(self, nodes: list[Any], children: list[list[int]], compile: Callable[[], str]) -> str:
        """The SQL of an expression.

        Args:
            nodes: The nodes of the expression's graph, the root first.
            children: The numbers of the children of each node.
            compile: Compiles the expression. Called when there is no template.
        """
        places: dict[str, int] = {}
        try:
            key = _key(nodes, children, places)
        except _Unknown:
            return compile()
        if template := self._templates.pop(key, None):
            texts = list(places)
            sql = "".join(piece if isinstance(piece, str) else texts[piece] for piece in template)
        else:
            sql = compile()
            if not all(text in sql for text in places):
                return sql
            template = _template(sql, places)
            self._new += 1
        self._templates[key] = template
        return sql

    def read(self, file: Path) -> None:
        """Add the templates of a file, once per process. A file that cannot be read costs time only."""
        if file in self._read:
            return
        self._read.add(file)
        with suppress(OSError, ValueError, TypeError, KeyError):
            saved = json.loads(file.read_text())
            if saved["versions"] == _versions():
                self._templates = saved["templates"] | self._templates

    def write(self, file: Path) -> None:
        """Replace the file if there are new templates. A file that cannot be written costs time only."""
        if not self._new:
            return
        self._templates = dict(list(self._templates.items())[-KEPT:])
        self._new = 0
        written = file.with_name(f".{uuid4().hex}.json")
        with suppress(OSError):
            written.write_text(json.dumps({"versions": _versions(), "templates": self._templates}))
            written.replace(file)


TEMPLATES = SqlTemplates()
"""The templates of this process."""


@cache
def _versions() -> dict[str, str]:
    """What the SQL of an expression depends on, besides the expression."""
    return {package: version(package) for package in ("ibis-framework", "sqlglot", "duckdb")}


class _Unknown(Exception):
    """An argument whose text may not tell everything that its SQL depends on."""


def _key(nodes: list[Any], children: list[list[int]], places: dict[str, int]) -> str:
    """What the SQL depends on. Adds the SQL texts that are not part of it, each with its place."""
    described = [str(ibis.options.sql.fuse_selects)]
    for node, below in zip(nodes, children, strict=True):
        described.append(f"{_class(node.__class__)}({_arguments(node, places)}){below}")
    return blake2b("\n".join(described).encode()).hexdigest()


def _arguments(node: Any, places: dict[str, int]) -> str:
    match node:
        case ops.Literal(value=date() as value, dtype=dt.Date() | dt.Timestamp() as dtype):
            arguments = [dtype, _place(_literal(value, dtype), places)]
        case ops.DatabaseTable() | ops.UnboundTable():
            arguments = [node.name, node.schema, node.namespace.catalog, node.namespace.database]
        case ops.InMemoryTable():
            arguments = [node.name, node.schema]
        case _:
            arguments = node.__args__
    text = ",".join(map(_text, arguments))
    # Also the names of values without one contain the names of tables.
    return _GENERATED.sub(lambda found: _place(found[0], places), text) if "ibis_" in text else text


def _place(text: str, places: dict[str, int]) -> str:
    return f"place {places.setdefault(text, len(places))}"


@lru_cache
def _literal(value: date, dtype: dt.DataType) -> str:
    compiler = Backend.compiler
    return compiler.visit_Literal(ops.Literal(value, dtype), value=value, dtype=dtype).sql(compiler.dialect)


@cache
def _class(cls: type[Any]) -> str:
    if getattr(cls, "__input_type__", None) is InputType.BUILTIN:
        # A class is made for each use of the function.
        return f"builtin {cls.__func_name__}"
    return f"{cls.__module__}.{cls.__qualname__}"


def _text(value: Any) -> str:
    """The text of an argument of a node; nodes are without text, because their numbers follow."""
    return _printer(value.__class__)(value)


@cache
def _printer(cls: type[Any]) -> Callable[[Any], str]:
    if issubclass(cls, Node):
        return lambda _: "node"
    if issubclass(cls, (tuple, list)):
        return lambda values: f"[{','.join(map(_text, values))}]"
    if issubclass(cls, frozenset):
        return lambda values: f"<{','.join(sorted(map(_text, values)))}>"
    if issubclass(cls, dict):
        return lambda values: f"{{{','.join(f'{_text(key)}:{_text(value)}' for key, value in values.items())}}}"
    if issubclass(cls, (dt.DataType, sch.Schema)):
        return cache(lambda value: repr(value))
    if issubclass(cls, ds.DataShape):
        return lambda _: cls.__name__
    if cls in (str, int, float, bool, type(None), Decimal, date, datetime) or issubclass(cls, Enum):
        return repr
    return _unknown


def _unknown(value: Any) -> str:
    raise _Unknown(type(value).__name__)


def _template(sql: str, places: dict[str, int]) -> list[str | int]:
    """Pieces of SQL, and between them the places of the texts that belong there."""
    if not places:
        return [sql]
    pieces = re.split(f"({'|'.join(map(re.escape, places))})", sql)
    return [places[piece] if number % 2 else piece for number, piece in enumerate(pieces)]
