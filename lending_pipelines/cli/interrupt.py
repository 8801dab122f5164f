"""Handles Ctrl-C in a command: it prints one line and ends within two seconds. What was committed is kept.

Python handles a signal only between two of its own instructions, and a query can take minutes. A thread therefore
receives the signal at once through the signal module's wakeup socket.
"""

import faulthandler
import os
import shlex
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

STATUS = 128 + signal.SIGINT
"""The exit status of a command that was stopped and could clean up. It is 1 if there was not enough time."""

_SECONDS_TO_CLEAN_UP = 1.2
"""How long the command may take to remove temporary files before its process is ended."""


@contextmanager
def stopped_by_interrupt() -> Iterator[None]:
    """While the block runs, Ctrl-C prints one line, marks a run of this process as canceled, and ends the process."""
    signalled, wakeup = socket.socketpair()
    wakeup.setblocking(False)
    before = signal.set_wakeup_fd(wakeup.fileno(), warn_on_full_buffer=False)
    stopped = threading.Event()
    watcher = threading.Thread(target=_watch, args=(signalled, stopped), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        wakeup.close()
        # The signal can end the block before the watcher has read it from the socket.
        watcher.join()
        if stopped.is_set():
            os._exit(STATUS)


def _watch(signalled: socket.socket, stopped: threading.Event) -> None:
    """Stop the command when SIGINT is received. Returns when the socket is closed."""
    while numbers := signalled.recv(16):
        if signal.SIGINT in numbers:
            stopped.set()
            _stop()
            return


def _stop() -> None:
    """Print what happened, mark a run as canceled, and end the process after a short time."""
    # This timer needs no Python thread, so it also fires while a library blocks all of them.
    faulthandler.dump_traceback_later(_SECONDS_TO_CLEAN_UP, exit=True, file=open(os.devnull, "w"))  # noqa: SIM115
    command = shlex.join(["lending", *sys.argv[1:]])
    message = f"\nstopped; the table in progress was not written; run `{command}` to continue\n"
    os.write(sys.stderr.fileno(), message.encode())
    # Discard standard error, because interrupted code would print tracebacks.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    if runs := sys.modules.get("lending_pipelines.runs"):
        with suppress(Exception):
            runs.cancel_run_of_this_process()
