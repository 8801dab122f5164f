"""What passed once is not evaluated again on the same data, and nothing passes on other data."""

import shutil
from datetime import date
from decimal import Decimal

import ibis
import pytest
from homes import DAYS, LAST

from lending_pipelines.assets.reports import ChecksFailed, require_checks
from lending_pipelines.checks import Days, blocking_checks
from lending_pipelines.conventions import Conventions
from lending_pipelines.resources import LakeReportSource, passed_checks
from lending_pipelines.resources.passed_checks import FILE

TABLES = ("portfolio_snapshots", "loan_positions", "transactions")
COVERED = [date(2025, 2, 28), LAST]


def unchecked(lake, days, conventions=None, source=None):
    """The days on which each blocking check of TABLES is not known to pass, by check; none of those that pass on all"""
    source = source or LakeReportSource(lake, conventions or Conventions())
    with passed_checks(source) as memory:
        found = {
            check.name: memory.unchecked(check, Days(tuple(days)))
            for check in blocking_checks(TABLES, source.conventions)
        }
    return {name: left.dates for name, left in found.items() if left}


def require(lake, days):
    require_checks(LakeReportSource(lake, Conventions()), TABLES, list(days), "the report")


def add_a_cent(lake, day):
    """Commit positions in which each loan of the day has paid a cent more interest."""
    rows = lake.table("loan_positions", day, day)
    more = (rows.interest_paid + ibis.literal(Decimal("0.01"), "decimal(18, 2)")).cast("decimal(18, 2)")
    lake.replace_days("loan_positions", ibis.memtable(rows.mutate(interest_paid=more).to_pyarrow()), day, day)


def test_the_close_and_a_report_leave_what_passed(home):
    with home.lake() as lake:
        # The close evaluated every check on its own days, on the tables as they are now.
        assert unchecked(lake, DAYS) == {}
        (home.folder / "lake" / FILE).unlink()
        every = {check.name for check in blocking_checks(TABLES, Conventions())}
        assert unchecked(lake, COVERED).keys() == every

        require(lake, COVERED)
        assert unchecked(lake, COVERED) == {}
        # Another day is not known yet. What looks at a whole table holds on every day.
        other = unchecked(lake, [*COVERED[:1], DAYS[-2], *COVERED[1:]])
        assert {*other.values()} == {(DAYS[-2],)}
        assert every - other.keys() == {"amounts_split", "reversals_mirror", "references_exist"}
        # Under other conventions other numbers are right.
        assert unchecked(lake, COVERED, Conventions(par_operator=">")).keys() == every


def test_other_data_does_not_pass(home):
    with home.lake() as lake:
        before = LakeReportSource(lake, Conventions())
        require_checks(before, TABLES, COVERED, "the report")
        add_a_cent(lake, LAST)

        assert {"roll_forward", "snapshots_equal_positions"} < unchecked(lake, COVERED).keys()
        assert "amounts_split" not in unchecked(lake, COVERED)
        for _ in range(2):
            with pytest.raises(ChecksFailed, match=f"roll_forward fails for .* on {LAST}"):
                require(lake, COVERED)
        # The day that is right passed, and the one that is wrong did not.
        assert unchecked(lake, COVERED)["roll_forward"] == (LAST,)
        require(lake, COVERED[:1])
        # The version before is still what it was.
        require_checks(before, TABLES, COVERED, "the report")


def test_a_table_restored_from_a_backup_does_not_pass_by_its_version_number(home):
    positions = home.folder / "lake" / "loan_positions"
    backup = shutil.copytree(positions, home.folder / "backup")
    with home.lake() as lake:
        rows = lake.table("loan_positions", LAST, LAST).to_pyarrow()
        lake.replace_days("loan_positions", ibis.memtable(rows), LAST, LAST)
        require(lake, COVERED)
        version = lake.version("loan_positions")

        shutil.rmtree(positions)
        shutil.copytree(backup, positions)
        add_a_cent(lake, LAST)
        assert lake.version("loan_positions") == version
        with pytest.raises(ChecksFailed, match="roll_forward"):
            require(lake, COVERED)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"loan_positions.roll_forward": {"days": ["2025-03-14"]}}'])
def test_a_damaged_file_means_that_checks_are_evaluated(home, damage):
    file = home.folder / "lake" / FILE
    file.write_text(damage)
    with home.lake() as lake:
        assert unchecked(lake, [LAST])["roll_forward"] == (LAST,)
        require(lake, [LAST])
        assert unchecked(lake, [LAST]) == {}
