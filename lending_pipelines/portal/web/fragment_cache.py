"""Caches the HTML of page fragments, because drawing a long table takes longer than reading its rows.

A fragment may depend only on rows of the lake, on the address, and on settings of the process, never on the person.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable

from fastapi import Request
from markupsafe import Markup

from lending_pipelines.portal.lake.scoped_lake import ScopedLake

MOST_BYTES = 32_000_000
"""The size of all cached fragments. The least recently used are removed first."""


def key_of(request: Request, lake: ScopedLake) -> str:
    """The key of a fragment: the address, and all rows that the request has read, which are those of the scope."""
    return f"{lake.etag()} {request.scope['path']}?{request.url.query}"


class FragmentCache:
    """Fragments by name and key. In a template: {% call cached("loans", key) %}…{% endcall %}."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._bytes = most_bytes, 0
        self._lock = threading.Lock()
        self._parts: OrderedDict[tuple[str, str], Markup] = OrderedDict()

    def __call__(self, name: str, key: str, caller: Callable[[], Markup]) -> Markup:
        """The fragment. `caller` draws it if it is not cached."""
        with self._lock:
            if (name, key) in self._parts:
                self._parts.move_to_end((name, key))
                return self._parts[name, key]
        made = caller()
        with self._lock:
            if (name, key) not in self._parts:
                self._parts[name, key] = made
                self._bytes += _size(key, made)
            while self._bytes > self._most:
                (_, gone), part = self._parts.popitem(last=False)
                self._bytes -= _size(gone, part)
        return made


def _size(key: str, part: Markup) -> int:
    return len(key) + 4 * len(part)
