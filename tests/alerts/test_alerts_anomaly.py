"""Anomaly rules: what they find in made series, at their thresholds, and what they say."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import accumulate

import pytest
from made_tables import MadeTables, rule

from lending_pipelines.alerts.detectors import anomaly
from lending_pipelines.alerts.evaluate import affected, evaluate
from lending_pipelines.alerts.findings import Judged, Unjudged
from lending_pipelines.alerts.life import episodes
from lending_pipelines.alerts.rule_faults import AlertRuleError
from lending_pipelines.alerts.rule_files import parse_rules

FIRST = date(2024, 1, 1)
LAST = date(2024, 5, 20)
"""A Monday. The changes of the days before are 100.00 on working days and 20.00 at weekends."""


def usual(day: date) -> int:
    # Every second week 104 instead of 100: a spread above zero.
    return 20 if day.weekday() > 4 else 100 + 4 * ((day - FIRST).days // 7 % 2)


def each_day():
    return [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]


def totals(change_of_last):
    return list(accumulate(change_of_last if day == LAST else usual(day) for day in each_day()))


def source(change_of_last, column="total_collected", size=10_000, missing=()):
    rows = []
    for day, total in zip(each_day(), totals(change_of_last), strict=True):
        if day not in missing:
            row = {"business_date": day, "scope": "branch", "scope_id": "B1", "currency": "USD", "name": "North"}
            rows.append(row | {column: Decimal(str(total)), "total_balance": Decimal(size)})
    return MadeTables({"portfolio_snapshots": rows})


def collected(least="1 %", **values):
    return rule(
        detector="anomaly",
        metric="portfolio_snapshots.total_collected",
        scope="branch",
        least_distance=least,
        **values,
    )


def found(made, given, days=(LAST,)):
    verdict = anomaly.detect(made, [given], list(days))[given.name]
    assert isinstance(verdict, Judged), verdict
    return verdict.findings


@pytest.mark.parametrize("change", [400, -200])
def test_a_change_far_from_the_usual_is_found_up_and_down(change):
    (finding,) = found(source(change), collected())
    assert (finding.kind, finding.subject, finding.currency) == ("branch", "B1", "USD")
    assert (finding.value, finding.severity) == (change, "warning")
    assert finding.threshold == finding.details["high" if change > 0 else "low"]
    # Mondays were 100 and 104 in turn.
    assert 100 <= finding.details["expected"] <= 104
    assert finding.details["low"] < 100
    assert finding.details["high"] > 104
    sign = "+" if change > 0 else ""
    text = f"Total collected of branch North (B1) changed by {sign}{change:.2f} USD in a day: +"
    assert finding.text.startswith(text)
    assert finding.text.endswith(" USD was expected.")


@pytest.mark.parametrize("change", [100, 104, 98])
def test_a_usual_change_is_not_found(change):
    assert found(source(change), collected()) == ()


def test_a_change_closer_than_the_least_distance_is_not_found():
    # 1 % of 30,001.00 is 300.01, and the change is at most 300.00 from what is expected (100 to 104).
    assert found(source(400), collected(), [LAST])
    assert found(source(400, size=30_001), collected()) == ()
    assert found(source(400), collected(least=301)) == ()
    assert found(source(400), collected(least=295))


@pytest.mark.parametrize(
    ("table", "column", "point", "scope"),
    [("portfolio_snapshots", "par_30", 0.01, "branch"), ("manager_snapshots", "default_rate", 1.0, "manager")],
)
def test_a_least_distance_in_percent_is_in_percentage_points(table, column, point, scope):
    """PAR is stored as a fraction, a default rate in percent. The last change is 4 points, usual are 1.00 to 1.04."""
    rows = [
        {"business_date": day, "scope": "branch", "scope_id": "B1", "manager_id": "O1", "currency": "USD"}
        | {column: value * point / 100, "manager_kind": "officer"}
        for day, value in zip(each_day(), totals(400), strict=True)
    ]
    made = MadeTables({table: rows})
    least = {"detector": "anomaly", "metric": f"{table}.{column}", "scope": scope}
    assert len(found(made, rule(**least, least_distance="2.9 %"))) == 1
    assert found(made, rule(**least, least_distance="3.1 %")) == ()


def test_small_subjects_and_a_higher_threshold_leave_it_out():
    assert found(source(400), collected(minimum=10_001)) == ()
    assert found(source(400), collected(threshold=1000)) == ()


def verdict(made, days=(LAST,)):
    evaluation = evaluate(made, [collected()], list(days))
    assert evaluation.failed == {}
    return evaluation.verdicts["r"]


def nth(number):
    """The day with that number, 1 for the first day."""
    return FIRST + timedelta(days=number - 1)


EVERY_DAY = [nth(number) for number in range(1, 142)]


@pytest.mark.parametrize(
    ("missing", "first_judged"),
    [
        # Day 2 has the first change, and day 16 the first trend: 14 changes are known before it, of days 2 to 15. 60
        # days have both before day n when n - 16 = 60.
        ((), nth(76)),
        # Day 40 has no change, and neither has day 41: n - 16 - 2 = 60.
        ((nth(40),), nth(78)),
        # Days 40 to 42 have no change; or days 40, 41, 50 and 51.
        ((nth(40), nth(41)), nth(79)),
        ((nth(40), nth(50)), nth(80)),
        # The first change is that of day 4.
        ((nth(1), nth(2)), nth(78)),
        ((nth(2),), nth(78)),
        # Only 12 changes are known before day 16. Day 18 is the first with a trend: n - 18 = 60.
        ((nth(10),), nth(78)),
        # The sixty days are 16 to 71 and 74 to 77.
        ((nth(72),), nth(78)),
        # Day 77 has no change. The sixty days before day 78 are 16 to 75.
        ((nth(76),), nth(78)),
        # Day 76 has no change. The sixty days are 16 to 74 and 77.
        ((nth(75),), nth(78)),
    ],
)
def test_the_first_judged_day_has_sixty_days_with_a_change_and_a_trend_before_it(missing, first_judged):
    made = source(400, missing=missing)
    judged = verdict(made, EVERY_DAY)
    assert isinstance(judged, Judged)
    assert judged.days[0] == first_judged
    assert judged.days == tuple(day for day in EVERY_DAY if day >= first_judged)
    assert [finding.business_date for finding in judged.findings] == [LAST]
    assert isinstance(verdict(made, [first_judged - timedelta(days=1)]), Unjudged)


def test_less_history_is_not_judged_yet_and_not_a_failure():
    early = verdict(source(400), [nth(75)])
    assert isinstance(early, Unjudged)
    assert early.reason == "fewer than 60 days before 2024-03-15 have a change and a trend"
    assert isinstance(verdict(source(400), [nth(1)]), Unjudged)


@pytest.mark.parametrize("gap", [nth(62), nth(77), nth(100), LAST - timedelta(days=1)])
def test_the_day_after_a_gap_has_no_change_and_the_next_day_is_judged_as_without_the_gap(gap):
    made = source(400, missing=(gap,))
    after = verdict(made, [gap + timedelta(days=1)])
    assert isinstance(after, Unjudged)
    assert after.reason == f"{gap} is not closed, so the change of {gap + timedelta(days=1)} is not known"
    if gap + timedelta(days=1) != LAST:
        assert len(verdict(made).findings) == 1
        assert verdict(source(104, missing=(gap,))).findings == ()


def test_a_lender_that_closes_no_weekend_is_judged_from_tuesday_to_friday():
    # Four changes a week. The first trend is that of Thursday of the fourth week, after 3 × 4 + 2 changes. Sixty days
    # with one are two in that week, 14 × 4 to the eighteenth, and two in the nineteenth: its Thursday is judged.
    made = source(400, missing=[day for day in EVERY_DAY if day.weekday() > 4])
    judged = verdict(made, EVERY_DAY)
    assert isinstance(judged, Judged)
    # LAST is a Monday.
    assert [day.day for day in judged.days] == [9, 10, 14, 15, 16, 17]
    assert verdict(made, [LAST]) == Unjudged(
        "2024-05-19 is not closed, so the change of 2024-05-20 is not known", is_expected=True
    )


def test_a_lender_that_closes_every_other_day_has_no_changes_and_no_failure():
    assert isinstance(verdict(source(400, missing=EVERY_DAY[1::2]), EVERY_DAY), Unjudged)


def test_a_table_that_is_not_made_on_a_closed_day_is_a_failure():
    evaluation = evaluate(source(400, missing=(LAST,)), [collected()], [LAST])
    assert evaluation.failed == {"r": "its table is not made for 2024-05-20"}


def with_another(rows):
    """The source in which branch B2 has only these rows, by day."""
    made = source(400)
    others = [
        made.rows["portfolio_snapshots"][-1] | {"scope_id": "B2", "business_date": day} | row for day, row in rows
    ]
    return MadeTables({"portfolio_snapshots": [*made.rows["portfolio_snapshots"], *others]})


def test_of_a_subject_with_less_history_it_is_not_known_whether_the_rule_holds():
    # B2 begins with day 66: day 67 has its first change, day 81 its first trend, and day 141 is the first judged one.
    growing = [(nth(number), {"total_collected": Decimal(100 * number)}) for number in range(66, 142)]
    assert [each.subject for each in found(with_another(growing), collected(), [nth(140)])] == ["B2"]
    (unknown,) = found(with_another(growing), collected(), [nth(140)])
    assert (unknown.severity, unknown.value, unknown.text) == (None, None, "")
    (known,) = found(with_another(growing), collected(), [LAST])
    assert known.subject == "B1"


def test_a_number_that_is_null_on_the_day_or_the_day_before_is_not_known():
    growing = [(nth(number), {"total_collected": Decimal(100 * number)}) for number in range(1, 142)]
    for null in (-1, -2):
        rows = [*growing]
        rows[null] = (rows[null][0], {"total_collected": None})
        severities = {each.subject: each.severity for each in found(with_another(rows), collected())}
        assert severities == {"B1": "warning", "B2": None}


def test_an_open_alert_stays_open_while_its_number_is_not_known_and_is_resolved_after():
    # The change of the last day is unusual. Then a day is not closed, one follows it, and one is usual again.
    made = source(400)
    last_row = made.rows["portfolio_snapshots"][-1]
    total, later = last_row["total_collected"], [LAST + timedelta(days=n) for n in (2, 3)]
    made = MadeTables(
        {
            "portfolio_snapshots": [
                *made.rows["portfolio_snapshots"],
                *(last_row | {"business_date": day, "total_collected": total + 100 * n} for n, day in enumerate(later)),
            ]
        }
    )
    findings, judged = [], {}
    for day in (LAST, *later):
        evaluation = evaluate(made, [collected()], [day])
        findings += evaluation.findings
        judged[day] = set(evaluation.judged)
    assert judged == {LAST: {"r"}, later[0]: set(), later[1]: {"r"}}
    (alert,) = episodes(findings, judged, {"r": 7})
    assert (alert.opened_on, alert.resolved_on) == (LAST, later[1])


def test_a_day_in_the_past_that_is_closed_again_judges_later_days_again():
    days = [FIRST + timedelta(days=n) for n in range(300)]
    again = affected([collected()], FIRST, FIRST, days)
    assert again == days[: 180 + 28 + 1 + 1]


def test_days_alone_and_in_a_range_find_the_same():
    made = source(400)
    days = [LAST - timedelta(days=n) for n in range(30)]
    together = evaluate(made, [collected()], sorted(days)).findings
    alone = [finding for day in sorted(days) for finding in evaluate(made, [collected()], [day]).findings]
    assert together == alone
    assert [finding.business_date for finding in together] == [LAST]


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"least_distance": None}, "least_distance is missing: a rule with detector 'anomaly' needs it"),
        ({"threshold": "15 %"}, "threshold is 15 %: write how many z are unusual, 1 or more, like 4"),
        ({"threshold": 0}, "threshold is 0: write how many z are unusual, 1 or more, like 4"),
        ({"least_distance": -1}, "least_distance is -1: write a number from 0 on"),
        (
            {"metric": "portfolio_snapshots.loan_count", "least_distance": "1 %"},
            "least_distance is '1 %': portfolio_snapshots.loan_count is not a percentage or an amount; write a number",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(values, fault):
    given = {"name": "r", "detector": "anomaly", "metric": "portfolio_snapshots.total_collected"}
    given |= {"least_distance": "1 %"} | values
    if given["least_distance"] is None:
        del given["least_distance"]
    with pytest.raises(AlertRuleError) as error:
        parse_rules([given], "test")
    assert error.value.faults == (f"test: rules[0] 'r': {fault}",)
