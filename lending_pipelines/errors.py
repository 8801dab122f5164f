"""The base of every error that a user can mend.

Its message is one line that names what is wrong, where, and what to do; the command line prints it without a trace.
Subclasses live beside the code that raises them.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class LendingError(Exception):
    """Something that the user can mend: bad data, a bad setting, a missing table."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """How an error about an unknown name ends: the nearest known names, or the first ten when none is near."""
    by_folded = {candidate.casefold(): candidate for candidate in sorted(known)}
    near = [by_folded[folded] for folded in get_close_matches(name.casefold(), by_folded)]
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    if not by_folded:
        return "there is none yet"
    first = list(by_folded.values())[:10]
    return f"there is {', '.join(map(repr, first))}{', …' if len(by_folded) > len(first) else ''}"
