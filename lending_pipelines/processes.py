"""Process ids as text: which process works on something, and whether it still runs. Same machine only."""

import os
import socket


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
