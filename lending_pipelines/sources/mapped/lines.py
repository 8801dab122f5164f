"""The line of a setting in a TOML file, for error messages. tomllib does not return it."""

import re
from collections.abc import Sequence

_HEADER = re.compile(r"^\s*(\[\[?)(.*?)\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""^\s*((?:"[^"]*"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[\w-]+))*)\s*=""")
_PART = re.compile(r""""([^"]*)"|'([^']*)'|([\w-]+)""")


def line_of(text: str, place: Sequence[str | int]) -> int:
    """The number of the first line of a setting; if the file lacks it, of the nearest table or setting around it.

    Args:
        text: The TOML file.
        place: The names that lead to the setting. A number counts the tables of an array from 0; it may also stand
            after a table that is no array.
    """
    wanted = list(place)
    best, line_found = 0, 1
    section: list[str | int] = []
    arrays: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            names = _names(header[2])
            if header[1] == "[[":
                arrays[tuple(names)] = arrays.get(tuple(names), -1) + 1
            section = _numbered(names, arrays)
            found = section
        elif key := _KEY.match(line):
            found = [*section, *_names(key[1])]
        else:
            continue
        depth = _common(found, wanted)
        if depth == min(len(found), len(wanted)) and depth > best:
            best, line_found = depth, number
    return line_found


def _names(dotted: str) -> list[str]:
    """The parts of a dotted key."""
    return [double or single or bare for double, single, bare in _PART.findall(dotted)]


def _numbered(names: Sequence[str], arrays: dict[tuple[str, ...], int]) -> list[str | int]:
    """The names with the number of each array's table after the array."""
    numbered: list[str | int] = []
    for end, name in enumerate(names, start=1):
        numbered.append(name)
        if (index := arrays.get(tuple(names[:end]))) is not None:
            numbered.append(index)
        elif end == 2 and names[0] == "tables":
            # A servicing table that comes from one table of the lender is read as an array of one.
            numbered.append(0)
    return numbered


def _common(found: Sequence[str | int], wanted: Sequence[str | int]) -> int:
    """The number of equal parts at the beginning of two places."""
    depth = 0
    for left, right in zip(found, wanted, strict=False):
        if left != right:
            break
        depth += 1
    return depth
