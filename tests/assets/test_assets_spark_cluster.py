"""A run on a Spark cluster, one of whose workers is killed while it writes."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pyspark
import pytest
from homes import DAILY_TABLES
from spark_runs import PATIENCE, SOME_DAYS, SPARK, kill, same, until, writing


class Cluster:
    """A standalone cluster on this machine: a master and its workers, each a process of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        # With Hadoop's own defaults, as a real cluster has them.
        others = shutil.ignore_patterns("*-default.xml")
        self.environment = {
            "SPARK_CONF_DIR": str(shutil.copytree(os.environ["SPARK_CONF_DIR"], folder / "conf", ignore=others)),
            "SPARK_LOCAL_IP": "127.0.0.1",
        }
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
            except (OSError, json.JSONDecodeError):
                # The master's server starts before it has its pages, and answers with its front page until then.
                return False

        assert until(there, self._master)

    def stop(self) -> None:
        for process in (*self.workers, self._master):
            kill(process)

    def _start(self, role: str, *options: str) -> subprocess.Popen:
        home = Path(pyspark.__file__).parent
        return subprocess.Popen(
            [home / "bin" / "spark-class", f"org.apache.spark.deploy.{role}", *options],
            env=os.environ | self.environment | {"SPARK_HOME": str(home)},
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


def held_run(cluster: Cluster, folder: Path, *assets: str) -> subprocess.Popen:
    """A run in a process of its own that makes tables again on Spark, and waits in its first write for `folder`/go."""
    # Rows reach the file as they come: neither collected between Python and Java nor sorted before they are written.
    unbuffered = "--conf spark.buffer.size=64 --conf spark.sql.maxConcurrentOutputFileWriters=8 pyspark-shell"
    tests = Path(__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, Path(__file__).with_name("held_write.py"), folder, *map(str, SOME_DAYS), *assets],
        env=os.environ
        | SPARK
        | cluster.environment
        | {
            "LENDING_SPARK_MASTER": cluster.url,
            "PYSPARK_SUBMIT_ARGS": unbuffered,
            "PYTHONPATH": os.pathsep.join([str(tests), os.environ.get("PYTHONPATH", "")]),
        },
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_cluster_makes_the_same_positions_also_when_a_worker_is_killed_in_mid_write(home, cluster, tmp_path):
    before, versions = {name: home.rows(name) for name in DAILY_TABLES}, home.versions()
    held = tmp_path / "held"
    held.mkdir()

    run = held_run(cluster, held, "loan_positions", "portfolio_snapshots")
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
    # The days as reported are recorded before they are replaced, for each table.
    assert killed_at == versions | {"reported_days": 0}
    assert seen == before["loan_positions"]
    assert run.returncode == 0, errors
    made = {"loan_positions", "portfolio_snapshots"}
    # Each of them is recorded in closed_days by a commit of its own.
    expected = {name: version + (name in made) for name, version in versions.items()}
    recorded = {"closed_days": versions["closed_days"] + len(made), "reported_days": len(made) - 1}
    assert home.versions() == expected | recorded
    for name in made:
        for row, wanted in zip(home.rows(name), before[name], strict=True):
            assert all(same(row[column], value) for column, value in wanted.items())
    assert list((home.folder / "lake" / "_scratch").iterdir()) == []
