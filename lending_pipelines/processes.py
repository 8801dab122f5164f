"""Process ids as text (which process works on something, and whether it still runs), and garbage collection.

Process ids are valid on the same machine only.
"""

import gc
import os
import socket

_OBJECTS_BETWEEN_COLLECTIONS = 100_000
"""How many new objects start a garbage collection."""


def collect_rarely() -> None:
    """Collect garbage less often than Python does, which starts a collection with every 700 new objects.

    With Python's default a close collects 2,000 times, a tenth of its CPU time, and frees little.
    """
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)


def this_process() -> str:
    """The id of this process: host and pid."""
    return f"{socket.gethostname()}:{os.getpid()}"


def is_gone(process: str) -> bool:
    """Whether the process has certainly ended. Processes of other hosts or users count as running."""
    host, _, number = process.rpartition(":")
    if host != socket.gethostname() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
