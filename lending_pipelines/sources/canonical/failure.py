"""The error of a read that a database ends before its last row."""


class ReadFailed(Exception):
    """The server cannot be reached, rejects the SELECT, or stops before its end."""
