"""What an error of the machine means and what to do: a full disk, a lock, a missing permission, a broken database.

Errors in data and settings are LendingErrors, raised where they are found.
"""

import errno
import sqlite3
from collections.abc import Iterator

_AGAIN = "what was committed stays; then run the command again"

_BY_NUMBER = {
    errno.ENOSPC: f"the disk is full: free some space; {_AGAIN}",
    errno.EDQUOT: f"the disk quota is used up: free some space; {_AGAIN}",
    errno.EROFS: "the file system is read-only: mount it for writing, or choose another location",
    errno.EACCES: "this user has no permission: change the owner or the mode, or run as the owner",
    errno.EPERM: "this user has no permission: change the owner or the mode, or run as the owner",
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n)",
    errno.ENOMEM: "the memory is used up: lower memory_limit, or run fewer processes",
    errno.EIO: "the disk has an error: check it before anything else",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
}

_BY_TEXT = {
    "database is locked": "another process holds the database: wait until it ends; then run the command again",
    "database table is locked": "another process holds the database: wait until it ends; then run the command again",
    "database or disk is full": _BY_NUMBER[errno.ENOSPC],
    "readonly database": _BY_NUMBER[errno.EACCES],
    "disk I/O error": "the disk is full or has an error: look at its free space first",
    "unable to open database file": "the folder does not exist, or this user has no permission for it",
    "is not a database": "the file is not a SQLite database: restore it from a backup",
    "malformed": "the database file is damaged: restore it from a backup",
    "No space left on device": _BY_NUMBER[errno.ENOSPC],
}


def explanation(error: BaseException) -> str | None:
    """One line that says what happened and what to do; None when the machine did not cause the error."""
    for each in _chain(error):
        if isinstance(each, OSError) and each.errno in _BY_NUMBER:
            named = f"{each.filename}: " if each.filename else ""
            return f"{named}{_BY_NUMBER[each.errno]}"
        text = str(each)
        if advice := next((advice for words, advice in _BY_TEXT.items() if words in text), None):
            return f"{_first_line(text)}: {advice}"
        if isinstance(each, MemoryError):
            return _BY_NUMBER[errno.ENOMEM]
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what its database driver raised, and its causes."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        driver = getattr(error, "orig", None)
        if isinstance(driver, BaseException):
            yield driver
        if isinstance(error, OSError | MemoryError | sqlite3.Error):
            yield error
        error = error.__cause__ or error.__context__


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
