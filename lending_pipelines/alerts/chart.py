"""The small chart of an alert's history: its number by day, and the threshold as a line."""

from typing import Any

LINE, LIMIT = "#0072B2", "#D55E00"
"""The colours of the number and of the threshold, which colour-blind readers can distinguish."""

WIDTH, HEIGHT, SCALE = 520, 110, 2
"""The plot in pixels, and the factor by which the picture is larger, for screens of high resolution."""

FEWEST_DAYS = 2
"""The minimum number of days of a history that is drawn."""


def png(data: dict[str, Any]) -> bytes | None:
    """The history of a notification as a PNG picture; None when it is too short."""
    history = data["history"]
    if len(history) < FEWEST_DAYS:
        return None
    import vl_convert

    return bytes(vl_convert.vegalite_to_png(altair_chart(data).to_dict(), scale=SCALE))


def altair_chart(data: dict[str, Any]) -> Any:
    """The chart of a notification's history, which has at least FEWEST_DAYS days."""
    import altair as alt

    factor = 100 if data["kind"] == "fraction" else 1
    unit = " + ' %'" if data["kind"] in ("fraction", "percent") else ""
    # A change is compared with its own threshold, which is not on the scale of the number.
    limit = data["threshold"] if data["detector"] in ("threshold", "covenant") else None
    rows = [{"day": day, "value": value * factor} for day, value in data["history"]]
    x = alt.X("day:T", title=None, scale=alt.Scale(type="utc"), axis=alt.Axis(format="%d %b", grid=False, tickCount=6))
    axis = alt.Axis(labelExpr=f"format(datum.value, '~s'){unit}", tickCount=4)
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False), axis=axis)
    base = alt.Chart(alt.InlineData(values=rows))
    layers = [
        base.mark_line(color=LINE, strokeWidth=2).encode(x=x, y=y),
        alt.Chart(alt.InlineData(values=rows[-1:])).mark_point(color=LINE, filled=True, size=60).encode(x=x, y=y),
    ]
    if limit is not None:
        rule = [{"value": limit * factor, "name": "threshold", "day": rows[0]["day"]}]
        limits = alt.Chart(alt.InlineData(values=rule))
        layers.append(limits.mark_rule(color=LIMIT, strokeDash=[6, 4], strokeWidth=1.5).encode(y=y))
        text = limits.mark_text(align="left", baseline="bottom", dx=14, dy=-3, color=LIMIT, fontSize=11)
        layers.append(text.encode(x=x, y=y, text="name:N"))
    return (
        alt.layer(*layers)
        .properties(width=WIDTH, height=HEIGHT)
        .configure(font="Liberation Sans, sans-serif", background="white")
        .configure_axis(labelFontSize=11, gridColor="#E3E3E3")
        .configure_view(stroke=None)
    )
