"""Which days are thinned and which versions stay, worked by hand."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lending_pipelines.conventions import Conventions
from lending_pipelines.housekeeping.chore import Chore, ChoreFailed, do_all
from lending_pipelines.housekeeping.lake_tables import days_to_thin, kept_versions
from lending_pipelines.housekeeping.references import References
from lending_pipelines.lake.upkeep import Commit
from lending_pipelines.retention import Retention

NOW = datetime(2025, 6, 30, 2, tzinfo=UTC)


def between(first, last):
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def test_days_before_the_first_kept_one_are_thinned_to_month_ends():
    days = between(date(2025, 1, 30), date(2025, 4, 2))
    thinned, kept = days_to_thin(days, date(2025, 4, 1), References(), Conventions())
    # Month ends: 31 January, 28 February, 31 March. 1 April opens a month after 1 March, 2 April after 2 March.
    stay = [date(2025, 1, 31), date(2025, 2, 28), date(2025, 3, 1), date(2025, 3, 2), date(2025, 3, 31)]
    assert thinned == [day for day in days if day < date(2025, 4, 1) and day not in stay]
    assert kept == {"month ends": 3, "transitions of a kept day start there": 2}


def test_the_day_at_exactly_the_age_of_the_policy_stays():
    days = between(date(2025, 2, 1), date(2025, 3, 20))
    thinned, _ = days_to_thin(days, date(2025, 2, 10), References(), Conventions(transition_step="day"))
    assert date(2025, 2, 10) not in thinned
    # 9 February is where the transition to 10 February starts; 8 February is the youngest that goes.
    assert max(thinned) == date(2025, 2, 8)


def test_referred_days_stay_with_their_reason():
    days = between(date(2025, 1, 1), date(2025, 1, 20))
    refers = References(days={date(2025, 1, 5): "a sale", date(2025, 1, 6): "an open alert"})
    thinned, kept = days_to_thin(days, date(2025, 12, 1), refers, Conventions())
    assert kept == {"a sale": 1, "an open alert": 1}
    assert thinned == [day for day in days[:-1] if day not in refers.days]


def test_the_last_closed_day_stays_however_old():
    days = between(date(2020, 1, 1), date(2020, 1, 3))
    assert days_to_thin(days, date(2025, 1, 1), References(), Conventions())[0] == days[:2]


def test_nothing_is_thinned_of_no_days():
    assert days_to_thin([], date(2025, 1, 1), References(), Conventions()) == ([], {})


@given(
    st.sets(st.dates(date(2023, 1, 1), date(2025, 6, 30)), max_size=60),
    st.dates(date(2023, 1, 1), date(2025, 6, 30)),
    st.sets(st.dates(date(2023, 1, 1), date(2025, 6, 30)), max_size=5),
    st.sampled_from(["month", "week", "day"]),
)
def test_month_ends_young_days_and_referred_days_are_never_thinned(days, first_kept, referred, step):
    conventions = Conventions(transition_step=step)
    refers = References(days=dict.fromkeys(referred, "a sale"))
    thinned = set(days_to_thin(days, first_kept, refers, conventions)[0])
    assert thinned <= days
    assert not thinned & referred
    assert all(day < first_kept and (day + timedelta(days=1)).day != 1 for day in thinned)
    # Thinning what is left again removes nothing: what stays does not depend on what went.
    assert days_to_thin(days - thinned, first_kept, refers, conventions)[0] == []


def commits(*days_ago, corrects=()):
    times = [NOW - timedelta(days=n) for n in days_ago]
    ends = [*times[1:], None]
    return [Commit(n, made, end, n in corrects) for n, (made, end) in enumerate(zip(times, ends, strict=True))]


def test_versions_that_were_current_in_the_last_days_stay():
    made = commits(50, 40, 20, 5)
    kept = kept_versions(made, [], [], Retention(versions_days=30), NOW)
    # Version 1 was current until 20 days ago; version 0 until 40 days ago.
    assert kept == {"recent": {1, 2, 3}, "sales, tapes and reports": set(), "rows before corrections": set()}


def test_a_version_replaced_exactly_so_many_days_ago_stays():
    assert kept_versions(commits(40, 30), [], [], Retention(versions_days=30), NOW)["recent"] == {0, 1}


def test_versions_that_something_refers_to_stay_and_unknown_ones_are_left_out():
    kept = kept_versions(commits(50, 40, 35), [0, 99], [], Retention(versions_days=30), NOW)
    assert kept["sales, tapes and reports"] == {0}


def test_a_report_that_names_no_versions_keeps_those_that_were_current_when_it_was_made():
    made = commits(50, 40, 35)
    at = NOW - timedelta(days=45)
    assert kept_versions(made, [], [at], Retention(versions_days=0), NOW)["sales, tapes and reports"] == {0}
    assert kept_versions(made, [], [at.replace(tzinfo=None)], Retention(versions_days=0), NOW)[
        "sales, tapes and reports"
    ] == {0}


def test_both_sides_of_a_correction_stay():
    kept = kept_versions(commits(50, 40, 35, 33, corrects=(2,)), [], [], Retention(versions_days=0), NOW)
    assert kept == {"recent": {3}, "sales, tapes and reports": set(), "rows before corrections": {1, 2}}


def test_forever_keeps_every_version():
    assert kept_versions(commits(5000, 1), [], [], Retention(versions_days="forever"), NOW)["recent"] == {0, 1}


def test_a_chore_that_fails_does_not_stop_the_others():
    done = []

    def broken():
        raise OSError("disk on fire")

    chores = [Chore("one", broken, rows=1), Chore("two", lambda: done.append("two"), files=1), Chore("three", broken)]
    with pytest.raises(ChoreFailed, match="1 of 3 chores failed: one: disk on fire"):
        do_all(chores)
    assert done == ["two"]
