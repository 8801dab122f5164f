"""The message of every error: short quotes, no control characters, one line for errors of the machine."""

import errno
import sqlite3

import pytest
import sqlalchemy as sa

from lending_pipelines.errors import LendingError
from lending_pipelines.machine_errors import explanation


def test_a_message_quotes_at_most_200_characters_of_a_value():
    message = str(LendingError(f"loan {'x' * 5000!r} and {'y z' * 900!r} of the lender's book {'w' * 300}"))

    assert message == f"loan '{'x' * 200}…' and '{('y z' * 900)[:200]}…' of the lender's book {'w' * 200}…"


def test_a_message_has_no_control_characters_and_can_be_printed():
    message = str(LendingError("a\x00b\x1b[2J\ud800 é 💣\n"))

    assert message == "a\\x00b\\x1b[2J\\ud800 é 💣\n"
    message.encode()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/lake/x"), "/lake/x: the disk is full: free some space"),
        (PermissionError(errno.EACCES, "Permission denied", "/lake"), "/lake: this user has no permission"),
        (sqlite3.OperationalError("database is locked"), "database is locked: another process holds the database"),
        (sqlite3.OperationalError("database or disk is full"), "the disk is full"),
        (sqlite3.OperationalError("disk I/O error"), "the disk is full or has an error: look at its free space first"),
        (sqlite3.DatabaseError("file is not a database"), "restore it from a backup"),
        (ValueError("neither"), None),
    ],
)
def test_errors_of_the_machine_say_what_to_do(error, told):
    found = explanation(error)
    wrapped = sa.exc.OperationalError("SELECT 1", {}, error) if isinstance(error, sqlite3.Error) else RuntimeError("x")
    wrapped.__cause__ = error

    assert (found is None) if told is None else (told in str(found))
    assert explanation(wrapped) == found
