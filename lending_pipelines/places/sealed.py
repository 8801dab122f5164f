"""JSON with one form of bytes for each value, and JSON files that carry their own checksum.

Such a file is either read exactly as it was written or refused: every changed bit is found.
"""

import hashlib
import json
from typing import Any

from lending_pipelines.places.files import PlaceError


class SealBroken(PlaceError):
    """The bytes of a sealed file are not those that were written."""


def canonical(value: Any) -> bytes:
    """The value as JSON in UTF-8: keys in order, no spaces. Equal values have equal bytes."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def sealed(content: Any) -> bytes:
    """The content of a sealed file."""
    return canonical({"content": content, "sha256": hashlib.sha256(canonical(content)).hexdigest()}) + b"\n"


def unsealed(data: bytes, path: str) -> Any:
    """The content of a sealed file. Raises SealBroken, with the path, when a byte of it is changed."""
    try:
        content = json.loads(data)["content"]
        intact = sealed(content) == data
    except (ValueError, KeyError, TypeError, RecursionError):
        intact = False
    if not intact:
        raise SealBroken(f"{path} is damaged: its bytes do not match its checksum")
    return content
