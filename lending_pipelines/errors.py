"""The base class of errors that a user can fix, and suggestions for unknown names.

The message is one line that names what is wrong, where, and what to do. The command line prints it without a traceback.
Subclasses are defined in the modules that raise them.
"""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from lending_pipelines.url_secrets import hide_secrets

LONGEST_QUOTED = 200
"""The maximum number of characters of a value that a message quotes."""

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and characters that UTF-8 cannot encode."""

_QUOTED = re.compile(r"(?<!\w)'((?:[^'\\]|\\.)*)'(?!\w)|(?<!\w)\"((?:[^\"\\]|\\.)*)\"(?!\w)", re.DOTALL)
_WORD = re.compile(rf"[^\s'\"]{{{LONGEST_QUOTED + 1},}}")


class LendingError(Exception):
    """An error that the user can fix: bad data, a wrong setting, a missing table.

    The message hides passwords, quotes at most 200 characters of a value, and has no control characters.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(_printable(_shortened(hide_secrets(str(message)))))


def _shortened(message: str) -> str:
    """The message with each quoted text and each word cut after 200 characters."""
    if len(message) <= LONGEST_QUOTED:
        return message
    cut = _QUOTED.sub(lambda quoted: _cut(quoted[0]), message)
    return _WORD.sub(lambda word: f"{word[0][:LONGEST_QUOTED]}…", cut)


def _cut(quoted: str) -> str:
    return quoted if len(quoted) <= LONGEST_QUOTED + 2 else f"{quoted[: LONGEST_QUOTED + 1]}…{quoted[-1]}"


def _printable(message: str) -> str:
    """The message with control characters, and characters that UTF-8 cannot encode, written as escapes."""
    return CONTROL.sub(lambda found: ascii(found[0])[1:-1], message)


def first_of(faults: Sequence[str], shown: int = 10) -> str:
    """The first faults on one line, and the number of the others."""
    more = f"; and {len(faults) - shown:,} more" if len(faults) > shown else ""
    return f"{'; '.join(faults[:shown])}{more}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error message about an unknown name: similar known names, or the first ten if none is similar."""
    by_folded = {candidate.casefold(): candidate for candidate in sorted(known)}
    near = [by_folded[folded] for folded in get_close_matches(name[:LONGEST_QUOTED].casefold(), by_folded)]
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    if not by_folded:
        return "none is defined"
    first = list(by_folded.values())[:10]
    return f"use one of {', '.join(map(repr, first))}{', …' if len(by_folded) > len(first) else ''}"
