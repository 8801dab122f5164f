"""What a correction changes: the loans that came, went or changed, field by field, with the old and the new value.

Two tapes are compared as they were written, row by row in the order of their loans, so that memory stays flat.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from lending_pipelines.tables.schema import text
from lending_pipelines.tapes.spec import TapeError

Row = Mapping[str, Any]

COLUMNS = (
    text("change", "added, removed or changed", values=("added", "removed", "changed")),
    text("loan_id"),
    text("field", "the tape's column; empty for a loan that was added or removed", nullable=True),
    text("before", "the value in the superseded tape", nullable=True),
    text("after", "the value in this tape", nullable=True),
)
"""What the list of changes has."""

_BATCH_ROWS = 10_000


class TapeChanges(BaseModel):
    """How a tape differs from the one that it supersedes; `file_name` is the list of changes, beside the tape.

    `fields` counts the changed values of each column that both have; the other columns are named.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file_name: str
    sha256: str
    loans_added: int
    loans_removed: int
    loans_changed: int
    fields: dict[str, int]
    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]


class Comparison:
    """Two tapes compared: `rows` once, then `summary`. Columns are names with their types; rows come in key order."""

    def __init__(self, before: Mapping[str, str], before_key: str, after: Mapping[str, str], after_key: str) -> None:
        self._keys = before_key, after_key
        self._shared = [name for name in after if name in before]
        self._canonical = {name: (_canonical(before[name]), _canonical(after[name])) for name in self._shared}
        self._new = tuple(name for name in after if name not in before)
        self._gone = tuple(name for name in before if name not in after)
        self._loans: Counter[str] = Counter()
        self._fields: Counter[str] = Counter()

    def rows(self, before: Iterable[Row], after: Iterable[Row]) -> pa.RecordBatchReader:
        """The changes, as COLUMNS says, in the order of the loans; TapeError when a tape is not in that order."""
        schema = pa.schema([(column.name, pa.string()) for column in COLUMNS])
        found = self._changes(before, after)

        def batches() -> Iterator[pa.RecordBatch]:
            while some := list(islice(found, _BATCH_ROWS)):
                yield pa.RecordBatch.from_arrays(
                    [pa.array(c, pa.string()) for c in zip(*some, strict=True)], schema=schema
                )

        return pa.RecordBatchReader.from_batches(schema, batches())

    def summary(self, file_name: str, sha256: str) -> TapeChanges:
        """What the rows read so far come to."""
        return TapeChanges(
            file_name=file_name,
            sha256=sha256,
            loans_added=self._loans["added"],
            loans_removed=self._loans["removed"],
            loans_changed=self._loans["changed"],
            fields={name: self._fields[name] for name in self._shared if self._fields[name]},
            columns_added=self._new,
            columns_removed=self._gone,
        )

    def _changes(self, before: Iterable[Row], after: Iterable[Row]) -> Iterator[tuple[str | None, ...]]:
        olds, news = _keyed(before, self._keys[0]), _keyed(after, self._keys[1])
        old, new = next(olds, None), next(news, None)
        while old or new:
            if new is None or (old and old[0] < new[0]):
                assert old
                yield self._loan("removed", old[0])
                old = next(olds, None)
            elif old is None or new[0] < old[0]:
                yield self._loan("added", new[0])
                new = next(news, None)
            else:
                yield from self._values(new[0], old[1], new[1])
                old, new = next(olds, None), next(news, None)

    def _loan(self, change: str, loan_id: str) -> tuple[str | None, ...]:
        self._loans[change] += 1
        return change, loan_id, None, None, None

    def _values(self, loan_id: str, old: Row, new: Row) -> Iterator[tuple[str | None, ...]]:
        changed = False
        for name in self._shared:
            was, now = old[name], new[name]
            if was == now:
                continue
            of_old, of_new = self._canonical[name]
            was, now = of_old(was), of_new(now)
            if was != now:
                changed = True
                self._fields[name] += 1
                yield "changed", loan_id, name, was, now
        self._loans["changed"] += changed


def _keyed(rows: Iterable[Row], key: str) -> Iterator[tuple[str, Row]]:
    last = None
    for row in rows:
        loan_id = str(row[key])
        if last is not None and loan_id <= last:
            raise TapeError(f"a tape cannot be compared: loan {loan_id} follows {last}, out of order or twice")
        last = loan_id
        yield loan_id, row


def _canonical(type_: str) -> Callable[[Any], str | None]:
    """How a value of that type is written so that two formats' readings of it are equal."""
    as_text = _WRITTEN.get(type_.partition("(")[0], str)
    return lambda value: None if value is None else as_text(value)


def _decimal(value: Any) -> str:
    try:
        return format(Decimal(str(value)).normalize(), "f")
    except InvalidOperation:
        return str(value)


def _date(value: Any) -> str:
    return value.isoformat()[:10] if isinstance(value, date) else str(value)[:10]


_WRITTEN: dict[str, Callable[[Any], str]] = {
    "decimal": _decimal,
    "float64": lambda value: f"{float(value):.6f}",
    "boolean": lambda value: str(value).lower(),
    "date": _date,
}
