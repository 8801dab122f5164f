"""The lake: atomic replacement of days, versions, and concurrent runs."""

import shutil
import threading
from datetime import date, timedelta
from decimal import Decimal

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lending_pipelines.lake import Lake, TableNotMade
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.tables import TABLES

JAN_1 = date(2025, 1, 1)


@pytest.fixture
def lake(tmp_path):
    engine = DuckDBEngine(memory_limit="1GB", threads=1)
    yield Lake(str(tmp_path / "lake"), engine)
    engine.close()


def balances(days_and_debits):
    """Rows of trial_balance: one account, the given debit total a day."""
    return ibis.memtable(
        {
            "business_date": [day for day, _ in days_and_debits],
            "account_code": ["1000"] * len(days_and_debits),
            "currency": ["USD"] * len(days_and_debits),
            "name": ["Loans"] * len(days_and_debits),
            "account_type": ["asset"] * len(days_and_debits),
            **{
                column: [Decimal(debit) for _, debit in days_and_debits]
                for column in ("debit_total", "credit_total", "balance", "debit_balance", "credit_balance")
            },
        },
        schema=TABLES["trial_balance"].schema,
    )


def positions(days_and_amounts):
    """Rows of loan_positions: one loan L1, null but for its key, currency and principal outstanding."""
    table = TABLES["loan_positions"]
    n = len(days_and_amounts)
    columns = {column.name: [None] * n for column in table.columns}
    columns |= {
        "business_date": [day for day, _ in days_and_amounts],
        "loan_id": ["L1"] * n,
        "principal_outstanding": [Decimal(amount) for _, amount in days_and_amounts],
    }
    return ibis.memtable(pa.table(columns, schema=table.arrow_schema))


def debits(lake, **kwargs):
    rows = lake.table("trial_balance", **kwargs).to_pyarrow().to_pylist()
    return {row["business_date"]: row["debit_total"] for row in rows}


def outstanding(lake, **kwargs):
    rows = lake.engine.backend.to_pyarrow(lake.table("loan_positions", **kwargs)).to_pylist()
    return {row["business_date"]: row["principal_outstanding"] for row in rows}


def test_a_table_never_written_is_an_error_that_says_what_to_run(lake):
    assert not lake.has("trial_balance")
    assert lake.days("trial_balance") == []
    with pytest.raises(TableNotMade, match=r"trial_balance was never written .* run `lending close"):
        lake.table("trial_balance")


@pytest.mark.parametrize(
    ("name", "make", "read"),
    [("trial_balance", balances, debits), ("loan_positions", positions, outstanding)],
)
def test_replacing_days_leaves_the_other_days(lake, name, make, read):
    days = [JAN_1 + timedelta(days=n) for n in range(40)]
    lake.replace_days(name, make([(day, "1.00") for day in days]), days[0], days[-1])
    # Days 10 and 11 again: day 11 has no rows any more.
    written = lake.replace_days(name, make([(days[10], "2.50")]), days[10], days[11])
    expected = {day: Decimal("1.00") for day in days if day != days[11]} | {days[10]: Decimal("2.50")}
    assert read(lake) == expected
    assert read(lake, first=days[10], last=days[12]) == {days[10]: Decimal("2.50"), days[12]: Decimal("1.00")}
    assert written.rows == 1
    assert written.version == lake.version(name) == 1
    assert lake.days(name) == sorted(expected)
    assert read(lake, version=0) == {day: Decimal("1.00") for day in days}


def test_a_month_of_nights_is_one_file_a_month(lake):
    for n in range(5):
        day = JAN_1 + timedelta(days=n)
        lake.replace_days("trial_balance", balances([(day, "1.00")]), day, day)
    assert len(lake.delta("trial_balance").file_uris()) == 1
    assert len(debits(lake)) == 5


def test_files_written_without_a_commit_are_never_read(lake):
    lake.replace_days("loan_positions", positions([(JAN_1, "1.00")]), JAN_1, JAN_1)
    lake._store._write_files(TABLES["loan_positions"], positions([(JAN_1, "9.00")]))
    assert outstanding(lake) == {JAN_1: Decimal("1.00")}


def test_a_failing_computation_leaves_the_previous_version(lake):
    lake.replace_days("trial_balance", balances([(JAN_1, "1.00")]), JAN_1, JAN_1)
    rows = balances([(JAN_1, "1.00")])
    too_wide = rows.mutate(debit_total=ibis.literal("1" + "0" * 20))
    with pytest.raises(Exception, match=r"(?i)conversion|cast|out of range"):
        lake.replace_days("trial_balance", too_wide, JAN_1, JAN_1)
    assert debits(lake) == {JAN_1: Decimal("1.00")}
    assert lake.version("trial_balance") == 0


@pytest.mark.parametrize(
    ("name", "make", "read"),
    [("trial_balance", balances, debits), ("loan_positions", positions, outstanding)],
)
def test_runs_on_different_days_at_once_all_succeed(tmp_path, name, make, read):
    url = str(tmp_path / "lake")
    failures = []

    def close(day):
        engine = DuckDBEngine(memory_limit="500MB", threads=1)
        try:
            for debit in ("1.00", "2.00"):
                Lake(url, engine).replace_days(name, make([(day, debit)]), day, day)
        except Exception as error:
            failures.append(error)
        finally:
            engine.close()

    # Days of one month: the small table's runs all rewrite the same file.
    days = [JAN_1 + timedelta(days=n) for n in range(4)]
    threads = [threading.Thread(target=close, args=(day,)) for day in days]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    engine = DuckDBEngine(threads=1)
    assert read(Lake(url, engine)) == dict.fromkeys(days, Decimal("2.00"))
    engine.close()


def test_whole_tables_are_replaced_and_appended(lake):
    def branches(*ids):
        return ibis.memtable(
            {"branch_id": list(ids), "name": ["n"] * len(ids), "region": ["r"] * len(ids)},
            schema=TABLES["branches"].schema,
        )

    def ids():
        return sorted(lake.table("branches").to_pyarrow()["branch_id"].to_pylist())

    assert lake.replace("branches", branches()).rows == 0
    assert lake.has("branches")
    assert lake.table("branches").count().to_pyarrow().as_py() == 0
    lake.replace("branches", branches("a", "b"))
    lake.append("branches", branches("c"))
    assert ids() == ["a", "b", "c"]
    lake.replace("branches", branches("d"))
    assert ids() == ["d"]


def test_a_sum_over_a_window_is_of_the_days_asked_for(lake, tmp_path):
    # Two loans on each of three days: of one day 10.00 + 5.00 = 15.00, of all three it would be 45.00.
    rows = pa.table({"currency": ["USD"] * 2, "loan_id": ["L1", "L2"], "balance": pa.array([10.0, 5.0])})
    for day in (1, 2, 3):
        pq.write_to_dataset(
            rows.append_column("business_date", pa.array([date(2025, 1, day)] * 2)),
            tmp_path / "rows",
            partition_cols=["business_date"],
        )
    files = sorted(map(str, (tmp_path / "rows").rglob("*.parquet")))
    balances = lake.engine.backend.read_parquet(files, hive_partitioning=True, hive_types_autocast=True)

    of_a_day = balances.filter(balances.business_date == date(2025, 1, 2))
    by_loan = of_a_day.group_by("currency", "loan_id").agg(balance=of_a_day.balance.sum())
    shares = by_loan.mutate(total=by_loan.balance.sum().over(ibis.window(group_by="currency")))

    assert shares.to_pyarrow()["total"].to_pylist() == [15.0, 15.0]


def test_a_table_is_opened_once_until_a_commit_follows_or_an_earlier_copy_of_the_lake_is_back(lake, tmp_path):
    other = Lake(lake.url, lake.engine)
    table = TABLES["trial_balance"]
    other.replace_days("trial_balance", balances([(JAN_1, "1.00")]), JAN_1, JAN_1)
    first = lake._store.open(table)
    assert lake._store.open(table) is first
    shutil.copytree(lake.url, tmp_path / "backup")

    other.replace_days("trial_balance", balances([(JAN_1, "2.00")]), JAN_1, JAN_1)
    second = lake._store.open(table)
    assert second is not first
    assert (first.version(), second.version()) == (0, 1)
    assert debits(lake) == {JAN_1: Decimal("2.00")}
    assert debits(lake, version=0) == {JAN_1: Decimal("1.00")}

    shutil.rmtree(lake.url)
    shutil.copytree(tmp_path / "backup", lake.url)
    assert lake.version("trial_balance") == 0
    assert debits(lake) == {JAN_1: Decimal("1.00")}


def test_a_table_that_was_deleted_and_written_again_is_opened_again(lake):
    lake.replace_days("trial_balance", balances([(JAN_1, "1.00")]), JAN_1, JAN_1)
    assert debits(lake) == {JAN_1: Decimal("1.00")}
    shutil.rmtree(f"{lake.url}/trial_balance")
    lake.replace_days("trial_balance", balances([(JAN_1, "2.00")]), JAN_1, JAN_1)
    assert lake.version("trial_balance") == 0
    assert debits(lake) == {JAN_1: Decimal("2.00")}


def test_upkeep_changes_no_table_that_is_open_for_reading(lake):
    for amount in ("1.00", "2.00"):
        lake.replace_days("trial_balance", balances([(JAN_1, amount)]), JAN_1, JAN_1)
    table = TABLES["trial_balance"]
    opened = lake._store.open(table)
    lake.delta("trial_balance").optimize.compact()
    lake.replace_days("trial_balance", balances([(JAN_1, "3.00")]), JAN_1, JAN_1)
    assert opened.version() == 1
    assert debits(lake) == {JAN_1: Decimal("3.00")}
