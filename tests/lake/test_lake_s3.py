"""The lake on an object store (moto's server, a process of its own): read, written, and by several runs at once."""

from datetime import date

import pytest
from test_lake_at_once import DAYS, ROUNDS, RUNS, all_at_once, rows

from lending_pipelines.lake import Lake, LakeError
from lending_pipelines.lake.engines import DuckDBEngine

SECOND = date(2025, 1, 2)


@pytest.fixture
def lake(bucket, request):
    engine = DuckDBEngine(threads=2)
    yield Lake(f"{bucket}/{request.node.name}", engine)
    engine.close()


def loans(lake, **days):
    return sorted(lake.table("loan_positions", **days).to_pyarrow()["loan_id"].to_pylist())


def test_days_are_written_replaced_and_read(lake):
    assert not lake.has("loan_positions")
    both = [{"business_date": DAYS[0], "loan_id": "A"}, {"business_date": SECOND, "loan_id": "B"}]
    lake.replace_days("loan_positions", rows("loan_positions", *both), DAYS[0], SECOND)
    written = lake.replace_days(
        "loan_positions", rows("loan_positions", {"business_date": SECOND, "loan_id": "C"}), SECOND, SECOND
    )

    assert (written.rows, written.version) == (1, 1)
    assert written.bytes > 0
    assert loans(lake) == ["A", "C"]
    assert loans(lake, first=SECOND) == ["C"]
    assert loans(lake, version=0) == ["A", "B"]
    assert lake.days("loan_positions") == [DAYS[0], SECOND]


def test_events_are_added_and_changed_rows_merged(lake):
    lake.append("transactions", rows("transactions", {"transaction_id": "1"}))
    added = lake.append("transactions", rows("transactions", {"transaction_id": "1"}, {"transaction_id": "2"}))
    lake.replace("loans", rows("loans", {"loan_id": "L", "purpose": "held"}))
    lake.merge("loans", rows("loans", {"loan_id": "L", "purpose": "new"}))

    assert added.rows == 1
    assert sorted(lake.table("transactions").to_pyarrow()["transaction_id"].to_pylist()) == ["1", "2"]
    assert lake.table("loans").to_pyarrow()["purpose"].to_pylist() == ["new"]


@pytest.mark.parametrize("table", ["loan_positions", "trial_balance"])
def test_runs_at_once_leave_the_same_day_once(bucket, table):
    key = {"loan_positions": "loan_id", "trial_balance": "account_code"}[table]

    def close(lake: Lake, number: int, turn: int) -> None:
        lake.replace_days(table, rows(table, {"business_date": DAYS[turn], key: "A"}), DAYS[turn], DAYS[turn])

    lake = all_at_once(f"{bucket}/at_once", close)

    assert sorted(lake.table(table).to_pyarrow()["business_date"].to_pylist()) == DAYS
    assert lake.version(table) == RUNS * ROUNDS - 1


def test_a_store_that_cannot_be_read_is_an_error_not_an_empty_lake(bucket):
    engine = DuckDBEngine(threads=1)
    lake = Lake("s3://not-ours/lake", engine)
    for ask in (lake.has, lake.version, lake.table):
        with pytest.raises(LakeError, match=r"table loans cannot be read from s3://not-ours/lake: .*404") as error:
            ask("loans")
        assert "\n" not in str(error.value)
    engine.close()
