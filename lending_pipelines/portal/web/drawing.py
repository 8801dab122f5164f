"""The geometry of small drawings that the server makes as inline SVG: sparklines, bars of shares, shades of a heat map.

The templates write the SVG. Charts with axes are Altair specs; see charts.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby

Number = int | float | Decimal

SHADES = 5
"""The number of shades of a heat map, without the blank one."""


@dataclass(frozen=True)
class Sparkline:
    """A line in a box of `width` by `height`: SVG paths of the line and the area below it, and its last point."""

    width: int
    height: int
    line: str
    area: str
    last: tuple[float, float]


def sparkline(values: Sequence[Number | None], width: int = 96, height: int = 24) -> Sparkline | None:
    """The line through the values, with a gap at each None; None with fewer than two values."""
    known = [float(value) for value in values if value is not None]
    if len(known) < 2:
        return None
    low, high = min(known), max(known)
    inner = height - 4

    def point(place: int, value: Number) -> tuple[float, float]:
        up = (float(value) - low) / (high - low) if high > low else 0.5
        return round(place * width / (len(values) - 1), 1), round(2 + inner * (1 - up), 1)

    points = [None if value is None else point(place, value) for place, value in enumerate(values)]
    runs = [[p for p in run if p] for known_run, run in groupby(points, lambda p: p is not None) if known_run]
    lines = ["M" + "L".join(f"{x} {y}" for x, y in run) for run in runs]
    areas = [f"{line}V{height}H{run[0][0]}Z" for line, run in zip(lines, runs, strict=True)]
    return Sparkline(width, height, "".join(lines), "".join(areas), runs[-1][-1])


@dataclass(frozen=True)
class Share:
    """A part of a bar: where it starts and how wide it is, in percent of the bar."""

    start: float
    width: float


def shares(amounts: Sequence[Number | None]) -> list[Share]:
    """The parts of a bar of 100 percent in the order of the amounts. Negative and missing amounts have no width."""
    sizes = [max(float(amount), 0.0) if amount is not None else 0.0 for amount in amounts]
    total = sum(sizes)
    ends = [sum(sizes[: n + 1]) * 100 / total if total else 0.0 for n in range(len(sizes))]
    starts = [0.0, *ends]
    return [Share(round(start, 2), round(end - start, 2)) for start, end in zip(starts, ends, strict=False)]


def shade(value: Number | None, most: Number) -> int:
    """The shade of a heat map's cell, 0 to SHADES: 0 for zero and missing, SHADES for `most` and above."""
    if value is None or float(most) <= 0 or float(value) <= 0:
        return 0
    return min(SHADES, max(1, round(float(value) / float(most) * SHADES)))
