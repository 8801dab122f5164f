"""The lake on Spark: the same files, types and order as on any engine, and errors that say what is missing."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest
import sqlglot

from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import DuckDBEngine, EngineError, open_engine
from lending_pipelines.lake.limits import AmountTooLarge
from lending_pipelines.settings import Settings
from lending_pipelines.tables import TABLES

MASTER = "local[2]"
DAYS = [date(2025, 1, 30) + timedelta(days=n) for n in range(4)]


@pytest.fixture(scope="module")
def engine(java, tmp_path_factory):
    from lending_pipelines.lake.engines.spark import SparkEngine

    # With the usual memory: whole closes may come later in this process, on the same session.
    engine = SparkEngine(str(tmp_path_factory.mktemp("lake")), MASTER)
    yield engine
    engine.close()


def transactions(numbers):
    """Repayments T000… of a cent more each, posted a microsecond after each other."""
    table = TABLES["transactions"]
    rows = [
        dict.fromkeys(table.names)
        | {
            "transaction_id": f"T{number:03}",
            "effective_on": date(2025, 1, 1),
            "posted_at": datetime(2025, 3, 30, 1, 30) + timedelta(microseconds=number),
            "amount": Decimal(number).scaleb(-2),
        }
        for number in numbers
    ]
    return pa.Table.from_pylist(rows, schema=table.arrow_schema)


def positions(days, amount="1.00"):
    """Rows of loan_positions: a loan a day."""
    table = TABLES["loan_positions"]
    rows = [
        dict.fromkeys(table.names)
        | {"business_date": day, "loan_id": "L1", "days_past_due": 3, "principal_outstanding": Decimal(amount)}
        for day in days
    ]
    return ibis.memtable(pa.Table.from_pylist(rows, schema=table.arrow_schema))


def outstanding(lake, **kwargs):
    rows = lake.table("loan_positions", **kwargs).to_pyarrow().to_pylist()
    return {row["business_date"]: row["principal_outstanding"] for row in rows}


def test_what_spark_writes_every_engine_reads_to_the_microsecond_and_the_cent(engine, tmp_path):
    url = str(tmp_path / "lake")
    given = transactions(range(50))

    Lake(url, engine).append("transactions", ibis.memtable(given))

    for reader in (engine, DuckDBEngine(threads=1)):
        rows = Lake(url, reader).table("transactions").order_by("transaction_id").to_pyarrow()
        assert rows.schema == given.schema
        assert rows.to_pylist() == given.to_pylist()


def test_days_are_replaced_in_folders_of_their_own(engine, tmp_path):
    lake = Lake(str(tmp_path / "lake"), engine)
    lake.replace_days("loan_positions", positions(DAYS), DAYS[0], DAYS[-1])

    # Its third day again, whose other day has no rows any more.
    written = lake.replace_days("loan_positions", positions(DAYS[2:3], "2.50"), DAYS[2], DAYS[3])

    assert (written.rows, written.version) == (1, 1)
    assert outstanding(lake) == {DAYS[0]: 1, DAYS[1]: 1, DAYS[2]: Decimal("2.50")}
    assert outstanding(lake, first=DAYS[1], last=DAYS[1]) == {DAYS[1]: 1}
    assert outstanding(lake, version=0) == dict.fromkeys(DAYS, 1)
    assert {path.parent.name for path in (tmp_path / "lake").rglob("*.parquet")} == {
        f"business_date={day}" for day in DAYS
    }


def test_runs_that_write_one_table_at_once_leave_each_others_files_alone(engine, tmp_path):
    lake = Lake(str(tmp_path / "lake"), engine)
    lake.replace_days("loan_positions", positions(DAYS[:1]), DAYS[0], DAYS[0])

    def write(day):
        return lake.replace_days("loan_positions", positions([day], "2.00"), day, day).rows

    with ThreadPoolExecutor(3) as pool:
        written = list(pool.map(write, DAYS[1:]))

    assert written == [1, 1, 1]
    assert outstanding(lake) == {DAYS[0]: 1} | dict.fromkeys(DAYS[1:], 2)
    assert [path for path in (tmp_path / "lake").rglob("*") if "_temporary" in path.parent.name] == []


def test_a_number_that_does_not_fit_fails_and_leaves_the_previous_version(engine, tmp_path):
    lake = Lake(str(tmp_path / "lake"), engine)
    lake.replace_days("loan_positions", positions(DAYS[:1]), DAYS[0], DAYS[0])
    too_wide = positions(DAYS[:1]).mutate(principal_outstanding=ibis.literal("1" + "0" * 20))

    # 10^20 is beyond the largest amount.
    with pytest.raises(AmountTooLarge, match=r"^loan_positions.*9,999,999,999,999,999\.99"):
        lake.replace_days("loan_positions", too_wide, DAYS[0], DAYS[0])

    assert (outstanding(lake), lake.version("loan_positions")) == ({DAYS[0]: 1}, 0)


def test_batches_come_in_order_and_in_the_types_of_the_expression(engine):
    given = transactions(range(200))
    rows = ibis.memtable(given).select("transaction_id", "posted_at", "amount").order_by(ibis.desc("transaction_id"))

    found = engine.batches(rows).read_all()

    assert found.to_pylist() == given.select(found.column_names).sort_by([("transaction_id", "descending")]).to_pylist()
    assert found.schema == rows.schema().to_pyarrow()


def test_a_udf_on_arrow_is_given_whole_columns(engine):
    @ibis.udf.scalar.pyarrow(signature=(("array<date>", "array<float64>"), "array<struct<on: date, rows: int64>>"))
    def longest(on, amounts):
        rows = len(on)
        return pa.array([[{"on": max(dates), "rows": rows}] for dates in on.to_pylist()])

    given = ibis.memtable({"on": [[DAYS[0], DAYS[2]], [DAYS[1]]] * 50, "amounts": [[1.0, 2.0], [3.0]] * 50})
    rows = given.select(found=longest(given.on, given.amounts))

    found = [row for (row,) in engine.backend.to_pyarrow(rows)["found"].to_pylist()]

    assert sorted(row["on"] for row in found) == [DAYS[1]] * 50 + [DAYS[2]] * 50
    # A column is what one Spark partition has of it.
    assert min(row["rows"] for row in found) > 10


def test_a_cast_takes_its_whole_operand(engine):
    from lending_pipelines.lake.engines.spark import _Dialect

    rows = ibis.memtable({"n": [3], "text": ["1.005"], "yes": [True], "none": pa.array([None], pa.int32())})
    n, yes = rows.n, rows.yes
    casts = {
        "sum": (n + 1).cast("string"),
        "negative": ibis.literal(-128, "int8").cast("string"),
        "negated": (-n).cast("string"),
        "smallest": (n - 131).cast("int8"),
        "product": (n * n.cast("decimal(10, 2)").cast("decimal(38, 4)")).cast("decimal(20, 1)"),
        "text": rows.text.cast("decimal(10, 3)").cast("string"),
        "both": (yes & (n > 2)).cast("int64"),
        "either": (~yes | (n == 2)).cast("int64"),
        "comparison": (n < 2).cast("int64"),
        "no": (~yes).cast("int64"),
        "nothing": rows.none.isnull().cast("int64"),
        "chosen": yes.ifelse(n, 0).cast("string"),
        "case": ibis.cases((n == 2, 20), (n == 3, 30), else_=0).cast("string"),
        "window": n.sum().over(ibis.window(group_by="text")).cast("string"),
        "remainder": (n % 2).cast("string"),
        "day": ibis.literal("2025-03-01").cast("date").cast("string"),
        "null": ibis.null("array<date>"),
    }

    assert sqlglot.parse_one("CAST(a + 1 AS STRING)", dialect="spark").sql(dialect=_Dialect) == "(a + 1)::STRING"
    (found,) = engine.backend.to_pyarrow(rows.select(**casts)).to_pylist()

    assert found == {
        "sum": "4",
        "negative": "-128",
        "negated": "-3",
        "smallest": -128,
        "product": Decimal("9.0"),
        "text": "1.005",
        "both": 1,
        "either": 0,
        "comparison": 0,
        "no": 0,
        "nothing": 1,
        "chosen": "3",
        "case": "30",
        "window": "3",
        "remainder": "1",
        "day": "2025-03-01",
        "null": None,
    }


def test_what_a_query_reads_again_and_again_is_computed_once_and_cleared_away(engine, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    seen = []
    rows = ibis.memtable({"loan_id": ["A", "B", "A"], "amount": [1, 2, 3]})
    totals = rows.group_by("loan_id").agg(total=rows.amount.sum().cast("int64"))
    twice = totals.join(totals.rename(other="total"), "loan_id").select("loan_id", "total", "other")
    for _ in range(3):
        twice = twice.join(twice.select("loan_id", more="other"), "loan_id").select("loan_id", "total", other="more")

    def views():
        tables = engine.backend.list_tables()
        return [name for name in tables if name.startswith("ibis_shared_")]

    with engine.backend.frame(twice.order_by("loan_id")) as frame:
        seen = [path.name for path in scratch.glob("lending-spark-*/*")]
        read = views()
        found = frame.toArrow().to_pylist()

    assert len(read) == len(seen) > 0
    assert views() == []
    assert found == [{"loan_id": "A", "total": 4, "other": 4}, {"loan_id": "B", "total": 2, "other": 2}]
    assert list(scratch.glob("lending-spark-*")) == []


def test_one_process_runs_spark_on_one_master(engine, tmp_path):
    from lending_pipelines.lake.engines.spark import SparkEngine

    assert engine.backend.to_pyarrow(ibis.memtable({"a": [1]})).num_rows == 1
    with pytest.raises(EngineError, match=r"already runs Spark on local\[2\] and cannot use spark://elsewhere:7077"):
        _ = SparkEngine(str(tmp_path), "spark://elsewhere:7077").backend


def test_spark_without_pyspark_says_what_to_install(monkeypatch):
    monkeypatch.setattr("lending_pipelines.lake.engines.find_spec", lambda name: None)

    with pytest.raises(EngineError, match=r"needs the package pyspark: .*lending_pipelines\[spark\]"):
        open_engine(Settings.from_environment({"LENDING_ENGINE": "spark"}), "lake", "1GB")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"PATH": os.devnull}, "java is not on the PATH"),
        ({"JAVA_HOME": os.devnull}, f"JAVA_HOME {os.devnull} has no bin/java"),
    ],
)
def test_spark_without_java_says_so(environment, said, tmp_path, monkeypatch):
    from lending_pipelines.lake.engines import spark

    monkeypatch.delenv("JAVA_HOME", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    # As in a process that has not started Spark yet.
    monkeypatch.setattr(spark.SparkSession, "getActiveSession", lambda: None)

    with pytest.raises(EngineError, match=f"LENDING_ENGINE spark needs Java 17 or later, but {said}"):
        _ = spark.SparkEngine(str(tmp_path)).backend


def test_a_memory_limit_that_is_none_is_refused(tmp_path, monkeypatch):
    from lending_pipelines.lake.engines import spark

    monkeypatch.setattr(spark, "_require_java", lambda: None)
    monkeypatch.setattr(spark.SparkSession, "getActiveSession", lambda: None)

    with pytest.raises(EngineError, match="memory_limit is 'much': write it like 6GB"):
        _ = spark.SparkEngine(str(tmp_path), memory_limit="much").backend
