"""The chain of certificates: statements linked by their hashes, signed, and stored in the lake.

The file `_certificates.json` in the lake keeps the inventory after the last statement, so that the next one need not
read the chain, and the hashes of the files of close_certificates, which the chain cannot contain.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from lending_pipelines.evidence.inventory import HashedFile, Inventory, Places, new_files
from lending_pipelines.evidence.keys import SigningKey
from lending_pipelines.lake import Lake
from lending_pipelines.places import SealBroken, canonical, opened, placing, sealed, unsealed
from lending_pipelines.tables import TABLES

CERTIFICATES = "close_certificates"
SEAL = "_certificates.json"
"""The name of that file."""

_SEALINGS = 20
"""How often the seal is written again, at most, while other runs extend the chain."""


@dataclass(frozen=True)
class Statement:
    """The content to certify. A statement about a close has its business date; other kinds have none."""

    kind: str
    business_date: date | None
    content: dict[str, Any]


@dataclass(frozen=True)
class Certificate:
    """A row of close_certificates."""

    sequence: int
    kind: str
    business_date: date | None
    statement: str
    sha256: str
    previous_sha256: str | None
    signature: str | None
    signed_by: str | None

    @property
    def content(self) -> dict[str, Any]:
        """The statement's content."""
        return json.loads(self.statement)


def certificates(lake: Lake, day: date | None = None) -> list[Certificate]:
    """The certificates in order: all, or those of a closed day."""
    rows = lake.table(CERTIFICATES)
    if day is not None:
        rows = rows.filter(rows.business_date == ibis.literal(day))
    return [Certificate(**row) for row in rows.order_by("sequence").to_pyarrow().to_pylist()]


def append(
    places: Places,
    make: Callable[[Inventory], Sequence[Statement]],
    key: SigningKey | None,
    forget_own: bool = False,
) -> Inventory:
    """Add statements at the end of the chain, in one commit.

    Args:
        places: The home.
        make: Makes the statements from the inventory before them. Called again if another run appends in between.
        key: Signs the statements; None for a chain without signatures.
        forget_own: Hash all files of close_certificates again, because upkeep of the table has replaced them.

    Returns:
        The inventory after the new statements.
    """
    before = _inventory(places.lake.table(CERTIFICATES), _kept(places.lake))
    statements = make(before)
    after = before

    def rows(stored: ir.Table) -> ir.Table:
        nonlocal before, statements, after
        if _head(stored) != (before.sequence, before.sha256):
            before = _inventory(stored, None)
            statements = make(before)
        after = before.copy()
        made = [asdict(_link(after, statement, key)) for statement in statements]
        return ibis.memtable(pa.Table.from_pylist(made, schema=TABLES[CERTIFICATES].arrow_schema))

    if statements:
        places.lake.extend(CERTIFICATES, rows)
    if statements or (forget_own and places.lake.has(CERTIFICATES)):
        seal(places, after, forget_own)
    return after


def folded(chain: Sequence[Certificate]) -> Inventory:
    """The inventory after the last certificate of a chain."""
    inventory = Inventory()
    for each in chain:
        inventory.apply(each.sequence, each.sha256, each.content)
    return inventory


def seal(places: Places, inventory: Inventory, forget_own: bool = False) -> None:
    """Write the seal after the chain was extended, or with `forget_own` after upkeep of its table.

    If another run extends the chain at the same time, the seal is behind, and is written again.
    """
    kept = _kept(places.lake)
    own = {} if kept is None or forget_own else dict(kept.own)
    for _ in range(_SEALINGS):
        version = places.lake.version(CERTIFICATES)
        own |= new_files(places, own | inventory.files, [CERTIFICATES])
        own = {path: file for path, file in own.items() if path.startswith(f"lake/{CERTIFICATES}/")}
        with placing(f"{places.lake.url}/{SEAL}") as file:
            file.write(Seal(inventory, own).to_bytes())
        if places.lake.version(CERTIFICATES) == version:
            return
        inventory = folded(certificates(places.lake))


@dataclass(frozen=True)
class Seal:
    """The content of `_certificates.json`: the inventory, and the files of close_certificates itself."""

    inventory: Inventory
    own: dict[str, HashedFile]

    def to_bytes(self) -> bytes:
        """The file's bytes."""
        return sealed(
            {
                "sequence": self.inventory.sequence,
                "sha256": self.inventory.sha256,
                "files": {path: file.as_json() for path, file in self.inventory.files.items()},
                "rows": self.inventory.rows,
                "own": {path: file.as_json() for path, file in self.own.items()},
            }
        )


def read_seal(lake: Lake) -> Seal | None:
    """The seal; None if there is none. Raises SealBroken when it is damaged."""
    with opened(f"{lake.url}/{SEAL}") as (filesystem, path):
        try:
            data = filesystem.cat_file(path)
        except FileNotFoundError:
            return None
    content = unsealed(data, f"{lake.url}/{SEAL}")
    files, own = ({path: HashedFile(*file) for path, file in content[name].items()} for name in ("files", "own"))
    return Seal(Inventory(content["sequence"], content["sha256"], files, content["rows"]), own)


def _kept(lake: Lake) -> Seal | None:
    try:
        return read_seal(lake)
    except SealBroken:
        # `lending verify` reports it. The chain contains everything that the seal contains.
        return None


def _head(stored: ir.Table) -> tuple[int, str | None]:
    """The sequence and hash of the last certificate of a stored chain."""
    heads = stored.select("sequence", "sha256").to_pyarrow().to_pylist()
    return max(((head["sequence"], head["sha256"]) for head in heads), default=(0, None))


def _inventory(stored: ir.Table, kept: Seal | None) -> Inventory:
    """The inventory at the end of a stored chain: that of the seal if it is not behind."""
    if kept and (kept.inventory.sequence, kept.inventory.sha256) == _head(stored):
        return kept.inventory
    return folded([Certificate(**row) for row in stored.order_by("sequence").to_pyarrow().to_pylist()])


def _link(inventory: Inventory, statement: Statement, key: SigningKey | None) -> Certificate:
    """The next certificate of the chain. It is also applied to the inventory."""
    content = {
        **statement.content,
        "kind": statement.kind,
        "business_date": statement.business_date.isoformat() if statement.business_date else None,
        "sequence": inventory.sequence + 1,
        "previous_sha256": inventory.sha256,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    data = canonical(content)
    made = Certificate(
        sequence=inventory.sequence + 1,
        kind=statement.kind,
        business_date=statement.business_date,
        statement=data.decode(),
        sha256=hashlib.sha256(data).hexdigest(),
        previous_sha256=inventory.sha256,
        signature=key.sign(data) if key else None,
        signed_by=key.public if key else None,
    )
    inventory.apply(made.sequence, made.sha256, content)
    return made
