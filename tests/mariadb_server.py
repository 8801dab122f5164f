"""A MariaDB server for a test session or a benchmark, on loopback: Debian's mariadb-server, without a password."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

_QUICK = (
    # Nothing outlives the session, so nothing waits for the disk.
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--skip-log-bin",
    "--skip-name-resolve",
    "--innodb-buffer-pool-size=128M",
    "--innodb-log-file-size=64M",
)


@contextmanager
def running_mariadb() -> Iterator[sa.Engine]:
    """The administrator's engine of a new server, which ends with the block. FileNotFoundError without the package."""
    server, install = shutil.which("mariadbd", path="/usr/sbin:/usr/bin"), shutil.which("mariadb-install-db")
    if server is None or install is None:
        raise FileNotFoundError("MariaDB is not installed: `apt-get install mariadb-server`")
    # A socket's path is limited to about 100 characters.
    with tempfile.TemporaryDirectory(prefix="lending_mariadb_") as folder:
        data = f"--datadir={folder}/data"
        as_root = ["--user=root"] if Path(folder).owner() == "root" else []
        install_options = ["--auth-root-authentication-method=normal", "--skip-test-db", *as_root]
        subprocess.run([install, "--no-defaults", data, *install_options], check=True, capture_output=True)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        address = ["--bind-address=127.0.0.1", f"--port={port}", f"--socket={folder}/socket"]
        # A server that starts removes the temporary tables of other servers from a folder that they share.
        own_files = f"--tmpdir={folder}"
        process = subprocess.Popen(
            [server, "--no-defaults", data, own_files, *address, *_QUICK, *as_root],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            engine = sa.create_engine(f"mysql+pymysql://root@127.0.0.1:{port}", isolation_level="AUTOCOMMIT")
            _wait_for(engine, process)
            yield engine
            engine.dispose()
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(engine: sa.Engine, process: subprocess.Popen) -> None:
    for _ in range(300):
        try:
            with engine.connect():
                return
        except sa.exc.OperationalError:
            assert process.poll() is None, "the MariaDB server ended at its start"
            time.sleep(0.1)
    raise AssertionError("the MariaDB server does not answer after 30 seconds")
