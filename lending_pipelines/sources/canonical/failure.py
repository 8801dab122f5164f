"""The errors of a database that is read, and their messages."""

from lending_pipelines.machine_errors import explanation


class ReadFailed(Exception):
    """The server cannot be reached, rejects the SELECT, or stops before its end."""


def one_line(error: Exception) -> str:
    """The message of a database error in one line, with what to do about an error of the machine."""
    return explanation(error) or " ".join(str(getattr(error, "orig", None) or error).split())
