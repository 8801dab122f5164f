"""Fits a table on paper: font size, column widths, and the layout of tables wider than the page.

A wide table with few rows is transposed; one with many rows is split into parts that each repeat the key columns.
Widths are estimated from the letter widths of the font in report.typ.
"""

import heapq
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import accumulate
from typing import Literal

Line = Literal["row", "marked", "heading", "bound"]
"""The kind of a line of a table: a row, a highlighted row, a section's heading, or its opening or closing row."""

PORTRAIT, LANDSCAPE = 493.0, 740.0
"""The width between the margins of a page, in points."""

INSET = 4.0
"""Points left and right of a cell's text."""

# Font size in points and the widest column of text in ems, from comfortable to tight.
_LOOKS = ((8.5, 36.0), (8.5, 20.0), (7.5, 20.0), (7.0, 13.0))
_FEW_ROWS = 3
"""A table of at most this many rows, with totals, is transposed if it is too wide."""
_FEW_COLUMNS = 3
"""A table with at most this many columns is never transposed."""
_HEADER_LINES = 2
"""The lines into which a label is wrapped, unless a word is longer."""
_BOLD = 1.1
"""The width of bold text as a multiple of the normal width."""
_ZERO_WIDTH_SPACE = "\u200b"
_EMS = (
    dict.fromkeys("0123456789€£$_#?", 0.47)
    | dict.fromkeys(" ,.;:'|!()[]{}\\iljI", 0.26)
    | dict.fromkeys("-/frt", 0.35)
    | dict.fromkeys("ABCDEFGHKLNOPQRSTUVXYZ&%", 0.68)
    | dict.fromkeys("mwMW@—…", 0.9)
)
"""The approximate width of letters in ems."""
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Grid:
    """A table as text, totals below its rows.

    Attributes:
        right: Columns that are aligned right.
        whole: Columns that are never wrapped.
        lines: The kind of each row; empty if all are plain rows.
        fills: How dark each cell is, from 0 to 1; empty if none is shaded.
    """

    labels: list[str]
    right: list[bool]
    whole: list[bool]
    rows: list[list[str]]
    totals: list[list[str]]
    lines: list[Line] = field(default_factory=list)
    fills: list[list[float | None]] = field(default_factory=list)

    def columns(self, numbers: Sequence[int]) -> "Grid":
        """A grid of some of the columns."""
        return Grid(
            [self.labels[n] for n in numbers],
            [self.right[n] for n in numbers],
            [self.whole[n] for n in numbers],
            [[row[n] for n in numbers] for row in self.rows],
            [[row[n] for n in numbers] for row in self.totals],
            self.lines,
            [[row[n] for n in numbers] for row in self.fills],
        )

    @property
    def plain(self) -> list[list[str]]:
        """The rows that are not headings."""
        if not self.lines:
            return self.rows
        return [row for row, line in zip(self.rows, self.lines, strict=True) if line != "heading"]

    def transposed(self) -> "Grid":
        """The transposed table; the first column that distinguishes the rows becomes the header."""
        lines = [list(line) for line in zip(self.labels, *self.rows, *self.totals, strict=True)]
        header = lines.pop(next((n for n, line in enumerate(lines) if len(set(line)) == len(line)), 0))
        return Grid(header, [False, *[True] * (len(header) - 1)], [False] * len(header), lines, [])


@dataclass(frozen=True)
class Look:
    """A font size and the width of every column, in points."""

    size: float
    widths: list[float]


@dataclass(frozen=True)
class Part:
    """A grid that fits on the page with the widths of its look. `caption` distinguishes the parts of a table."""

    grid: Grid
    look: Look
    caption: str = ""


def upright(grid: Grid) -> Grid:
    """The grid, transposed if it has few rows and is too wide for a page in portrait."""
    few = len(grid.rows) + len(grid.totals) <= _FEW_ROWS and len(grid.labels) > _FEW_COLUMNS
    return grid.transposed() if few and fitting(grid, PORTRAIT) is None else grid


def fitting(grid: Grid, room: float) -> Look | None:
    """The most comfortable look in which all columns fit side by side; None if there is none."""
    return next((look for look in _looks(grid) if sum(look.widths) <= room), None)


def parts(grid: Grid, room: float) -> list[Part]:
    """The grid in as few parts as possible, each with the key columns."""
    whole = fitting(grid, room)
    if whole is not None:
        return [_part(grid, whole, range(len(whole.widths)))]
    splits = [(look, *_split(grid, look, room)) for look in _looks(grid)]
    look, keys, groups = min(splits, key=lambda split: len(split[-1]))
    captions = [
        f"Part {number} of {len(groups)}: {grid.labels[group[0]]} to {grid.labels[group[-1]]}"
        for number, group in enumerate(groups, start=1)
    ]
    made = [_part(grid, look, [*keys, *group], caption) for group, caption in zip(groups, captions, strict=True)]
    return [_without_empty_totals(part, len(keys)) for part in made]


def breakable(text: str, points: float, size: float) -> str:
    """The text with zero-width break points in words that are wider than a line."""
    room = points / size + _ROUNDING
    if len(text) < room or ems(text) <= room:
        return text
    letters = max(1, int(room / 0.7))
    return re.sub(r"\S+", lambda word: word[0] if ems(word[0]) <= room else _cut(word[0], letters), text)


def ems(text: str) -> float:
    """The approximate width of the text in ems, rather too large than too small."""
    return sum(_EMS.get(letter) or _em(letter) for letter in text)


@cache
def _em(letter: str) -> float:
    if unicodedata.east_asian_width(letter) in "WF":
        return 1.0
    return 0.8 if letter.isupper() else 0.6


def _cut(word: str, letters: int) -> str:
    return _ZERO_WIDTH_SPACE.join(word[n : n + letters] for n in range(0, len(word), letters))


def _looks(grid: Grid) -> Iterator[Look]:
    for size, widest in _LOOKS:
        yield Look(size, [_ems_of_column(grid, n, widest) * size + 2 * INSET for n in range(len(grid.labels))])


def _ems_of_column(grid: Grid, n: int, widest: float) -> float:
    """The width of a column in ems. Numbers are never wrapped; text and headers are wrapped at `widest`."""
    cells = max((ems(text) for text in _longest(row[n] for row in grid.plain)), default=0.0)
    natural = max(cells, *(_BOLD * ems(row[n]) for row in grid.totals), 1.0)
    words = max(map(ems, grid.labels[n].split()), default=0.0)
    header = _BOLD * max(words, ems(grid.labels[n]) / _HEADER_LINES)
    return max(natural if grid.whole[n] else min(natural, widest), min(header, widest))


def _longest(texts: Iterable[str]) -> list[str]:
    """The five texts with the most letters, so that not every cell is measured."""
    return heapq.nlargest(5, set(texts), key=len)


def _split(grid: Grid, look: Look, room: float) -> tuple[list[int], list[list[int]]]:
    """The key columns, and the other columns in groups that fit next to them."""
    keys = _keys(grid, look.widths, room / 3)
    free = room - sum(look.widths[n] for n in keys)
    groups: list[list[int]] = [[]]
    for n in range(len(keys), len(look.widths)):
        if groups[-1] and sum(look.widths[m] for m in (*groups[-1], n)) > free:
            groups.append([])
        groups[-1].append(n)
    return keys, groups


def _keys(grid: Grid, widths: Sequence[float], room: float) -> list[int]:
    """The columns that identify a row: the text columns before the first number, as far as they fit."""
    text = next((n for n, right in enumerate(grid.right) if right), len(grid.right))
    roomy = sum(width <= room for width in accumulate(widths[:text]))
    return list(range(max(1, min(roomy, len(widths) - 1))))


def _part(grid: Grid, look: Look, columns: Sequence[int], caption: str = "") -> Part:
    """Some columns of the grid, with breakable words."""
    chosen, widths = grid.columns(columns), [look.widths[n] for n in columns]

    def row(cells: list[str]) -> list[str]:
        return [breakable(cell, width - 2 * INSET, look.size) for cell, width in zip(cells, widths, strict=True)]

    labels = [
        breakable(label, (width - 2 * INSET) / _BOLD, look.size)
        for label, width in zip(chosen.labels, widths, strict=True)
    ]
    lines = chosen.lines or ["row"] * len(chosen.rows)
    rows = [cells if line == "heading" else row(cells) for cells, line in zip(chosen.rows, lines, strict=True)]
    broken = replace(chosen, labels=labels, rows=rows, totals=[*map(row, chosen.totals)])
    return Part(broken, Look(look.size, widths), caption)


def _without_empty_totals(part: Part, keys: int) -> Part:
    return replace(part, grid=replace(part.grid, totals=[total for total in part.grid.totals if any(total[keys:])]))
