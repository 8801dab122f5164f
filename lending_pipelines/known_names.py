"""Checks names that a user writes: loans, programs, products, branches, staff, borrowers and accounts.

They are compared with the servicing tables as of the last sync. Portfolios, investors and tapes are looked up in
register/; names of fields, settings and report types are checked where they are read.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import ibis
import ibis.expr.types as ir

from lending_pipelines.criteria import CriteriaError
from lending_pipelines.errors import LendingError, did_you_mean

SHOWN = 20
"""The number of unknown names that get suggestions."""

_CANDIDATES = 100
"""The maximum number of known names from which suggestions are chosen."""

_SOURCES: dict[str, tuple[str, tuple[tuple[str, str, str | None], ...]]] = {
    "loan_id": ("loan", (("loans", "loan_id", None),)),
    "program_id": ("program", (("programs", "program_id", "name"), ("products", "program_id", None))),
    "product_id": ("product", (("products", "product_id", "name"), ("loans", "product_id", None))),
    "branch_id": ("branch", (("branches", "branch_id", "name"), ("loans", "branch_id", None))),
    "officer_id": ("officer", (("staff", "staff_id", "full_name"), ("loans", "officer_id", None))),
    "manager_id": (
        "manager",
        (
            ("staff", "staff_id", "full_name"),
            ("loans", "officer_id", None),
            ("officer_assignments", "officer_id", None),
        ),
    ),
    "borrower_id": ("borrower", (("borrowers", "borrower_id", None), ("loans", "borrower_id", None))),
    "account_code": ("account", (("gl_accounts", "account_code", "name"),)),
}
"""For each field: what it names, and the tables with the ids and names. A source may have loans only."""


FIELDS_WITH_NAMES = frozenset(_SOURCES)
"""The fields whose values can be checked."""


class UnknownName(LendingError):
    """A name that is not in the servicing tables."""


class KnownNames:
    """The names in the servicing tables. `read` returns a table, or None if it was never synced."""

    def __init__(self, read: Callable[[str], ir.Table | None]) -> None:
        self._read = read

    def has(self, field: str) -> bool:
        """Whether the servicing tables have any ids for this field."""
        known = self._known(field)
        return known is not None and bool(known.limit(1).count().to_pyarrow().as_py())

    def unknown(self, field: str, values: Collection[str]) -> dict[str, str]:
        """The values that are not known ids, each with a message and suggestions.

        Without any known names no value counts as unknown; see `has`.
        """
        if not values or not self.has(field):
            return {}
        known = self._known(field)
        wanted = ibis.memtable({"id": list(dict.fromkeys(values))}, schema={"id": "string"})
        missing = wanted.anti_join(known, "id").to_pyarrow()["id"].to_pylist()
        what = _SOURCES[field][0]
        near = {value: self._near(known, value) for value in sorted(missing)[:SHOWN]}
        return {value: f"there is no {what} {value!r}{near.get(value, '')}" for value in missing}

    def require(self, field: str, value: str) -> None:
        """Raise UnknownName when the value is not a known id."""
        for message in self.unknown(field, [value]).values():
            raise UnknownName(message)

    def require_criteria(self, rule: Mapping[str, Any]) -> None:
        """Raise CriteriaError for the unknown names in a valid rule; the message lists all with their paths."""
        if faults := self.faults(_named(rule, "criteria")):
            raise CriteriaError(*faults)

    def faults(self, named: Iterable[tuple[str, str, Collection[str]]]) -> list[str]:
        """A message for each unknown name. Each item of `named` is the path at which names are written, their field,
        and the names.
        """
        return [
            f"{path}: {message}" for path, field, values in named for message in self.unknown(field, values).values()
        ]

    def of_other_programs(self, loan_ids: Collection[str], program_id: str) -> dict[str, str | None]:
        """The loans that do not belong to this program, each with its own program."""
        loans, products = self._read("loans"), self._read("products")
        if loans is None or products is None:
            return {}
        wanted = ibis.memtable({"loan_id": list(loan_ids)}, schema={"loan_id": "string"})
        programs = loans.semi_join(wanted, "loan_id").left_join(
            products.select("product_id", "program_id"), "product_id"
        )
        others = programs.filter(~programs.program_id.identical_to(ibis.literal(program_id)))
        rows = others.select("loan_id", "program_id").to_pyarrow().to_pylist()
        return {row["loan_id"]: row["program_id"] for row in rows}

    def _known(self, field: str) -> ir.Table | None:
        """The known ids with their names, if they have one; None if no table was ever synced."""
        parts = []
        for table, key, name in _SOURCES[field][1]:
            rows = self._read(table)
            if rows is not None:
                rows = rows.filter(rows[key].notnull())
                parts.append(rows.select(id=rows[key], name=rows[name] if name else ibis.null("string")))
        return ibis.union(*parts, distinct=True) if len(parts) > 1 else parts[0] if parts else None

    def _near(self, known: ir.Table, value: str) -> str:
        """The end of the message about an unknown value: similar names or ids, if there are any."""
        folded = value.lower()
        furthest = max(2, len(value) // 3)
        ids, names = known.id.lower(), known.name.lower()
        distance = ibis.least(ids.levenshtein(folded), names.levenshtein(folded).fill_null(furthest + 1))
        rows = known.mutate(distance=distance).filter(lambda t: t.distance <= furthest)
        rows = rows.order_by("distance", "id").limit(_CANDIDATES).to_pyarrow().to_pylist()
        if named := sorted({row["id"] for row in rows if (row["name"] or "").lower() == folded}):
            return f": that is the name of {' and '.join(map(repr, named))}, write the id"
        candidates = {row["id"] for row in rows}
        if not candidates:
            # If there are few names, list them all; if there are many and none is similar, list none.
            first = known.select("id").distinct().order_by("id").limit(_CANDIDATES + 1).to_pyarrow()["id"].to_pylist()
            candidates = set(first) if len(first) <= _CANDIDATES else set()
        return f": {did_you_mean(value, candidates)}" if candidates else ""


def _named(rule: Any, path: str) -> Iterator[tuple[str, str, list[str]]]:
    """The path, field and values of each condition on a field of _SOURCES."""
    for kind in ("all", "any"):
        for number, part in enumerate(rule.get(kind, ())):
            yield from _named(part, f"{path}.{kind}[{number}]")
    if (field := rule.get("field")) in _SOURCES:
        values = rule["value"]
        yield f"{path}.value", field, values if isinstance(values, list) else [values]
