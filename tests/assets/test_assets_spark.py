"""The whole close on Spark: every table as DuckDB makes it, and every report's checks; on a cluster; and killed."""

import csv
import gzip
import hashlib
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from urllib.request import urlopen

import dagster as dg
import pyspark
import pytest
from homes import DAILY_TABLES, Home, close, materialise

from lending_pipelines.tables import TABLES

SOME_DAYS = date(2025, 2, 27), date(2025, 3, 1)
TAPE_DAYS = date(2019, 9, 30), date(2019, 10, 1)
TAPE_LOANS = 100
MASTER = "local[2]"
SPARK = {"LENDING_ENGINE": "spark", "LENDING_SPARK_MASTER": MASTER}
ENGINES = {"duckdb": {}, "spark": SPARK}
BIN = Path(sys.executable).parent
PATIENCE = 300


@pytest.fixture(scope="module")
def sample(java: None, filled_home: Home, closed_home: Home, tmp_path_factory) -> dict[str, Home]:
    """A small lender's days closed by each engine."""
    by_spark = Home(shutil.copytree(filled_home.folder, tmp_path_factory.mktemp("sample") / "spark"))
    close(by_spark, **SPARK)
    return {"duckdb": closed_home, "spark": by_spark}


def compare(homes: dict[str, Home], some: set[str]) -> None:
    """Every table of both lakes: ratios to 1e-9, all else but the instants of closing exactly."""
    assert homes["spark"].versions().keys() == homes["duckdb"].versions().keys()
    for name in homes["duckdb"].versions():
        expected, found = homes["duckdb"].rows(name), homes["spark"].rows(name)
        assert len(found) == len(expected), name
        assert expected or name not in some, f"{name} has no rows to compare"
        for row, wanted in zip(found, expected, strict=True):
            columns = [column for column in wanted if (name, column) != ("closed_days", "closed_at")]
            wrong = {each: (row[each], wanted[each]) for each in columns if not same(row[each], wanted[each])}
            assert not wrong, (name, {key: row[key] for key in TABLES[name].key})


def same(found: object, wanted: object) -> bool:
    if isinstance(found, float) and isinstance(wanted, float):
        return math.isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-9)
    return type(found) is type(wanted) and found == wanted


def evaluations(home: Home) -> dict[str, tuple[bool, object]]:
    """Of the last run, whether each check passed, and on how many rows it did not."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        home.enter(monkeypatch)
        with dg.DagsterInstance.get() as instance:
            run = instance.get_runs(limit=1)[0]
            records = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found = [record.get_dagster_event().asset_check_evaluation_data for record in records]
    return {
        f"{check.asset_key.to_user_string()}.{check.check_name}": (check.passed, check.metadata.get("failed_rows"))
        for check in found
    }


def test_every_table_of_the_sample_is_the_same_to_the_cent(sample):
    compare(sample, {*DAILY_TABLES, "loans", "transactions", "journal_lines", "portfolio_membership"})


def test_every_check_says_the_same(sample):
    expected = evaluations(sample["duckdb"])

    assert len(expected) > 50
    assert evaluations(sample["spark"]) == expected


def test_a_tape_is_the_same_to_the_byte(sample):
    tapes = {engine: list((home.folder / "exports").rglob("*.csv")) for engine, home in sample.items()}
    sums = {
        engine: {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
        for engine, paths in tapes.items()
    }

    assert len(sums["duckdb"]) == 1
    assert sums["spark"] == sums["duckdb"]


@pytest.fixture(scope="module")
def tape_cut(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first loans of the real tape."""
    folder, whole = tmp_path_factory.mktemp("cut"), shared_dir / "data" / "autoloans"
    kept: set[str] = set()
    for name in ("loans.csv.gz", "monthly.csv.gz"):
        with gzip.open(whole / name, "rt", newline="") as source, gzip.open(folder / name, "wt", newline="") as cut:
            rows = csv.DictReader(source)
            writer = csv.DictWriter(cut, rows.fieldnames)
            writer.writeheader()
            for row in rows:
                if name == "loans.csv.gz" and len(kept) < TAPE_LOANS:
                    kept.add(row["assetNumber"])
                if row["assetNumber"] in kept:
                    writer.writerow(row)
    return folder


def test_every_table_of_the_real_tape_is_the_same_to_the_cent(java, tape_cut, tmp_path):
    source = {"LENDING_SOURCE": "absee", "LENDING_SERVICING_URL": str(tape_cut)}
    homes = {engine: Home(tmp_path / engine) for engine in ENGINES}
    for engine, environment in ENGINES.items():
        close(homes[engine], TAPE_DAYS, **source, **environment)

    compare(homes, {"loan_positions", "aging_buckets", "portfolio_snapshots", "installments", "transactions"})
    assert evaluations(homes["spark"]) == evaluations(homes["duckdb"])


def positions_run(master: str) -> subprocess.Popen:
    """A run in a process of its own that makes positions again on Spark."""
    return subprocess.Popen(
        [
            *(BIN / "dagster", "asset", "materialize", "-m", "lending_pipelines.definitions"),
            *("--select", 'key:"loan_positions"', "--partition-range", "...".join(map(str, SOME_DAYS))),
        ],
        env=os.environ | SPARK | {"LENDING_SPARK_MASTER": master},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def until(true: Callable[[], bool], process: subprocess.Popen) -> bool:
    """Wait until it is true, or the process has ended; false when it never was."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if true():
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.005)
    raise TimeoutError(f"nothing in {PATIENCE} s")


def writing(home: Home) -> Callable[[], bool]:
    """Whether files of positions are being written."""
    folder = home.folder / "lake" / "loan_positions" / "_temporary"
    return lambda: any(folder.rglob("*.parquet"))


def kill(process: subprocess.Popen) -> None:
    """Kill a process of this test and its children, which share its group."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)


def test_a_killed_run_leaves_the_previous_version_and_the_next_run_completes(java, home, monkeypatch):
    before, versions = {name: home.rows(name) for name in DAILY_TABLES}, home.versions()

    run = positions_run(MASTER)
    try:
        assert until(writing(home), run), run.communicate()[1]
    finally:
        kill(run)

    assert run.returncode == -signal.SIGKILL
    assert home.versions() == versions
    assert {name: home.rows(name) for name in DAILY_TABLES} == before
    for name, value in SPARK.items():
        monkeypatch.setenv(name, value)
    materialise(*SOME_DAYS, "loan_positions")
    made = {name: versions[name] + 1 for name in ("loan_positions", "closed_days")}
    assert home.versions() == versions | made
    assert home.rows("loan_positions") == before["loan_positions"]


class Cluster:
    """A standalone cluster on this machine: a master and its workers, each a process of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._port, self._page = free_ports(2)
        self.url = f"spark://127.0.0.1:{self._port}"
        self._master = self._start(
            "master.Master", "--host", "127.0.0.1", "--port", str(self._port), "--webui-port", str(self._page)
        )
        self.workers: list[subprocess.Popen] = []

    def add_worker(self) -> None:
        work = self.folder / f"worker_{len(self.workers)}"
        options = ("--host", "127.0.0.1", "--webui-port", "0", "--cores", "1", "--memory", "1g", "--work-dir", work)
        self.workers.append(self._start("worker.Worker", *map(str, options), self.url))

    def wait_for(self, workers: int) -> None:
        def there() -> bool:
            try:
                with urlopen(f"http://127.0.0.1:{self._page}/json/", timeout=5) as page:
                    return json.load(page)["aliveworkers"] == workers
            except OSError:
                return False

        assert until(there, self._master)

    def stop(self) -> None:
        for process in (*self.workers, self._master):
            kill(process)

    def _start(self, role: str, *options: str) -> subprocess.Popen:
        home = Path(pyspark.__file__).parent
        return subprocess.Popen(
            [home / "bin" / "spark-class", f"org.apache.spark.deploy.{role}", *options],
            env=os.environ | {"SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture
def cluster(java: None, tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    try:
        cluster.add_worker()
        cluster.add_worker()
        cluster.wait_for(2)
        yield cluster
    finally:
        cluster.stop()


def held_run(master: str, folder: Path, *assets: str) -> subprocess.Popen:
    """A run in a process of its own that makes tables again on Spark, and waits in its first write for `folder`/go."""
    # Rows reach the file as they come: neither collected between Python and Java nor sorted before they are written.
    unbuffered = "--conf spark.buffer.size=64 --conf spark.sql.maxConcurrentOutputFileWriters=8 pyspark-shell"
    tests = Path(__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, Path(__file__).with_name("held_write.py"), folder, *map(str, SOME_DAYS), *assets],
        env=os.environ
        | SPARK
        | {
            "LENDING_SPARK_MASTER": master,
            "PYSPARK_SUBMIT_ARGS": unbuffered,
            "PYTHONPATH": os.pathsep.join([str(tests), os.environ.get("PYTHONPATH", "")]),
        },
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_cluster_makes_the_same_positions_also_when_a_worker_is_killed_in_mid_write(
    home, cluster, tmp_path, monkeypatch
):
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    before, versions = {name: home.rows(name) for name in DAILY_TABLES}, home.versions()
    held = tmp_path / "held"
    held.mkdir()

    run = held_run(cluster.url, held, "loan_positions", "portfolio_snapshots")
    try:
        assert until(lambda: any(held.glob("*.held")) and writing(home)(), run), run.communicate()[1]
        work = Path(next(held.glob("*.held")).read_text()).relative_to(cluster.folder)
        kill(cluster.workers[int(work.parts[0].removeprefix("worker_"))])
        killed_at = home.versions()
        seen = home.rows("loan_positions")
        (held / "go").touch()
        _, errors = run.communicate(timeout=PATIENCE)
    finally:
        kill(run)

    # Both took part, and the other worker did again what was lost.
    assert {path.parts[-3] for path in cluster.folder.glob("worker_*/app-*/*")} == {"worker_0", "worker_1"}
    assert killed_at == versions
    assert seen == before["loan_positions"]
    assert run.returncode == 0, errors
    made = {"loan_positions", "portfolio_snapshots"}
    # Each of them is recorded in closed_days by a commit of its own.
    expected = {name: version + (name in made) for name, version in versions.items()}
    assert home.versions() == expected | {"closed_days": versions["closed_days"] + len(made)}
    for name in made:
        for row, wanted in zip(home.rows(name), before[name], strict=True):
            assert all(same(row[column], value) for column, value in wanted.items())
    assert list((home.folder / "lake" / "_scratch").iterdir()) == []
