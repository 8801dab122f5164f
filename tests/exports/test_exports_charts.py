import json
import os
import subprocess
import sys
from datetime import date
from decimal import Decimal

import pandas as pd
import pytest

from lending_pipelines.exports.charts import PALETTE, altair_chart, svg
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
    [values] = spec("line", "on", "balance", "late")["datasets"].values()
    assert values == [
        {"x": "2025-01-31", "series": "Balance", "place": 0, "value": 100.1},
        {"x": "2025-01-31", "series": "Late [=1]", "place": 1, "value": None},
        {"x": "2025-02-28", "series": "Balance", "place": 0, "value": -50.0},
        {"x": "2025-02-28", "series": "Late [=1]", "place": 1, "value": 2.5},
    ]


def test_lines_over_dates_are_to_scale_in_utc_with_the_days_as_ticks():
    found = spec("line", "on", "balance")
    assert found["mark"]["type"] == "line"
    assert (found["encoding"]["x"]["type"], found["encoding"]["x"]["scale"]) == ("temporal", {"type": "utc"})
    assert found["encoding"]["x"]["axis"]["values"] == [
        {"year": 2025, "month": 1, "date": 31, "utc": True},
        {"year": 2025, "month": 2, "date": 28, "utc": True},
    ]


def test_bars_stand_in_the_order_of_the_rows_and_series_in_that_of_the_chart():
    stacked, bars = (spec(kind, "bucket", "late", "balance")["encoding"] for kind in ("stacked", "bar"))
    for encoding in (stacked, bars):
        assert (encoding["x"]["type"], encoding["x"]["sort"]) == ("nominal", None)
        assert encoding["color"]["scale"] == {"domain": ["Late [=1]", "Balance"], "range": list(PALETTE[:2])}
        assert encoding["order"]["field"] == "place"
    assert "xOffset" in bars
    assert "xOffset" not in stacked


def test_a_line_over_a_count_is_to_scale():
    assert spec("line", "age", "par")["encoding"]["x"]["type"] == "quantitative"


def test_axes_show_money_short_and_rates_as_percentages():
    assert "Balance" in svg(Chart("C", "T", "line", "on", ("balance",)), TABLE)
    assert ">50%<" in svg(Chart("C", "T", "line", "on", ("par",)), TABLE)
    billions = ReportTable("T", COLUMNS[:4], TABLE.frame.assign(balance=[Decimal("2e9"), Decimal("4e9")]))
    assert ">2B<" in svg(Chart("C", "T", "bar", "on", ("balance",)), billions)


def test_a_day_is_that_day_west_of_greenwich():
    draw = "import json, sys, vl_convert; print(vl_convert.vegalite_to_svg(json.load(sys.stdin)))"
    drawn = subprocess.run(
        [sys.executable, "-c", draw],
        input=json.dumps(spec("line", "on", "balance")),
        env=os.environ | {"TZ": "America/Los_Angeles"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert ">2025-01-31<" in drawn
    assert ">2025-02-28<" in drawn


def test_a_title_of_200_letters_is_wrapped():
    title = spec("line", "on", "balance", title="Long title " * 18)["title"]
    assert len(title) == 3
    assert max(map(len, title)) <= 70


@pytest.mark.parametrize("kind", ["line", "bar", "stacked"])
def test_a_chart_is_always_the_same_picture(kind):
    chart = Chart("Title", "T", kind, "on", ("balance", "late"))
    assert svg(chart, TABLE).startswith("<svg")
    assert svg(chart, TABLE) == svg(chart, TABLE)
