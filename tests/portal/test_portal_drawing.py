"""Geometry of the small drawings and links of the templates, worked by hand."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment
from starlette.datastructures import QueryParams

from lending_pipelines.portal.web.drawing import SHADES, shade, shares, sparkline
from lending_pipelines.portal.web.formats import Formats
from lending_pipelines.portal.web.pages import environment_of
from lending_pipelines.portal.web.template_functions import filled, install, query_link, tone, words


def test_a_sparkline_spans_its_box():
    # Three values 2, 4, 3 in 96 by 24: x 0, 48, 96; y from 22 (lowest) to 2 (highest), 3 is half way: 12.
    drawn = sparkline([2, 4, 3])
    assert drawn.line == "M0.0 22.0L48.0 2.0L96.0 12.0"
    assert drawn.area == "M0.0 22.0L48.0 2.0L96.0 12.0V24H0.0Z"
    assert drawn.last == (96.0, 12.0)


def test_a_missing_value_is_a_gap_and_a_flat_line_is_in_the_middle():
    assert sparkline([5, None, Decimal(5), 5]).line == "M0.0 12.0M64.0 12.0L96.0 12.0"
    assert sparkline([None, 3]) is None
    assert sparkline([]) is None


@given(st.lists(st.one_of(st.none(), st.integers(-(10**15), 10**15)), max_size=40))
def test_a_sparkline_stays_in_its_box(values):
    drawn = sparkline(values)
    if drawn is None:
        assert sum(value is not None for value in values) < 2
        return
    for point in drawn.line.replace("M", "L").strip("L").split("L"):
        x, y = map(float, point.split())
        assert 0 <= x <= 96
        assert 2 <= y <= 22


def test_shares_are_percent_of_the_bar():
    # 30 of 40, 10 of 40; a negative and a missing part have no width.
    parts = shares([Decimal(30), -5, None, 10])
    assert [(part.start, part.width) for part in parts] == [(0, 75), (75, 0), (75, 0), (75, 25)]
    assert [part.width for part in shares([0, None])] == [0, 0]


def test_shades_of_a_heat_map():
    # Fifths of the largest value, at least the first for anything above zero.
    assert [shade(value, 1) for value in (None, 0, -1, 0.001, 0.5, 1, 3)] == [0, 0, 0, 1, 2, SHADES, SHADES]
    assert shade(1, 0) == 0


def test_urls_quote_what_they_are_filled_with():
    assert filled("/loans/{loan_id}", {"loan_id": "a/../b?<x>"}) == "/loans/a%2F..%2Fb%3F%3Cx%3E"
    assert filled("/loans/{loan_id}", loan_id=7, day="2026-11-28", q=None) == "/loans/7?day=2026-11-28"
    with pytest.raises(KeyError):
        filled("/loans/{loan_id}", {"other": 1})


def test_a_link_changes_some_parameters_and_keeps_the_others():
    query = QueryParams("status=late&branch=A&branch=B&after=xyz&q=")
    assert query_link(query, sort="-balance", after=None) == "?status=late&branch=A&branch=B&sort=-balance"


def test_words_and_tones():
    assert words("charged_off") == "Charged off"
    assert words("past due") == "Past due"
    assert words("Grace O’Connor") == "Grace O’Connor"
    assert (tone("Critical"), tone("delivered"), tone("<b>")) == ("bad", "good", "plain")


def test_links_are_below_the_path_of_a_proxy():
    environment = Environment(autoescape=True)
    install(environment, "/lending")
    made = environment.from_string("{{ url('/loans/{loan_id}', row) }} {{ static_url('portal.css') }}")
    loan, style = made.render(row={"loan_id": 1}).split()
    assert loan == "/lending/loans/1"
    assert style.startswith("/lending/static/")


def test_a_change_has_an_arrow_a_sign_and_words_unless_it_rounds_to_zero():
    environment = environment_of(Formats("en", "UTC"))
    made = environment.from_string('{% from "components/data.html" import change %}{{ change(amount, shown, "down") }}')

    def text(amount, shown):
        html = made.render(amount=amount, shown=shown)
        return re.sub(r"<[^>]+>", "", html).strip(), re.search(r'class="change (\w*)"', html)

    assert text(Decimal("0.01"), "1.00%")[0] == "up +1.00%"
    assert text(Decimal("0.01"), "1.00%")[1][1] == "bad"
    assert text(-3, "3")[0] == "down −3"
    assert text(-3, "3")[1][1] == "good"
    assert text(Decimal("0.000001"), "0.00%")[0] == "unchanged 0.00%"
    assert text(Decimal("0.000001"), "0.00%")[1][1] == ""
    assert text(None, "")[0] == "no earlier value"
