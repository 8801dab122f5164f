"""A report reads each table at one Delta version, whatever is committed while it is made."""

from datetime import timedelta

import ibis
import pytest
from homes import DAYS, LAST

from lending_pipelines.assets import reports
from lending_pipelines.conventions import Conventions
from lending_pipelines.lake import TableNotMade
from lending_pipelines.resources import LakeReportSource
from lending_pipelines.runs import run_report


def drop_half(lake, name, day):
    """Commit the table without every row of the day but one."""
    left = lake.table(name, day, day).limit(1).to_pyarrow()
    lake.replace_days(name, ibis.memtable(left), day, day)


@pytest.mark.parametrize("name", ["loan_positions", "aging_buckets"])
def test_rows_days_and_versions_are_those_of_the_first_reading(home, name):
    with home.lake() as lake:
        source = LakeReportSource(lake, Conventions())
        assert source.days(name)[-1] == LAST
        drop_half(lake, name, LAST)
        next_day = LAST + timedelta(days=1)
        lake.record_days(name, [next_day], None, {})

        rows = source.table(name)
        assert rows.filter(rows.business_date == LAST).count().to_pyarrow().as_py() > 1
        assert (source.days(name), source.versions()) == (DAYS, {name: 0})
        later = LakeReportSource(lake, Conventions())
        assert (later.days(name), later.versions()) == ([*DAYS, next_day], {name: 1})


@pytest.mark.parametrize("name", ["loan_positions", "aging_buckets"])
def test_a_day_closed_after_a_table_was_read_is_not_a_day_of_the_report(home, name):
    """A report that knew the day would find no rows of it, and print zeros."""
    next_day = LAST + timedelta(days=1)
    with home.lake() as lake:
        source = LakeReportSource(lake, Conventions())
        source.table(name)
        moved = lake.table(name, LAST, LAST).mutate(business_date=ibis.literal(next_day))
        lake.replace_days(name, moved, next_day, next_day)
        lake.record_days(name, [next_day], None, {})

        assert source.days(name) == DAYS
        assert LakeReportSource(lake, Conventions()).days(name) == [*DAYS, next_day]


def test_days_thinned_after_a_table_was_read_stay_days_of_the_report(home):
    with home.lake() as lake:
        source = LakeReportSource(lake, Conventions())
        source.table("loan_positions")
        lake.thin("loan_positions", [DAYS[1]])

        assert source.days("loan_positions") == DAYS
        assert source.thinned("loan_positions") == []
        assert DAYS[1] not in LakeReportSource(lake, Conventions()).days("loan_positions")
        assert LakeReportSource(lake, Conventions()).thinned("loan_positions") == [DAYS[1]]


def test_days_thinned_before_a_table_is_read_are_no_days_of_the_report(home):
    with home.lake() as lake:
        source = LakeReportSource(lake, Conventions())
        source.table("loans")
        lake.thin("loan_positions", [DAYS[1]])

        assert source.days("loan_positions") == [day for day in DAYS if day != DAYS[1]]
        assert source.thinned("loan_positions") == [DAYS[1]]


def test_days_recorded_after_a_table_was_read_are_not_in_its_records(empty_home):
    """closed_days does not exist when the report reads it first."""
    with empty_home.lake() as lake:
        source = LakeReportSource(lake, Conventions())
        assert source.table("closed_days").count().to_pyarrow().as_py() == 0
        lake.record_days("aging_transitions", [LAST], None, {})

        assert LakeReportSource(lake, Conventions()).table("closed_days").count().to_pyarrow().as_py() == 1
        reread = lake.table("closed_days", version=source.identity("closed_days").version)
        assert reread.count().to_pyarrow().as_py() == 0


def test_a_table_that_was_never_written_has_no_days(empty_home):
    with empty_home.lake() as lake:
        source = LakeReportSource(lake, Conventions())
        assert source.days("loan_positions") == []
        assert source.versions() == {}
        with pytest.raises(TableNotMade):
            source.table("loan_positions")


def test_a_close_that_commits_in_mid_report_does_not_change_it(home, monkeypatch):
    """Between the checks and the book another run replaces the day: the numbers stay those that were checked."""
    parameters = {"as_of": LAST.isoformat(), "history": "2"}
    before = run_report("delinquency_aging", parameters, "json")
    checked = reports.require_checks

    def checked_then_closed_again(source, *rest):
        checked(source, *rest)
        for name in ("loan_positions", "aging_buckets", "aging_transitions", "portfolio_snapshots"):
            drop_half(source.lake, name, LAST)

    monkeypatch.setattr(reports, "require_checks", checked_then_closed_again)
    during = run_report("delinquency_aging", parameters, "json")

    assert during["sha256"] == before["sha256"]
    # Each daily table of the close adds its days to closed_days, and is itself written once.
    assert {version for name, version in during["data_versions"].items() if name != "closed_days"} == {0}
    with home.lake() as lake:
        assert lake.version("aging_buckets") == 1
