"""Charts of invented numbers for the gallery, made in the same way as those of the pages."""

from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd

from lending_pipelines.portal.web.charts import web_chart, web_spec
from lending_pipelines.reports.book import Chart, ReportColumn, ReportTable

_MONTHS = [date(2026, month, 1) for month in range(1, 12)]


def charts() -> dict[str, Any]:
    """A line, a stack, bars, a waterfall, and a heat map that is not a report's chart."""
    return {"line": _line(), "stack": _stack(), "bars": _bars(), "waterfall": _waterfall(), "heat": _heat()}


def _line() -> Any:
    columns = (
        ReportColumn("month", "Month", "date"),
        ReportColumn("small", "Small business lending", "money"),
        ReportColumn("consumer", "Consumer lending", "money"),
        ReportColumn("rural", "Rural inclusion", "money"),
    )
    frame = pd.DataFrame(
        {
            "month": _MONTHS,
            "small": [Decimal(14_000_000 + 410_000 * n + 90_000 * (n % 3)) for n in range(11)],
            "consumer": [Decimal(16_900_000 - 90_000 * n) for n in range(11)],
            "rural": [Decimal(6_100_000 + 95_000 * n - 60_000 * (n % 4)) for n in range(11)],
        }
    )
    table = ReportTable("Balances", columns, frame)
    return web_chart(
        Chart("Principal outstanding by program, USD", "Balances", "line", "month", ("small", "consumer", "rural")),
        table,
    )


def _stack() -> Any:
    names = ("Current", "1–29 days", "30–59 days", "60–89 days", "90 or more")
    columns = (
        ReportColumn("month", "Month", "date"),
        *(ReportColumn(f"b{n}", name, "money") for n, name in enumerate(names)),
    )
    sizes = (36_000_000, 2_400_000, 1_100_000, 600_000, 1_500_000)
    frame = pd.DataFrame(
        {"month": _MONTHS}
        | {f"b{n}": [Decimal(size + size // 40 * k * (n + 1) // 2) for k in range(11)] for n, size in enumerate(sizes)}
    )
    table = ReportTable("Aging", columns, frame)
    return web_chart(
        Chart("Aging of the book, USD", "Aging", "stacked", "month", tuple(f"b{n}" for n in range(5))), table
    )


def _bars() -> Any:
    columns = (ReportColumn("branch", "Branch", "text"), ReportColumn("par", "PAR 30", "rate"))
    names = ["Springfield", "Riverside", "Georgetown and the northern villages", "Lisbon", "<b>Fairview</b>"]
    frame = pd.DataFrame({"branch": names, "par": [0.031, 0.044, 0.087, 0.021, 0.052]})
    return web_chart(
        Chart("PAR 30 by branch", "Branches", "bar", "branch", ("par",)), ReportTable("Branches", columns, frame)
    )


def _waterfall() -> Any:
    columns = (ReportColumn("step", "Step", "text"), ReportColumn("amount", "Amount", "money"))
    steps = [
        ("Opening balance", "41200000"),
        ("Payments", "3100000"),
        ("Charge-offs", "210000"),
        ("Closing balance", "37890000"),
    ]
    frame = pd.DataFrame({"step": [name for name, _ in steps], "amount": [Decimal(amount) for _, amount in steps]})
    chart = Chart(
        "From opening to closing balance",
        "Steps",
        "waterfall",
        "step",
        ("amount",),
        deductions=("Payments", "Charge-offs"),
    )
    return web_chart(chart, ReportTable("Steps", columns, frame))


def _heat() -> dict[str, Any]:
    import altair as alt

    rows = [
        {"cohort": f"2026-{cohort:02}", "age": age, "loss": round(0.004 * age * (1 + cohort % 3 / 3), 4)}
        for cohort in range(1, 9)
        for age in range(1, 10 - cohort)
    ]
    drawn = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_rect()
        .encode(
            x=alt.X("age:O", title="Months since origination", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("cohort:O", title=None),
            color=alt.Color(
                "loss:Q",
                title="Loss",
                legend=alt.Legend(format=".1%"),
                scale=alt.Scale(range=["var(--chart-low)", "var(--chart-high)"]),
            ),
        )
        .properties(height=200)
    )
    columns = [
        {"name": "cohort", "label": "Cohort"},
        {"name": "age", "label": "Month", "kind": "count"},
        {"name": "loss", "label": "Loss", "kind": "rate"},
    ]
    return {"title": "Losses by cohort", "spec": web_spec(drawn), "columns": columns, "rows": rows}
