"""Verification: everything that is certified is read again and compared with the chain.

All differences are found in one pass: a fault in one part does not hide faults in other parts.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import TypeVar

from lending_pipelines.evidence.chain import SEAL, Certificate, Seal, certificates, folded, read_seal
from lending_pipelines.evidence.chain_faults import link_faults
from lending_pipelines.evidence.comparison import assignment_differences
from lending_pipelines.evidence.exported import exported_files, unnamed_exports
from lending_pipelines.evidence.files import (
    changed_files,
    not_certified,
    of_other_days,
    passed_checks_fault,
    table_fault,
)
from lending_pipelines.evidence.inventory import Inventory, Places
from lending_pipelines.evidence.register_rows import changed_rows
from lending_pipelines.evidence.rewrites import unequal_rewrites
from lending_pipelines.evidence.uncertified import closes_without
from lending_pipelines.lake.format import lake_format
from lending_pipelines.tables import TABLES

_T = TypeVar("_T")


@dataclass
class Verdict:
    """The result of a verification. `findings` are differences; `notes` say what is not certified yet."""

    certificates: int = 0
    signed: int = 0
    files: int = 0
    bytes: int = 0
    rows: int = 0
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def verify(
    places: Places, first: date | None = None, last: date | None = None, trusted: Collection[str] = ()
) -> Verdict:
    """Compare the home with its certificates.

    Args:
        places: The home.
        first: The first closed day to verify; None for all from the beginning. Files of other days are not read.
        last: The last closed day to verify, inclusive.
        trusted: The public keys that may have signed. Without any, the key stored with each signature is used.

    Returns:
        What was compared, and every difference.
    """
    found: list[str] = []
    is_open = _read(lambda: lake_format(places.lake.url) or True, "The lake cannot be opened", found)
    chain = _read(lambda: certificates(places.lake), "The certificates cannot be read", found) if is_open else None
    seal = _read(lambda: read_seal(places.lake), f"{SEAL} cannot be read", found)
    inventory = _inventory(chain, seal, found)
    if inventory is None:
        return Verdict(findings=[*found, "There is no certificate to verify against: the next close makes one."])
    chain = chain or []
    certified = inventory.files | (seal.own if seal else {})
    read = {path: file for path, file in certified.items() if not of_other_days(path, first, last)}
    extra, notes = not_certified(places, certified)
    parts: tuple[tuple[str, Callable[[], Iterable[str]]], ...] = (
        ("certificates", lambda: link_faults(chain, trusted)),
        ("steps of upkeep", lambda: _rewrites(chain)),
        ("files", lambda: changed_files(places, read)),
        ("lake", lambda: extra),
        ("checks", lambda: passed_checks_fault(places)),
        ("exports", lambda: _export_faults(places)),
        ("register", lambda: _register_faults(places, inventory)),
    )
    of_tables: tuple[tuple[str, Callable[[], Iterable[str]]], ...] = (
        ("tables", lambda: (fault for name in TABLES if (fault := table_fault(places, name)))),
        ("assignments", lambda: assignment_differences(places, chain)),
        ("closed days", lambda: closes_without(places.lake, chain, first, last)),
    )
    for subject, faults in (*parts, *(of_tables if is_open else ())):
        found += _read(partial(_listed, faults), f"The {subject} cannot be verified", found) or []
    return Verdict(
        certificates=len(chain),
        signed=sum(each.signature is not None for each in chain),
        files=len(read),
        bytes=sum(file.bytes for file in read.values()),
        rows=sum(map(len, inventory.rows.values())),
        findings=list(dict.fromkeys(found)),
        notes=notes,
    )


def _read(read: Callable[[], _T], fault: str, found: list[str]) -> _T | None:
    """The result of `read`. If it raises an error, None; a finding is added. Changed bytes can cause any error."""
    try:
        return read()
    except Exception as error:
        found.append(f"{fault}: {' '.join(str(error).split())[:300] or type(error).__name__}")
        return None


def _listed(faults: Callable[[], Iterable[str]]) -> list[str]:
    return list(faults())


def _inventory(chain: list[Certificate] | None, seal: Seal | None, found: list[str]) -> Inventory | None:
    """What is certified: by the chain, or by the seal if the chain cannot be read."""
    by_seal = seal.inventory if seal and seal.inventory.sequence else None
    # link_faults reports a statement that is no longer JSON.
    by_chain = _read(lambda: folded(chain), "The chain cannot be followed", found) if chain else None
    if by_chain is None:
        if by_seal and chain == []:
            found.append(f"All {by_seal.sequence} certificates are missing, although {SEAL} records them.")
        return by_seal
    if seal is None:
        if not any(SEAL in each for each in found):
            found.append(f"The file {SEAL} is missing from the lake.")
    elif by_seal != by_chain:
        found.append(_difference(seal.inventory, by_chain))
    return by_chain


def _difference(by_seal: Inventory, by_chain: Inventory) -> str:
    if by_seal.sequence > by_chain.sequence:
        gone = f"{by_chain.sequence + 1} to {by_seal.sequence}"
        return f"Certificates {gone} are missing at the end of the chain, although {SEAL} records them."
    if by_seal.sequence < by_chain.sequence:
        return f"{SEAL} ends with certificate {by_seal.sequence}, the chain with {by_chain.sequence}."
    return f"{SEAL} and the chain differ in what is certified up to certificate {by_chain.sequence}."


def _rewrites(chain: Iterable[Certificate]) -> Iterator[str]:
    """A sentence for each fault of an upkeep step that the chain records."""
    return (f"Certificate {each.sequence}: {fault}" for each in chain for fault in unequal_rewrites(each.content))


def _export_faults(places: Places) -> Iterator[str]:
    files = exported_files(places)
    yield from (fault for file in files if (fault := file.fault()))
    yield from (f"{name} is an extra file: no tape and no report has it." for name in unnamed_exports(places, files))


def _register_faults(places: Places, inventory: Inventory) -> Iterator[str]:
    for table, keys in changed_rows(places.register, inventory.rows).items():
        yield from (f"The register's row {table} {key} was changed or removed." for key in keys)
