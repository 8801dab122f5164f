"""alert_log: the alerts of February, worked by hand."""

from datetime import date, datetime

import pytest
from tiny_lake import TinyLake, money, rows, table

from lending_pipelines.exports.printed import printed
from lending_pipelines.reports import headlines
from lending_pipelines.reports.parameters import parse_parameters
from lending_pipelines.reports.registry import get

JAN, FEB = date(2025, 1, 31), date(2025, 2, 28)


def alert(alert_id, rule, severity, opened_on, resolved_on=None, acknowledged_at=None):
    return {
        "alert_id": alert_id,
        "rule": rule,
        "subject_kind": "branch",
        "subject_id": "B1",
        "currency": "USD",
        "severity": severity,
        "opened_on": opened_on,
        "last_on": opened_on,
        "resolved_on": resolved_on,
        "state": "open" if resolved_on is None else "resolved",
        "acknowledged_at": acknowledged_at,
        "acknowledged_by": "ann" if acknowledged_at else None,
        "value": 0.2,
        "threshold": 0.15,
        "finding": "PAR 30 of branch B1 is 20.00 %, above 15.00 %.",
    }


@pytest.fixture
def lake():
    days = [{"business_date": day, "loan_id": "L1", "principal_outstanding": money("1.00")} for day in (JAN, FEB)]
    return TinyLake(
        {
            "loan_positions": days,
            "alert_log": [
                # Over before February, and opened after it.
                alert("past", "PAR", "critical", date(2025, 1, 10), date(2025, 1, 31), datetime(2025, 1, 12, 9)),
                alert("next", "PAR", "critical", date(2025, 3, 1)),
                # Opened in January, acknowledged after 11 days, resolved after 21 days.
                alert("a1", "PAR", "critical", date(2025, 1, 20), date(2025, 2, 10), datetime(2025, 1, 31, 23, 59)),
                # Acknowledged after 2 days, resolved after 5.
                alert("a2", "PAR", "warning", date(2025, 2, 3), date(2025, 2, 8), datetime(2025, 2, 5, 8)),
                # Acknowledged after 6 days; resolved on the day after the period.
                alert("a3", "PAR", "critical", date(2025, 2, 10), date(2025, 3, 1), datetime(2025, 2, 16, 8)),
                # Open, acknowledged in March only.
                alert("a4", "Data", "warning", FEB, None, datetime(2025, 3, 2, 8)),
            ],
        }
    )


def numbers(row):
    names = ("opened", "acknowledged", "resolved", "still_open", "critical", "days_to_acknowledge", "days_to_resolve")
    return tuple(row[name] for name in names)


def test_the_alerts_of_february_by_rule_and_in_total(report):
    book = report("alert_log", as_of="2025-02-28")
    by_rule = {row["rule"]: numbers(row) for row in rows(book, "By rule")}
    # PAR: a2 and a3 opened; a2 and a3 acknowledged, after 2 and 6 days; a1 and a2 resolved, after 21 and 5 days.
    assert by_rule == {"PAR": (2, 2, 2, 1, 1, 4.0, 13.0), "Data": (1, 0, 0, 1, 0, None, None)}
    assert numbers(book.summary["alerts"]) == (3, 2, 2, 2, 1, 4.0, 13.0)
    assert book.headlines is not None
    assert numbers(book.headlines.arrow().to_pylist()[0]) == (3, 2, 2, 2, 1, 4.0, 13.0)


@pytest.mark.parametrize(("first", "is_compared"), [(1, True), (2, False)])
def test_a_period_that_begins_before_the_first_close_is_not_compared_with(lake, first, is_compared):
    # January begins on the 1st. If the 2nd is the first closed day, no alert could open on the 1st.
    lake.rows["loan_positions"][0]["business_date"] = date(2025, 1, first)
    generator = get("alert_log")
    before = headlines.previous(
        generator, parse_parameters("alert_log", generator.parameters, {"as_of": "latest"}), lake
    )
    assert (before is not None) == is_compared


def test_open_alerts_by_day(report):
    by_day = {
        row["business_date"]: (row["warning"], row["critical"])
        for row in rows(report("alert_log", as_of="2025-02-28"), "Open alerts by day")
    }
    assert len(by_day) == 28
    chosen = [date(2025, 2, day) for day in (1, 3, 7, 8, 9, 10, 27, 28)]
    # a1 is open until 9 February, a2 from the 3rd to the 7th, a3 from the 10th, a4 on the 28th.
    assert [by_day[day] for day in chosen] == [(0, 1), (1, 1), (1, 1), (0, 1), (0, 1), (0, 1), (0, 1), (1, 1)]


def test_the_list_is_latest_first_and_without_personal_data(report):
    book = report("alert_log", as_of="2025-02-28")
    listed = rows(book, "Alerts")
    assert [(row["rule"], row["opened_on"].day) for row in listed] == [
        ("Data", 28),
        ("PAR", 10),
        ("PAR", 3),
        ("PAR", 20),
    ]
    assert not {"finding", "acknowledged_by", "reason"} & listed[0].keys()
    named = rows(report("alert_log", as_of="2025-02-28", allow_pii=True), "Alerts")
    assert named[1]["acknowledged_by"] == "ann"
    assert named[1]["finding"].startswith("PAR 30 of branch B1")


def test_one_severity(report):
    book = report("alert_log", as_of="2025-02-28", severity="warning")
    assert [row["severity"] for row in rows(book, "Alerts")] == ["warning", "warning"]


def test_without_alerts_it_says_so(report, lake):
    lake.rows["alert_log"] = []
    book = report("alert_log", as_of="2025-02-28")
    assert table(book, "Alerts").no_data == "no alert was open from 2025-02-01 to 2025-02-28"
    assert numbers(book.summary["alerts"]) == (0, 0, 0, 0, 0, None, None)


def test_a_threshold_is_printed_as_it_is(report):
    book = report("alert_log", as_of="2025-02-28")
    # PAR 30 of 20 % against 15 %: neither may be rounded to one decimal.
    kinds = {column.name: column.kind for column in table(book, "Alerts").columns}
    alert = rows(book, "Alerts")[0]
    assert [printed(alert[name], kinds[name]) for name in ("value", "threshold")] == ["0.2000", "0.1500"]
