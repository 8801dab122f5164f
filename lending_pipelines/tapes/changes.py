"""The changes in a corrected tape: loans added or removed, and changed fields with the old and the new value.

Two tapes are compared as written, batch by batch in the order of their loans, so memory use is constant. Only values
whose text differs are compared one by one.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from lending_pipelines.tables.schema import text
from lending_pipelines.tapes.spec import TapeError

Change = tuple[str | None, ...]
"""A row of the changes file: the values of COLUMNS."""

COLUMNS = (
    text("change", "added, removed or changed", values=("added", "removed", "changed")),
    text("loan_id"),
    text("field", "the tape's column; empty for a loan that was added or removed", nullable=True),
    text("before", "the value in the superseded tape", nullable=True),
    text("after", "the value in this tape", nullable=True),
)
"""The columns of the changes file."""

_BATCH_ROWS = 10_000


class TapeChanges(BaseModel):
    """The differences between a tape and the one that it supersedes; `file_name` is the changes file next to the tape.

    `fields` counts the changed values of each column that both tapes have; the other columns are listed by name.
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
    """Compares two tapes: read `rows` once, then call `summary`. Columns are names with types.

    A tape comes in batches of text by column name, ordered by its key; null where there is no value.
    """

    def __init__(self, before: Mapping[str, str], before_key: str, after: Mapping[str, str], after_key: str) -> None:
        self._names = tuple(before), tuple(after)
        self._keys = before_key, after_key
        self._shared = [name for name in after if name in before]
        self._canonical = {name: (_canonical(before[name]), _canonical(after[name])) for name in self._shared}
        self._new = tuple(name for name in after if name not in before)
        self._gone = tuple(name for name in before if name not in after)
        self._loans: Counter[str] = Counter()
        self._fields: Counter[str] = Counter()

    def rows(self, before: Iterable[pa.RecordBatch], after: Iterable[pa.RecordBatch]) -> pa.RecordBatchReader:
        """The changes with COLUMNS, ordered by loan. Raises TapeError when a tape is not ordered by loan."""
        schema = pa.schema([(column.name, pa.string()) for column in COLUMNS])
        changes = self._changes(*map(_Tape, (before, after), self._names, self._keys))

        def batches() -> Iterator[pa.RecordBatch]:
            while some := list(islice(changes, _BATCH_ROWS)):
                yield pa.RecordBatch.from_arrays(
                    [pa.array(c, pa.string()) for c in zip(*some, strict=True)], schema=schema
                )

        return pa.RecordBatchReader.from_batches(schema, batches())

    def summary(self, file_name: str, sha256: str) -> TapeChanges:
        """The summary of the rows read so far."""
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

    def _changes(self, before: "_Tape", after: "_Tape") -> Iterator[Change]:
        while reached := [tape.reached for tape in (before, after) if tape.reached is not None]:
            upto = min(reached)
            changes = sorted(self._between(before.taken(upto), after.taken(upto)), key=lambda change: change[:2])
            self._loans["changed"] += len({loan_id for loan_id, column, _ in changes if column >= 0})
            yield from (change for _, _, change in changes)

    def _between(self, old: pa.RecordBatch, new: pa.RecordBatch) -> Iterator[tuple[str, int, Change]]:
        """The changes between two batches with the same loans, each with its loan and column number."""
        before, after = (rows[key] for rows, key in zip((old, new), self._keys, strict=True))
        place = pc.index_in(after, before)
        for change, loans in (
            ("removed", before.filter(pc.invert(pc.is_in(before, after)))),
            ("added", after.filter(pc.is_null(place))),
        ):
            self._loans[change] += len(loans)
            yield from ((loan_id, -1, (change, loan_id, None, None, None)) for loan_id in loans.to_pylist())
        old, new = old.take(place.drop_null()), new.filter(pc.is_valid(place))
        for number, name in enumerate(self._shared):
            of_old, of_new = self._canonical[name]
            for at in _differing(old[name], new[name]):
                was, now = of_old(old[name][at].as_py()), of_new(new[name][at].as_py())
                if was != now:
                    self._fields[name] += 1
                    loan_id = new[self._keys[1]][at].as_py()
                    yield loan_id, number, ("changed", loan_id, name, was, now)


class _Tape:
    """A tape being read. `reached` is the last loan read but not yet taken; None when all are taken."""

    def __init__(self, batches: Iterable[pa.RecordBatch], names: Sequence[str], key: str) -> None:
        self._batches = (batch for batch in batches if batch.num_rows)
        self._rows = pa.RecordBatch.from_arrays([pa.array([], pa.string())] * len(names), list(names))
        self._key = key
        self._last = ""
        self._read()

    @property
    def reached(self) -> str | None:
        return self._last if self._rows.num_rows else None

    def taken(self, upto: str) -> pa.RecordBatch:
        """The rows read so far of the loans up to and including that one."""
        count = bisect_right(self._rows[self._key], upto, key=lambda loan_id: loan_id.as_py())
        rows, self._rows = self._rows.slice(0, count), self._rows.slice(count)
        if not self._rows.num_rows:
            self._read()
        return rows

    def _read(self) -> None:
        if (rows := next(self._batches, None)) is None:
            return
        loans = rows[self._key]
        follows = pa.concat_arrays([pa.array([self._last], pa.string()), loans.slice(0, len(loans) - 1)])
        if (at := pc.index(pc.fill_null(pc.greater(loans, follows), False), False).as_py()) >= 0:
            raise TapeError(f"a tape cannot be compared: loan {loans[at]} comes after {follows[at]}: sort by loan id")
        self._rows, self._last = rows, loans[-1].as_py()


def _differing(old: pa.Array, new: pa.Array) -> list[int]:
    """The indexes where the texts of two columns differ."""
    differ = pc.fill_null(pc.not_equal(old, new), pc.not_equal(pc.is_null(old), pc.is_null(new)))
    return pc.indices_nonzero(differ).to_pylist()


def _canonical(type_: str) -> Callable[[str | None], str | None]:
    """A function that writes values of that type so that equal values of two formats have equal texts."""
    as_written = _WRITTEN.get(type_.partition("(")[0], str)
    return lambda value: None if value is None else as_written(value)


def _decimal(value: str) -> str:
    try:
        return format(Decimal(value).normalize(), "f")
    except InvalidOperation:
        return value


_WRITTEN: dict[str, Callable[[str], str]] = {
    "decimal": _decimal,
    "float64": lambda value: f"{float(value):.6f}",
    "boolean": str.lower,
    # In a workbook a date has a time of day.
    "date": lambda value: value[:10],
}
