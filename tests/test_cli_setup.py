"""What a lender does in the first hour: lending init, doctor, source ddl, ui, by the real commands."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from homes import FIRST, LAST, Home, lending
from servers import answers, free_port
from typer.testing import CliRunner

from lending_pipelines.cli import app
from lending_pipelines.sources import SourceError, open_source
from lending_pipelines.tables import SERVICING
from lending_pipelines.tables.ddl import create_tables, create_views
from lending_pipelines.tables.sql import servicing_metadata


def invoke(*arguments: str, **options):
    return CliRunner().invoke(app, arguments, **options)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the servicing tables in books.db, and nothing set in the environment."""
    for name in [name for name in os.environ if name.startswith(("LENDING_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    with sqlite3.connect(tmp_path / "books.db") as connection:
        connection.executescript(create_tables("sqlite"))
    connection.close()
    return tmp_path


ANSWERS = ("--start-date", "2025-02-01", "--timezone", "Europe/Amsterdam", "--name", "Harbour Lending")


def test_the_tables_can_be_made_from_the_ddl_in_postgresql(postgres_url):
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        # The comments have percent signs, which drivers take for parameters.
        connection.execute(sa.text(create_tables("postgresql").replace(":", "\\:")))
        inspector = sa.inspect(connection)
        assert set(inspector.get_table_names()) == set(SERVICING)
        found = {name: [column["name"] for column in inspector.get_columns(name)] for name in SERVICING}
        amount = next(c for c in inspector.get_columns("transactions") if c["name"] == "amount")
    engine.dispose()
    assert found == {name: list(table.names) for name, table in SERVICING.items()}
    assert (amount["type"].precision, amount["type"].scale, amount["nullable"]) == (18, 2, False)


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite", "mysql"])
def test_each_column_of_a_view_template_has_its_meaning(dialect):
    views = create_views(dialect)
    assert views.count("CREATE VIEW") == len(SERVICING)
    (line,) = [line for line in views.splitlines() if "... AS payment_frequency" in line]
    assert "never NULL; one of " in line
    filled = views.replace("... AS", "NULL AS").replace("FROM ...", "WHERE 0")
    if dialect == "sqlite":
        with sqlite3.connect(":memory:") as connection:
            connection.executescript(filled)
            assert connection.execute("SELECT count(*) FROM loans").fetchone() == (0,)


def test_init_writes_what_every_command_then_finds(folder):
    done = invoke("init", "--servicing-url", "sqlite:///books.db", *ANSWERS)

    assert done.exit_code == 0, done.output
    assert "has 25 of the servicing tables" in done.output
    assert "lending close --from 2025-02-01 --to 2025-02-07" in done.output
    (folder / "below").mkdir()
    os.chdir(folder / "below")
    doctor = invoke("doctor")
    assert doctor.exit_code == 0, doctor.output
    lines = {line[8:32].strip(): line for line in doctor.stdout.splitlines()}
    assert lines["settings"].endswith(str(folder / "lending.toml"))
    assert "Europe/Amsterdam" in lines["time zone"]
    assert set(SERVICING) <= set(lines)
    os.chdir(folder)
    assert "exists: edit it" in str(invoke("init", "--servicing-url", "sqlite:///books.db", *ANSWERS).exception)


def test_init_asks_for_what_is_not_given(folder):
    done = invoke("init", input=f"sqlite:///{folder}/books.db\n2025-03-01\nUTC\n\n")
    assert done.exit_code == 0, done.output
    text = (folder / "lending.toml").read_text()
    assert 'start_date = "2025-03-01"' in text
    assert "name" not in text


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgres://u:p@host/db", "write postgresql:// instead of postgres://"),
        ("sqlite:////nowhere/books.db", "the SQLite file /nowhere/books.db does not exist"),
        ("books.db", "write sqlite:////absolute/path, postgresql://user:password@host/database or mysql://"),
        ("mysql://u:p@127.0.0.1:1/db", "the database mysql+pymysql://u:***@127.0.0.1:1/db"),
    ],
)
def test_init_writes_nothing_when_the_database_cannot_be_read(folder, url, told):
    done = invoke("init", "--servicing-url", url, *ANSWERS)
    assert told in str(done.exception)
    assert not (folder / "lending.toml").exists()


def test_a_server_that_does_not_answer_is_told_within_10_seconds():
    def told(scheme: str) -> tuple[float, str]:
        """After how many seconds it is told, and what."""
        # A listener that accepts and says nothing.
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"{scheme}://u:secret@127.0.0.1:{listener.getsockname()[1]}/db"
            started = time.monotonic()
            with pytest.raises(SourceError) as refused, open_source("canonical", url).snapshot():
                pass
        return time.monotonic() - started, str(refused.value)

    schemes = ("postgresql", "mysql")
    # Both at once: each waits for five seconds.
    with ThreadPoolExecutor() as threads:
        for scheme, (seconds, text) in zip(schemes, threads.map(told, schemes), strict=True):
            assert seconds < 10, scheme
            assert "cannot be read" in text, scheme
            assert "secret" not in text, scheme


def doctor_lines(output: str) -> dict[str, list[str]]:
    """The lines that `lending doctor` prints, by subject: the verdict, then each error."""
    told: dict[str, list[str]] = {}
    subject = ""
    for line in output.splitlines():
        subject = line[8:32].strip() if not line.startswith(" ") else subject
        told.setdefault(subject, []).append(line)
    return told


def test_doctor_tells_all_faults_of_all_tables_and_goes_on(folder):
    invoke("init", "--servicing-url", "sqlite:///books.db", *ANSWERS)
    with sqlite3.connect(folder / "books.db") as connection:
        connection.execute("ALTER TABLE loans RENAME COLUMN annual_rate TO rate")
        connection.execute("INSERT INTO programs VALUES ('G1', 'Micro')")
        connection.execute("DROP TABLE tickets")
        post = "INSERT INTO transactions VALUES (?, ?, ?, '2025-02-01', '2025-02-01 10:00:00', 5, 5, 0, 0, NULL, NULL)"
        connection.executemany(post, [("T1", "L1", "gift"), ("T2", "L1", "gift"), ("T3", "L1", "loan")])
    connection.close()

    done = invoke("doctor")

    told = doctor_lines(done.stdout)
    assert str(done.exception) == "doctor: 2 checks failed, see above"
    assert told["loans"][0].startswith("FAILED")
    assert "loans.annual_rate: the column is missing" in told["loans"][1]
    assert "transactions.type: 3 rows" in told["transactions"][1]
    assert "transaction_id=T2 has 'gift'" in told["transactions"][1]
    assert told["programs"][0].startswith("ok")
    assert "does not have it; it is optional" in told["tickets"][0]
    assert list(folder.glob(".lending/lake/*")) == []


def test_doctor_tells_in_one_run_what_only_a_comparison_of_tables_shows(folder):
    """A table with a broken rule hides neither its other errors nor the orphans of other tables."""
    invoke("init", "--servicing-url", "sqlite:///books.db", *ANSWERS)
    engine = sa.create_engine("sqlite:///books.db")
    tables = servicing_metadata().tables
    made = datetime(2025, 1, 2)
    terms = {"borrower_id": "B", "product_id": "P", "branch_id": "N", "principal": 1200, "annual_rate": Decimal("12.5")}
    terms |= {"day_count": "30/360", "term_count": 12, "payment_frequency": "monthly", "approved_on": made.date()}
    terms |= {"disbursed_on": made.date(), "posted_at": made, "updated_at": made, "currency": "EUR"}
    event = {"type": "disbursement", "effective_on": made.date(), "posted_at": made, "interest": 0, "fees": 0}
    with engine.begin() as connection:
        connection.execute(sa.insert(tables["loans"]), [terms | {"loan_id": name} for name in ("A", "B")])
        connection.exec_driver_sql("UPDATE loans SET day_count = '30/361' WHERE loan_id = 'B'")
        paid = [event | {"transaction_id": name, "loan_id": name, "amount": 5, "principal": 5} for name in ("A", "Z")]
        connection.execute(sa.insert(tables["transactions"]), paid)
        person = {
            "full_name": "N",
            "role": "loan_officer",
            "branch_id": "N",
            "active_from": made.date(),
            "updated_at": made,
        }
        emails = {"S1": "ann@lender.example", "S2": "", "S3": "-", "S4": ""}
        people = [person | {"staff_id": name, "email": email, "active_to": None} for name, email in emails.items()]
        people[-1]["active_to"] = made.date()
        connection.execute(sa.insert(tables["staff"]), people)
    engine.dispose()

    done = invoke("doctor")

    told = doctor_lines(done.stdout)
    loans, transactions = "\n".join(told["loans"]), "\n".join(told["transactions"])
    assert "loans.day_count: 1 rows" in loans
    assert "rates_are_fractions fails for 2 rows (loan_id=A; loan_id=B)" in loans
    assert "disbursements_exist fails for 1 row (loan_id=B)" in loans
    assert "rejected: transactions.loan_id: 1 rows" in transactions
    # S4 left.
    assert told["staff email"][0].split(maxsplit=3)[3] == "2 have none, and the admins get their alerts: S2, S3"
    assert "transaction_id=Z has 'Z'" in transactions
    assert str(done.exception) == "doctor: 2 checks failed, see above"


@pytest.mark.parametrize("option", ["--port", "--portal-port"])
def test_ui_on_a_taken_port_ends_at_once_with_a_port_that_is_free(empty_home, option):
    others = {"--port": "--portal-port", "--portal-port": "--port"}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = lending("ui", option, str(port), others[option], str(free_port()))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"Error: port {port} on 127.0.0.1 is taken")
    assert f"run `lending ui {option} " in done.stderr
    assert not empty_home.folder.exists()


@pytest.mark.slow
def test_ui_that_a_script_started_in_the_background_ends_at_sigterm(empty_home):
    ports = [free_port(), free_port()]
    command = [Path(sys.executable).parent / "lending", "ui", "--port", str(ports[0]), "--portal-port", str(ports[1])]
    # As a shell does for `lending ui &` in a script.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until and not all(map(answers, ports)):
            time.sleep(0.5)
        process.terminate()
        assert process.wait(timeout=30) == 0
        assert not any(map(answers, ports))
    finally:
        process.kill()
        process.wait()


def test_ctrl_c_in_a_close_is_one_line_and_the_run_is_canceled(home: Home):
    import dagster as dg

    command = [Path(sys.executable).parent / "lending", "close", "--from", str(FIRST), "--to", str(LAST), "--force"]
    before = home.versions()["loan_positions"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if "servicing_tables" in line:
                break
        process.send_signal(signal.SIGINT)
        told = process.stderr.read()
        process.wait(timeout=60)

    again = f"run `lending close --from {FIRST} --to {LAST} --force` to continue"
    assert f"stopped; the table in progress was not written; {again}\n" in told
    assert "Traceback" not in told
    assert process.returncode != 0
    with dg.DagsterInstance.get() as instance:
        assert instance.get_runs(limit=1)[0].status == dg.DagsterRunStatus.CANCELED
    # Whatever had been reached, the table is whole.
    assert home.versions()["loan_positions"] in (before, before + 1)
    assert len(home.rows("loan_positions", FIRST, FIRST)) > 0
