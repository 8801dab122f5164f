"""A day that is closed again keeps the rows of its first close, which the book as_reported reads."""

from datetime import date
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest

from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.resources import LakeReportSource, ReportedSource
from lending_pipelines.tables import TABLES

FIRST, SECOND = date(2025, 1, 30), date(2025, 1, 31)
DAYS = [FIRST, SECOND]
DAILY = ("loan_positions", "trial_balance")


@pytest.fixture
def lake(tmp_path):
    engine = DuckDBEngine("500MB", threads=1)
    yield Lake(str(tmp_path), engine)
    engine.close()


def close(lake, days, amount, tables=DAILY, conventions=None):
    """Make daily tables for days as the IO manager does; every amount of a row is `amount`."""
    for name in tables:
        table = TABLES[name]
        money = {column.name: Decimal(amount) for column in table.columns if column.type == "decimal(18, 2)"}
        rows = [dict.fromkeys(table.names) | money | {"business_date": day, table.key[1]: "1"} for day in days]
        lake.keep_reported(name, days)
        made = ibis.memtable(pa.Table.from_pylist(rows, schema=table.arrow_schema))
        lake.replace_days(name, made, days[0], days[-1])
        lake.record_days(name, days, None, (conventions or Conventions()).stamp())


def reported(lake, name="loan_positions", column="principal_paid", days=DAYS):
    """The amounts as reported, by day."""
    rows = ReportedSource(LakeReportSource(lake, Conventions()), days).table(name).to_pyarrow().to_pylist()
    return {row["business_date"]: str(row[column]) for row in rows}


def test_a_day_that_was_closed_once_is_as_closed(lake):
    close(lake, DAYS, "1.00")
    assert reported(lake) == {FIRST: "1.00", SECOND: "1.00"}
    assert lake.table("reported_days").count().to_pyarrow().as_py() == 0


def test_a_day_that_is_closed_again_twice_is_as_it_was_first(lake):
    close(lake, DAYS, "1.00")
    close(lake, [SECOND], "2.00")
    close(lake, [SECOND], "3.00")
    assert reported(lake) == {FIRST: "1.00", SECOND: "1.00"}
    assert reported(lake, "trial_balance", "balance") == {FIRST: "1.00", SECOND: "1.00"}
    now = lake.table("loan_positions").to_pyarrow().to_pylist()
    assert {row["business_date"]: str(row["principal_paid"]) for row in now} == {FIRST: "1.00", SECOND: "3.00"}


def test_a_close_that_did_not_make_every_daily_table_reported_nothing(lake):
    close(lake, [FIRST], "1.00")
    close(lake, [SECOND], "2.00", tables=("loan_positions",))
    close(lake, [SECOND], "3.00")
    close(lake, [SECOND], "4.00")
    assert reported(lake) == {FIRST: "1.00", SECOND: "3.00"}


def test_a_day_thinned_before_it_was_closed_again_has_no_reported_numbers(lake):
    close(lake, DAYS, "1.00")
    lake.thin("loan_positions", [FIRST])
    close(lake, DAYS, "2.00")
    assert reported(lake, days=[SECOND]) == {SECOND: "1.00"}
    with pytest.raises(LendingError, match="2025-01-30 was thinned by housekeeping before it was closed again"):
        reported(lake)


def test_the_conventions_are_those_of_the_first_close(lake):
    close(lake, DAYS, "1.00", conventions=Conventions(non_accrual_days=60))
    close(lake, [SECOND], "2.00")
    source = ReportedSource(LakeReportSource(lake, Conventions()), DAYS)
    assert source.conventions == Conventions(non_accrual_days=60)
    close(lake, [date(2025, 2, 1)], "1.00")
    with pytest.raises(LendingError, match=r"first closed under other conventions \(non_accrual_days\)"):
        ReportedSource(LakeReportSource(lake, Conventions()), [*DAYS, date(2025, 2, 1)])
