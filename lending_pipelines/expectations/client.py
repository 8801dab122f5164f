"""Starts the validating process and sends requests to it. All runs of this Python process share one."""

import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import count
from typing import Any

from lending_pipelines.errors import LendingError
from lending_pipelines.expectations.messages import Suite, Verdict

_one_run_at_a_time = threading.Lock()
_processes: list[subprocess.Popen[bytes]] = []
_numbers = count()


class ValidationError(LendingError):
    """Great Expectations did not answer or could not evaluate an expectation."""


class Expectations:
    """Great Expectations for one run: validates suites and writes their Data Docs.

    One thread sends the requests, in order, and waits for the answers, so that the run can do other work.
    """

    def __init__(self, process: subprocess.Popen[bytes], thread: ThreadPoolExecutor):
        self._process = process
        self._thread = thread
        self._send("start", None)

    def validate(self, suite: Suite) -> Future[Verdict]:
        """Start the validation of the suite's rows. The future raises ValidationError if it fails."""
        return self._thread.submit(self._ask, "validate", suite)

    def site(self) -> str:
        """The local folder of the run's Data Docs. The next run replaces it."""
        return self._thread.submit(self._ask, "site", None).result()

    def _ask(self, method: str, argument: Any) -> Any:
        return self._receive(self._send(method, argument))

    def _send(self, method: str, argument: Any) -> int:
        assert self._process.stdin
        number = next(_numbers)
        try:
            pickle.dump((number, method, argument), self._process.stdin)
            self._process.stdin.flush()
        except OSError as error:
            raise self._ended() from error
        return number

    def _receive(self, number: int) -> Any:
        assert self._process.stdout
        answered = -1
        # "start" is not awaited. Its answer comes seconds later, after the process has imported its libraries.
        while answered != number:
            try:
                answered, succeeded, answer = pickle.load(self._process.stdout)
            except EOFError as error:
                raise self._ended() from error
        if not succeeded:
            raise ValidationError(f"Great Expectations: {answer}")
        return answer

    def _ended(self) -> ValidationError:
        status = self._process.wait()
        return ValidationError(
            f"the process that runs Great Expectations ended with status {status}: run the checks again"
        )


@contextmanager
def expectations() -> Iterator[Expectations]:
    """Great Expectations for one run; see `start` for its process."""
    with _one_run_at_a_time:
        thread = ThreadPoolExecutor(1, "great-expectations")
        try:
            yield Expectations(start(), thread)
        finally:
            # A failed run does not wait for suites that are queued.
            thread.shutdown(cancel_futures=True)


def validate_alone(suite: Suite) -> Future[Verdict]:
    """Validate one suite in a run of its own, which ends before this function returns."""
    with expectations() as opened:
        begun = opened.validate(suite)
        wait([begun])
    return begun


def start() -> subprocess.Popen[bytes]:
    """The validating process. It is started if it is not running.

    Returns at once, while the process still imports Great Expectations. The process ends when this Python process ends,
    because its input is then closed.
    """
    if not _processes or _processes[-1].poll() is not None:
        command = [sys.executable, "-m", "lending_pipelines.expectations.worker"]
        # In a separate process group, the process does not receive Ctrl-C from the terminal.
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)
        _processes[:] = [process]
    return _processes[-1]
