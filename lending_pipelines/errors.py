"""The base of every error that a user can mend.

Its message is one line that names what is wrong, where, and what to do; the command line prints it without a trace.
Subclasses live beside the code that raises them.
"""


class LendingError(Exception):
    """Something that the user can mend: bad data, a bad setting, a missing table."""
