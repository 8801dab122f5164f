"""The header Idempotency-Key: a write that is repeated with the same key takes effect once.

The id of the new row follows from the key. The register therefore finds a repetition, even after the server was killed.
"""

from typing import Annotated
from uuid import UUID, uuid5

from fastapi import Header

from lending_pipelines.portal.access import Access

_NAMESPACE = UUID("6f1a0f0c-5a3c-4f57-9a55-0f1b5f3f8f6e")

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="A text that the client chooses, new for each write. A repeated request with it does nothing more.",
    ),
]


def id_of(access: Access, key: str | None) -> str | None:
    """The id of the row that a write with this key adds, for this account and action; None without a key."""
    if key is None:
        return None
    return uuid5(_NAMESPACE, f"{access.person.account_id} {access.action} {key}").hex
