"""The names of a chart's series, written at the ends of their lines or stacks."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

HEIGHT = 14
"""The pixels between one name and the next."""

_LONGEST = 34
"""The maximum number of letters of a series' name."""


def names(
    alt: Any,
    ends: Sequence[Mapping[str, Any]],
    apart: float,
    x: Any,
    colour: Any,
    beside: float = 0.0,
) -> Any:
    """The names of series at the given ends, moved apart where they would overlap.

    Args:
        alt: The module altair.
        ends: The last value of each series: series, value.
        apart: The minimum distance between two names, in units of the values.
        x: The horizontal position of the ends.
        colour: The encoding of the series' colours.
        beside: Pixels between an end and its name, in addition to the usual ones.
    """
    texts = [
        {**end, "value": value, "name": textwrap.shorten(end["series"], _LONGEST, placeholder="…")}
        for end, value in _spread(ends, apart)
    ]
    return (
        alt.Chart(alt.InlineData(values=texts))
        .mark_text(align="left", dx=7 + beside, fontSize=12)
        .encode(x=x, y="value:Q", text="name:N", color=colour)
    )


def stack_ends(values: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The middle of each part of the last stack."""
    ends, height = [], 0.0
    for row in values:
        if row["x"] == values[-1]["x"]:
            amount = row["value"] or 0.0
            ends.append({**row, "value": height + amount / 2})
            height += amount
    return ends


def _spread(ends: Iterable[Mapping[str, Any]], apart: float) -> Iterable[tuple[Mapping[str, Any], float]]:
    """The ends from the lowest to the highest, each at least `apart` above the one before."""
    last = float("-inf")
    for end in sorted(ends, key=lambda end: end["value"]):
        last = max(end["value"], last + apart)
        yield end, last
