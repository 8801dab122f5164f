import json
import os
import subprocess
import sys
from datetime import date
from decimal import Decimal

import pandas as pd
import pytest

from lending_pipelines.exports.charts import GREY, NARROW, PALETTE, altair_chart, coloured, drawable, steps, svg
from lending_pipelines.reports.book import Chart, ReportColumn, ReportTable

COLUMNS = (
    ReportColumn("on", "Business date", "date"),
    ReportColumn("bucket", "Bucket", "text"),
    ReportColumn("age", "Months on book", "count"),
    ReportColumn("balance", "Balance", "money"),
    ReportColumn("late", "Late [=1]", "money"),
    ReportColumn("par", "PAR 30", "rate"),
)
ROWS = [
    (date(2025, 1, 31), "30-59", 1, Decimal("100.10"), None, 0.25),
    (date(2025, 2, 28), "1-29", 2, Decimal("-50.00"), Decimal("2.50"), 0.5),
]
TABLE = ReportTable("T", COLUMNS, pd.DataFrame(ROWS, columns=[c.name for c in COLUMNS], dtype=object))


def spec(kind, x, *y, title="Title"):
    return altair_chart(Chart(title, "T", kind, x, y), TABLE).to_dict()


def test_the_data_is_every_value_of_every_series():
    values = next(iter(spec("line", "on", "balance", "late")["datasets"].values()))
    assert values == [
        {"x": "2025-01-31", "series": "Balance", "place": 0, "value": 100.1},
        {"x": "2025-01-31", "series": "Late [=1]", "place": 1, "value": None},
        {"x": "2025-02-28", "series": "Balance", "place": 0, "value": -50.0},
        {"x": "2025-02-28", "series": "Late [=1]", "place": 1, "value": 2.5},
    ]


def test_lines_over_dates_are_to_scale_in_utc_with_the_days_as_ticks():
    found = spec("line", "on", "balance")["layer"][0]
    assert found["mark"]["type"] == "line"
    assert (found["encoding"]["x"]["type"], found["encoding"]["x"]["scale"]) == ("temporal", {"type": "utc"})
    assert found["encoding"]["x"]["axis"]["values"] == [
        {"year": 2025, "month": 1, "date": 31, "utc": True},
        {"year": 2025, "month": 2, "date": 28, "utc": True},
    ]


def test_bars_stand_in_the_order_of_the_rows_and_series_in_that_of_the_chart():
    stacked = spec("stacked", "bucket", "late", "balance")["layer"][0]["encoding"]
    bars = spec("bar", "bucket", "late", "balance")["encoding"]
    for encoding in (stacked, bars):
        assert (encoding["x"]["type"], encoding["x"]["sort"]) == ("nominal", None)
        assert encoding["color"]["scale"] == {"domain": ["Late [=1]", "Balance"], "range": list(PALETTE[:2])}
        assert encoding["order"]["field"] == "place"
    assert "xOffset" in bars
    assert "xOffset" not in stacked


def test_a_line_over_a_count_is_to_scale():
    assert spec("line", "age", "par")["layer"][0]["encoding"]["x"]["type"] == "quantitative"


def test_axes_show_money_short_and_rates_as_percentages():
    assert "Balance" in svg(Chart("C", "T", "line", "on", ("balance",)), TABLE)
    assert ">50%<" in svg(Chart("C", "T", "line", "on", ("par",)), TABLE)
    billions = ReportTable("T", COLUMNS[:4], TABLE.frame.assign(balance=[Decimal("2e9"), Decimal("4e9")]))
    assert ">2B<" in svg(Chart("C", "T", "bar", "on", ("balance",)), billions)


def test_counts_have_no_fractions_on_their_axis():
    drawn = svg(Chart("C", "T", "bar", "bucket", ("age",)), ReportTable("T", COLUMNS, TABLE.frame.assign(age=[1, 0])))
    assert ">1<" in drawn
    assert not any(f">{text}<" in drawn for text in ("0.2", "0.5", "200m", "500m"))


def test_a_day_is_that_day_west_of_greenwich():
    days = ReportTable("T", COLUMNS, TABLE.frame.assign(on=[date(2025, 2, 1), date(2025, 2, 28)]))
    chart = Chart("C", "T", "line", "on", ("balance",))
    draw = "import json, sys, vl_convert; print(vl_convert.vegalite_to_svg(json.load(sys.stdin)))"
    drawn = subprocess.run(
        [sys.executable, "-c", draw],
        input=json.dumps(altair_chart(chart, days).to_dict()),
        env=os.environ | {"TZ": "America/Los_Angeles"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert ">2025-02-01<" in drawn
    assert ">2025-02-28<" in drawn


def test_month_ends_are_named_by_their_month():
    for kind in ("line", "bar"):
        drawn = svg(Chart("C", "T", kind, "on", ("balance",)), TABLE)
        assert ">2025-01<" in drawn
        assert ">2025-02<" in drawn


def test_bars_with_long_names_lie_on_their_side_and_those_of_periods_stand():
    frame = TABLE.frame.assign(bucket=["Working capital loan", "Vehicle loan"])
    long = ReportTable("T", COLUMNS, frame)
    flat = altair_chart(Chart("C", "T", "bar", "bucket", ("balance",)), long).to_dict()["encoding"]
    assert (flat["y"]["field"], flat["y"]["sort"], flat["x"]["field"]) == ("x", None, "value")
    assert ">Working capital loan<" in svg(Chart("C", "T", "bar", "bucket", ("balance",)), long)
    months = ReportTable("T", COLUMNS, TABLE.frame.assign(bucket=["2025-01-31", "2025-02-28"]))
    assert (
        altair_chart(Chart("C", "T", "bar", "bucket", ("balance",)), months).to_dict()["encoding"]["x"]["field"] == "x"
    )


def test_a_chart_of_zeros_is_not_drawable():
    zeros = ReportTable("T", COLUMNS, TABLE.frame.assign(balance=Decimal("0.00"), late=None))
    chart = Chart("C", "T", "bar", "on", ("balance", "late"))
    assert not drawable(chart, zeros)
    assert drawable(chart, TABLE)


def test_names_of_lines_that_end_early_stand_at_the_right_edge_apart():
    # The second line ends a month before the first, at the same height: its name would stand on the first line.
    frame = TABLE.frame.assign(balance=Decimal("5.00"), late=[Decimal("5.00"), None])
    table = ReportTable("T", COLUMNS, frame)
    layers = altair_chart(Chart("C", "T", "line", "on", ("balance", "late")), table, NARROW).to_dict()
    names = layers["layer"][-1]
    assert names["encoding"]["x"] == {"value": "width"}
    heights = sorted(row["value"] for row in layers["datasets"][names["data"]["name"]])
    # 14 pixels of 170 are 14/170 of the largest value, 5.
    assert heights == [5.0, pytest.approx(5.0 + 5 * 14 / 170)]


def test_a_title_of_200_letters_is_wrapped():
    title = spec("line", "on", "balance", title="Long title " * 18)["title"]
    assert len(title) == 3
    assert max(map(len, title)) <= 70


@pytest.mark.parametrize("kind", ["line", "bar", "stacked"])
def test_a_chart_is_always_the_same_picture(kind):
    chart = Chart("Title", "T", kind, "on", ("balance", "late"))
    assert svg(chart, TABLE).startswith("<svg")
    assert svg(chart, TABLE) == svg(chart, TABLE)


def test_six_lines_have_a_colour_and_a_name_and_the_others_are_grey():
    # Eight lines end at 0, 1, … 7: the six that end highest are c2 to c7.
    columns = (COLUMNS[0], *(ReportColumn(f"c{n}", f"Line {n}", "rate") for n in range(8)))
    rows = [(date(2025, 1, 31), *[9.0] * 8), (date(2025, 2, 28), *map(float, range(8)))]
    table = ReportTable("T", columns, pd.DataFrame(rows, columns=[c.name for c in columns], dtype=object))
    chart = Chart("Lines", "T", "line", "on", tuple(f"c{n}" for n in range(8)))

    colours = coloured(chart, table)
    assert [name for name, colour in colours.items() if colour == GREY] == ["c0", "c1"]
    assert len(set(colours.values())) == 7
    drawn = svg(chart, table)
    assert all(f">Line {n}<" in drawn for n in range(2, 8))
    assert not any(f">Line {n}<" in drawn for n in (0, 1))
    scales = altair_chart(chart, table).to_dict()["layer"][0]["encoding"]
    widths = dict(zip(scales["strokeWidth"]["scale"]["domain"], scales["strokeWidth"]["scale"]["range"], strict=True))
    assert [widths[f"Line {n}"] for n in range(8)] == [1, 1, 2, 2, 2, 2, 2, 2]


def test_a_stack_is_named_at_its_end():
    drawn = svg(Chart("C", "T", "stacked", "on", ("balance", "late")), TABLE)
    assert ">Balance<" in drawn
    assert ">Late [=1]<" in drawn


def test_a_waterfalls_deductions_go_down_from_the_amount_before_them_and_every_bar_is_named():
    columns = (ReportColumn("item", "Item", "text"), ReportColumn("amount", "Amount", "money"))
    lines = [
        ("All", "100.00"),
        ("Less: late", "30.00"),
        ("Eligible", "70.00"),
        ("Limit", None),
        ("Less: drawn", "80.00"),
    ]
    rows = [(item, None if amount is None else Decimal(amount)) for item, amount in lines]
    table = ReportTable("T", columns, pd.DataFrame(rows, columns=["item", "amount"], dtype=object))
    chart = Chart("Base", "T", "waterfall", "item", ("amount",), ("Less: late", "Less: drawn"))

    assert steps(chart, table) == [
        ("All", 0.0, 100.0),
        ("Less: late", 70.0, 100.0),
        ("Eligible", 0.0, 70.0),
        ("Less: drawn", -10.0, 70.0),
    ]
    drawn = svg(chart, table)
    assert all(f">{word}<" in drawn for word in ("All", "late", "Eligible", "drawn", "100", "−30", "−80"))
