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
