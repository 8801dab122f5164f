"""SQL of expressions that were compiled before.

A close compiles the same expressions every night. Only days, times and the generated names of views differ, and for
small books compiling takes longer than running. The SQL of an expression is therefore kept as a template, with
placeholders for these values. Its key describes the expression without them.
"""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timedelta
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

from lending_pipelines import __version__

KEPT = 1000
"""The maximum number of templates in a process or a file. The ones used last are kept."""

_GENERATED = re.compile(r"ibis_\w+?_[a-z0-9]{26}")
"""A name that Ibis generates, of a view or a table in memory."""

_MARKED_FROM = datetime(7001, 1, 1)
"""The first of the days that replace the days of an expression while its template is made."""


class SqlTemplates:
    """The templates of a process. Templates of earlier processes are read from a file, and new ones are added to it."""

    def __init__(self) -> None:
        self._templates: dict[str, list[str | int]] = {}
        self._read: set[Path] = set()
        self._new = 0

    def sql(self, nodes: list[Any], children: list[list[int]], compile: Callable[[Any], str]) -> str:
        """The SQL of an expression.

        Args:
            nodes: The nodes of the expression's graph, the root first.
            children: The numbers of the children of each node.
            compile: Compiles an expression, given its node. Called when there is no template.
        """
        values: dict[Any, int] = {}
        try:
            key = _key(nodes, children, values)
        except _Unknown:
            return compile(nodes[0])
        template = self._templates.pop(key, None)
        if template is None:
            template = _template(nodes[0], values, compile)
            self._new += 1
            if len(self._templates) >= KEPT:
                del self._templates[next(iter(self._templates))]
        self._templates[key] = template
        texts = list(map(_sql, values))
        return "".join(piece if isinstance(piece, str) else texts[piece] for piece in template)

    def read(self, file: Path) -> None:
        """Add the templates of a file, once per process. A file that cannot be read is ignored: it only saves time."""
        if file in self._read:
            return
        self._read.add(file)
        with suppress(OSError, ValueError, TypeError, KeyError):
            saved = json.loads(file.read_text())
            if saved["versions"] == _versions():
                self._templates = saved["templates"] | self._templates

    def write(self, file: Path) -> None:
        """Replace the file if there are new templates. A file that cannot be written is ignored: it only saves time."""
        if not self._new:
            return
        self._new = 0
        kept = dict(list(self._templates.items())[-KEPT:])
        written = file.with_name(f".{uuid4().hex}.json")
        try:
            written.write_text(json.dumps({"versions": _versions(), "templates": kept}))
            written.replace(file)
        except OSError:
            with suppress(OSError):
                written.unlink(missing_ok=True)


TEMPLATES = SqlTemplates()
"""The templates of this process."""


@cache
def _versions() -> dict[str, str]:
    """The versions of the packages that the SQL of an expression depends on."""
    packages = ("ibis-framework", "sqlglot", "duckdb")
    return {package: version(package) for package in packages} | {"lending_pipelines": __version__}


class _Unknown(Exception):
    """An argument whose text may not contain everything that its SQL depends on. Its expression gets no template."""


def _key(nodes: list[Any], children: list[list[int]], values: dict[Any, int]) -> str:
    """The key of an expression: a hash of everything that its SQL depends on, except `values`.

    Args:
        nodes: The nodes of the graph.
        children: The numbers of the children of each node.
        values: The literals and generated names that the key leaves out, with the numbers of their placeholders. This
            function adds them.
    """
    described = [str(ibis.options.sql.fuse_selects)]
    for node, below in zip(nodes, children, strict=True):
        described.append(f"{_operation(node.__class__)}({_arguments(node, values)}){below}")
    return blake2b("\n".join(described).encode()).hexdigest()


def _arguments(node: Any, values: dict[Any, int]) -> str:
    """The text of a node's arguments, with placeholders for `values`."""
    match node:
        case ops.Literal(value=date(), dtype=dt.Date() | dt.Timestamp() as dtype):
            arguments = [dtype, _placeholder(node, values)]
        case ops.DatabaseTable() | ops.UnboundTable():
            arguments = [node.name, node.schema, node.namespace.catalog, node.namespace.database]
        case ops.InMemoryTable():
            arguments = [node.name, node.schema]
        case _:
            arguments = node.__args__
    text = ",".join(map(_text, arguments))
    # Generated column names contain the names of tables.
    return _GENERATED.sub(lambda found: _placeholder(found[0], values), text) if "ibis_" in text else text


def _placeholder(value: Any, values: dict[Any, int]) -> str:
    """The placeholder of a value. A value that is not yet in `values` is added with the next number."""
    return f"placeholder {values.setdefault(value, len(values))}"


@lru_cache(maxsize=1024)
def _sql(value: Any) -> str:
    """The SQL of a literal or of a generated name, which is its own SQL."""
    if isinstance(value, str):
        return value
    compiler = Backend.compiler
    return compiler.visit_Literal(value, value=value.value, dtype=value.dtype).sql(compiler.dialect)


def _operation(cls: Any) -> str:
    """The name of a node's class in the key."""
    if getattr(cls, "__input_type__", None) is InputType.BUILTIN:
        # Ibis makes a new class for each use of the function.
        return f"builtin {cls.__udf_namespace__} {cls.__func_name__} {cls.dtype}"
    return _qualified(cls)


@cache
def _qualified(cls: type[Any]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _text(value: Any) -> str:
    """The text of an argument of a node. It is `node` for another node, because the key has the children's numbers."""
    return _printer(value.__class__)(value)


@cache
def _printer(cls: type[Any]) -> Callable[[Any], str]:
    """The function that returns the text of a value of the class. It raises _Unknown for other classes."""
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


def _template(root: Any, values: dict[Any, int], compile: Callable[[Any], str]) -> list[str | int]:
    """Compile an expression to pieces of SQL, with the numbers of placeholders between them.

    Each literal is first replaced by a day that occurs nowhere else, because another part of the SQL may have the same
    text as a literal.
    """
    literals = {value: _marker(number, value) for value, number in values.items() if not isinstance(value, str)}
    sql = compile(root.replace(literals) if literals else root)
    numbers = {_sql(literals.get(value, value)): number for value, number in values.items()}
    if not numbers:
        return [sql]
    pieces = re.split(f"({'|'.join(map(re.escape, numbers))})", sql)
    return [numbers[piece] if number % 2 else piece for number, piece in enumerate(pieces)]


def _marker(number: int, literal: Any) -> ops.Literal:
    """The day, or its midnight, that replaces a literal while the template is made."""
    marked = _MARKED_FROM + timedelta(days=number)
    return ops.Literal(marked.date() if literal.dtype.is_date() else marked, literal.dtype)
