"""Names of worksheets and files from titles, valid and unique."""

import re
import unicodedata
from collections.abc import Callable, Iterable

_SHEET_UNITS = 31
_FILE_CHARACTERS = 80


def sheet_names(titles: Iterable[str]) -> list[str]:
    """A worksheet name per title: at most 31 UTF-16 units, none of []:*?/\\ , no outer apostrophe, not History."""
    return _unique((_sheet_name(title) for title in titles), _shorten)


def file_names(titles: Iterable[str]) -> list[str]:
    """A file name without suffix per title: lower-case words joined by underscores."""
    return _unique((_file_name(title) for title in titles), lambda name, room: name[: _FILE_CHARACTERS - room])


def _sheet_name(title: str) -> str:
    name = re.sub(r"[\[\]:*?/\\\x00-\x1f]", " ", title).strip().strip("'").strip() or "Sheet"
    # Excel reserves this name.
    return f"{name}_" if name.casefold() == "history" else name


def _file_name(title: str) -> str:
    return re.sub(r"\W+", "_", unicodedata.normalize("NFC", title).casefold()).strip("_") or "table"


def _shorten(name: str, room: int) -> str:
    """The name in at most 31 UTF-16 units minus `room`, without a partial character at its end."""
    units = name.encode("utf-16-le")[: 2 * (_SHEET_UNITS - room)]
    return units.decode("utf-16-le", errors="ignore").rstrip(" '")


def _unique(names: Iterable[str], shorten: Callable[[str, int], str]) -> list[str]:
    """The names, shortened, with a number at the end of those that would repeat an earlier one."""
    taken: set[str] = set()
    result = []
    for name in names:
        unique, number = shorten(name, 0), 1
        while unique.casefold() in taken:
            number += 1
            ending = f" {number}" if shorten is _shorten else f"_{number}"
            unique = shorten(name, len(ending)) + ending
        taken.add(unique.casefold())
        result.append(unique)
    return result
