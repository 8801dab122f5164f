"""Finds faults in a chain of certificates: in a statement, in a link between two, or in a signature."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from lending_pipelines.evidence.chain import Certificate
from lending_pipelines.evidence.keys import is_signed
from lending_pipelines.places import canonical

_REPEATED = ("sequence", "kind", "previous_sha256")
"""The columns of a certificate that its statement contains too."""


def link_faults(chain: Sequence[Certificate], trusted: Collection[str] = ()) -> list[str]:
    """A sentence for each fault.

    Args:
        chain: The certificates in order.
        trusted: The public keys that may have signed. Without any, the key stored with each signature is used.
    """
    faults = [f"{_name(each)}: {fault}" for each in chain for fault in _faults(each, trusted)]
    if chain and (chain[0].sequence != 1 or chain[0].previous_sha256 is not None):
        faults.append(f"The chain begins with certificate {chain[0].sequence}: those before it are gone.")
    for before, after in pairwise(chain):
        if after.sequence != before.sequence + 1:
            faults.append(f"Between certificates {before.sequence} and {after.sequence}, some are gone or repeated.")
        elif after.previous_sha256 != before.sha256:
            faults.append(f"{_name(after)}: its link to certificate {before.sequence} is broken.")
        if before.signature and not after.signature:
            faults.append(f"{_name(after)} is not signed, and certificate {before.sequence} is.")
    return faults


def _faults(each: Certificate, trusted: Collection[str]) -> Iterator[str]:
    data = each.statement.encode()
    if hashlib.sha256(data).hexdigest() != each.sha256:
        yield "the statement was changed: its sha256 differs."
    try:
        content = each.content
        day = each.business_date.isoformat() if each.business_date else None
        repeated = {name: getattr(each, name) for name in _REPEATED} | {"business_date": day}
        if canonical(content) != data or any(content[name] != value for name, value in repeated.items()):
            yield "the row and its statement differ."
    except (ValueError, KeyError, TypeError):
        yield "the statement cannot be read."
    if (each.signature is None) != (each.signed_by is None):
        yield "the signature or its key is gone."
    elif each.signature and each.signed_by:
        if not is_signed(data, each.signature, each.signed_by):
            yield "the signature is not valid."
        elif trusted and each.signed_by not in trusted:
            yield f"it is signed by another key: {each.signed_by}."


def _name(each: Certificate) -> str:
    return f"Certificate {each.sequence}" + (f" of {each.business_date}" if each.business_date else "")
