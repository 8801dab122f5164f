"""Charts as specs for a browser, and the files that a browser keeps."""

import json
from datetime import date
from decimal import Decimal

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from lending_pipelines.exports.charts import PALETTE
from lending_pipelines.portal.gallery.app import create_gallery
from lending_pipelines.portal.web.charts import web_chart
from lending_pipelines.portal.web.formats import Formats
from lending_pipelines.portal.web.pages import environment_of
from lending_pipelines.portal.web.static_files import STYLES, static_path
from lending_pipelines.reports.book import Chart, ReportColumn, ReportTable

COLUMNS = (
    ReportColumn("month", "Month", "date"),
    ReportColumn("balance", "Balance </script>", "money"),
    ReportColumn("par", "PAR 30", "rate"),
)
FRAME = pd.DataFrame(
    {
        "month": [date(2026, 1, 31), date(2026, 2, 28)],
        "balance": [Decimal("10.00"), Decimal("12.50")],
        "par": [0.05, 0.04],
    }
)
TABLE = ReportTable("T", COLUMNS, FRAME)


@pytest.fixture(scope="module")
def client():
    return TestClient(create_gallery())


@pytest.mark.parametrize("kind", ["line", "bar", "stacked"])
def test_a_chart_has_the_colours_and_the_width_of_the_page(kind):
    made = web_chart(Chart("Balances", "T", kind, "month", ("balance",)), TABLE)
    text = json.dumps(made.spec)
    assert made.spec["width"] == "container"
    assert "config" not in made.spec
    assert "var(--chart-1)" in text
    # The name at the end of a line is written in a colour for letters.
    assert ("var(--chart-1-name)" in text) == (kind == "line")
    assert not any(colour in text for colour in PALETTE)


def test_the_table_of_a_chart_has_what_it_draws():
    made = web_chart(Chart("Balances", "T", "line", "month", ("balance",)), TABLE)
    assert [column.name for column in made.columns] == ["month", "balance"]
    assert made.rows[1] == {"month": date(2026, 2, 28), "balance": Decimal("12.50")}


def test_a_mark_tells_its_exact_value_in_the_format_of_its_kind():
    def of(name):
        spec = web_chart(Chart("C", "T", "bar", "month", (name,)), TABLE).spec
        return {each["title"]: each.get("format") for each in spec["encoding"]["tooltip"]}

    assert of("balance") == {"Month": None, "Series": None, "Value": ",.2f"}
    assert of("par")["Value"] == ".2%"


def test_nothing_to_draw_has_no_spec():
    empty = ReportTable("T", COLUMNS, FRAME.iloc[:0], no_data="There are no loans.")
    zeros = ReportTable("T", COLUMNS, FRAME.assign(balance=Decimal("0.00")))
    for table, rows in ((empty, 0), (zeros, 2)):
        made = web_chart(Chart("C", "T", "line", "month", ("balance",)), table)
        assert made.spec is None
        assert len(made.rows) == rows


def test_a_spec_cannot_end_its_attribute():
    made = web_chart(Chart("C", "T", "line", "month", ("balance",)), TABLE)
    page = environment_of(Formats("de", "UTC")).from_string(
        '{% from "components/chart.html" import web_chart %}{{ web_chart(made) }}'
    )
    html = page.render(made=made)
    spec = html.split("data-plot='")[1].split("'")[0]
    assert json.loads(spec) == made.spec
    # The table has the lender's format: a comma before the cents.
    assert "12,50" in html


def test_files_are_kept_for_good_at_the_address_of_their_content(client):
    path = static_path("portal.css")
    answer = client.get(path, headers={"accept-encoding": "gzip"})
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < len(answer.content) / 3
    assert answer.content == client.get(path, headers={"accept-encoding": "identity"}).content
    # One comment at the head of each part.
    assert answer.text.count("/* ") >= len(STYLES)
    other = client.get("/static/000000000000/portal.css")
    assert (other.status_code, other.headers["cache-control"]) == (200, "no-cache")
    for name in ("tokens.css", "..%2Fapp.py", "unknown.js"):
        assert client.get(f"/static/000000000000/{name}").status_code == 404


def test_the_chart_library_is_the_bundle_of_vl_convert(client):
    answer = client.get(static_path("charts.js"), headers={"accept-encoding": "gzip"})
    assert answer.text.rstrip().endswith(";")
    assert "window.vegaEmbed=" in answer.text
    assert int(answer.headers["content-length"]) < 350_000 < len(answer.content)


def test_charts_write_numbers_in_the_lenders_locale():
    locale = Formats("de", "UTC").for_charts()
    assert (locale["decimal"], locale["thousands"], locale["percent"]) == (",", ".", "\u00a0%")
