"""The base class of errors that a user can fix, and suggestions for unknown names.

The message is one line that names what is wrong, where, and what to do. The command line prints it without a traceback.
Subclasses are defined in the modules that raise them.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class LendingError(Exception):
    """An error that the user can fix: bad data, a wrong setting, a missing table."""


def first_of(faults: Sequence[str], shown: int = 10) -> str:
    """The first faults as one line, and how many more there are."""
    more = f"; and {len(faults) - shown:,} more" if len(faults) > shown else ""
    return f"{'; '.join(faults[:shown])}{more}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error message about an unknown name: similar known names, or the first ten if none is similar."""
    by_folded = {candidate.casefold(): candidate for candidate in sorted(known)}
    near = [by_folded[folded] for folded in get_close_matches(name.casefold(), by_folded)]
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    if not by_folded:
        return "none is defined"
    first = list(by_folded.values())[:10]
    return f"use one of {', '.join(map(repr, first))}{', …' if len(by_folded) > len(first) else ''}"
