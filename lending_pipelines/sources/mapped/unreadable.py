"""The error of a lender's table or file that cannot be read."""


class Unreadable(Exception):
    """A table of the lender cannot be read. The message says why, without the name of the mapping."""
