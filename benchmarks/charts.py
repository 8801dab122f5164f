"""Draws the results as SVG charts. Other modules measure."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.harness import Row


def ratios(rows: Sequence[Row], file: Path) -> None:
    """Each program's seconds ÷ those of this project, on a log scale, one panel per benchmark.

    Above 1, this project is faster.
    """
    import altair as alt

    values = [asdict(row) | {"label": f"{row.case} — {row.contender}"} for row in rows if row.ratio != 1]
    if not values:
        return
    ratio = alt.X("ratio:Q", scale=alt.Scale(type="log"), title="their seconds ÷ ours")
    dots = alt.Chart().mark_point(filled=True, size=60).encode(ratio, alt.Y("label:N", sort=None, title=None))
    one = alt.Chart().mark_rule(strokeDash=[4, 3]).encode(x=alt.datum(1))
    chart = alt.layer(dots, one, data=alt.Data(values=values)).facet(
        row=alt.Row("benchmark:N", title=None, header=alt.Header(labelOrient="top", labelAnchor="start"))
    )
    chart.resolve_scale(y="independent").save(file)


def cost(rows: Sequence[Row], file: Path) -> None:
    """CPU seconds of loan_positions by loan-days, on log scales. Linear cost is a straight line of slope 1."""
    import altair as alt

    values = [asdict(row) for row in rows if row.benchmark == "positions" and row.contender == "ours"]
    if not values:
        return
    x = alt.X("amount:Q", scale=alt.Scale(type="log"), title="loan-days")
    y = alt.Y("cpu_seconds:Q", scale=alt.Scale(type="log"), title="CPU seconds")
    points = alt.Chart().mark_point(filled=True, size=60).encode(x, y)
    names = alt.Chart().mark_text(dy=-9, fontSize=10).encode(x, y, text="case:N")
    alt.layer(points, names, data=alt.Data(values=values)).properties(width=560, height=300).save(file)
