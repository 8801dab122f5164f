"""Which process works on something, as text that another process can check later on the same machine."""

import os
import socket


def this_process() -> str:
    """This process: its host and its id."""
    return f"{socket.gethostname()}:{os.getpid()}"


def is_gone(process: str) -> bool:
    """Whether that process has surely ended: one of another host, or that may not be looked at, is not."""
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
