"""Kills whole closes and deliveries at random moments, and starts eight commands at once. Nothing is torn, lost or
doubled, and the next housekeeping removes what is left over.

`python tests/kills.py closes 200`, `deliveries 100` or `at_once 20`; a closed home can be named after the number.
tests/test_kills.py does a few.
"""

import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

from homes import DAILY_TABLES, DAYS, FIRST, LAST, MONTHLY_TAPE, OPEN, Home

_TAPES = 20


def forked(act: Callable[[], object], output: Path) -> int:
    """Start an action in a process of its own, which has what this one imported; returns its id."""
    if process := os.fork():
        return process
    status = 1
    try:
        # The children of a terminal's command are in its group, and a kill ends the command alone.
        target = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(target, 1)
        os.dup2(target, 2)
        sys.stdout = sys.stderr = open(target, "w", buffering=1, closefd=False)  # noqa: SIM115 - until the process ends
        act()
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(status)


def ended(process: int) -> int:
    """The exit status of a process, negative for the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def done(act: Callable[[], object], output: Path) -> None:
    """Do it in a process of its own; AssertionError with what it printed when it fails."""
    output.unlink(missing_ok=True)
    status = ended(forked(act, output))
    assert status == 0, f"status {status}\n{output.read_text(errors='replace')[-3000:]}"


def killed(act: Callable[[], object], after: float, output: Path) -> bool:
    """Start it and kill it after so many seconds; False when it ended before."""
    process = forked(act, output)
    time.sleep(after)
    os.kill(process, signal.SIGKILL)
    return ended(process) == -signal.SIGKILL


def command(*arguments: str) -> Callable[[], None]:
    """A command of `lending`."""

    def run() -> None:
        from lending_pipelines.cli import main

        sys.argv = ["lending", *arguments]
        main()

    return run


@contextmanager
def entered(home: Home) -> Iterator[None]:
    """The environment names this home while the block runs."""
    os.environ.update(home.environment)
    yield


def load() -> None:
    """Import what the commands import, so that a forked one starts at once. No file is opened here."""
    import dagster as dg

    import lending_pipelines.cli
    import lending_pipelines.runs
    import lending_pipelines.sources.canonical  # noqa: F401

    # Dagster imports its storage when an instance opens.
    with dg.DagsterInstance.ephemeral():
        pass


def _contents(home: Home) -> dict[str, list[dict]]:
    return {name: home.rows(name) for name in DAILY_TABLES}


def _saved(home: Home, file: Path) -> Callable[[], None]:
    def save() -> None:
        file.write_text(repr(_contents(home)))

    return save


def _sound(home: Home, before: Path, after: Path) -> Callable[[], None]:
    """Closed days have their rows; the open day has them too where it counts as closed; no run counts as alive."""

    def check() -> None:
        import dagster as dg

        from lending_pipelines.dead_runs import UNDER_WAY
        from lending_pipelines.event_log import open_instance
        from lending_pipelines.runs import open_days, settle_home

        settle_home()
        found = _contents(home)
        closed = {name: [row for row in rows if row["business_date"] <= LAST] for name, rows in found.items()}
        assert repr(closed) == before.read_text(), "closed days changed"
        if not open_days(OPEN, OPEN):
            assert repr(found) == after.read_text(), "the day counts as closed and its rows are not those of a close"
        with open_instance(home.folder / "dagster") as instance:
            assert not instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY)), "a run of a dead process counts as alive"

    return check


def _nothing_left(home: Home) -> Callable[[], None]:
    """Housekeeping removes what killed processes left, when leftovers are removed at once."""

    def check() -> None:
        from lending_pipelines.processes import left_behind

        policy = home.folder / "retention.toml"
        policy.write_text("leftovers_hours = 0\n")
        os.environ["LENDING_RETENTION"] = str(policy)
        command("housekeeping", "--apply")()
        partial = [path for path in home.folder.rglob("*") if path.name.endswith(".part") or "_scratch/" in str(path)]
        assert [path for path in partial if path.is_file()] == []
        assert [*left_behind()] == []
        assert _orphans(home) == []

    return check


def _orphans(home: Home) -> list[str]:
    """The Parquet files of the lake that no version of their table has."""
    from deltalake import DeltaTable

    orphans = []
    for folder in (home.folder / "lake").iterdir():
        if not (folder / "_delta_log").is_dir():
            continue
        table = DeltaTable(str(folder))
        known: set[str] = set()
        for version in range(table.version() + 1):
            try:
                known |= {Path(uri).name for uri in DeltaTable(str(folder), version=version).file_uris()}
            except Exception:
                continue
        orphans += [str(file) for file in folder.rglob("*.parquet") if file.name not in known]
    return orphans


def kill_closes(closed: Home, folder: Path, kills: int, chance: random.Random, between: int = 10) -> int:
    """Kill the close of a day so many times; after each few, let it end. Returns the number of kills that hit."""
    output, before, after = folder / "output", folder / "before", folder / "after"
    reference = Home(Path(shutil.copytree(closed.folder, folder / "reference")))
    close = command("close", "--date", OPEN.isoformat())
    with entered(reference):
        done(_saved(reference, before), output)
        started = time.monotonic()
        done(close, output)
        seconds = time.monotonic() - started
        done(_saved(reference, after), output)
    hits = 0
    while hits < kills:
        home = Home(Path(shutil.copytree(closed.folder, folder / f"home-{hits}")))
        with entered(home):
            for _ in range(min(between, kills - hits)):
                hits += killed(close, chance.uniform(0, seconds), output)
                done(_sound(home, before, after), output)
            done(close, output)
            done(_saved(home, folder / "found"), output)
            assert (folder / "found").read_text() == after.read_text(), "another result after kills"
            done(_nothing_left(home), output)
        shutil.rmtree(home.folder)
        print(f"closes: {hits} kills", flush=True)
    return hits


def kill_deliveries(
    closed: Home, folder: Path, kills: int, chance: random.Random, destinations: dict[str, Any], received: Any
) -> int:
    """Kill deliveries of a day's tape so many times, each then completed as the daemon does it.

    Args:
        closed: The closed home.
        folder: Where the homes are made.
        kills: How many.
        chance: Chooses the moments.
        destinations: The settings of the tape.
        received: Returns the files at the destination by name, and the subjects of the mails that arrived.
    """
    from delivering import configured

    output = folder / "output"
    home = Home(Path(shutil.copytree(closed.folder, folder / f"home-{kills}")))
    hits = 0
    with entered(home):
        done(lambda: configured(home, MONTHLY_TAPE, tape_schedule="daily", **destinations), output)
        for number in range(10 * kills):
            if hits == kills:
                break
            day = DAYS[number % len(DAYS)] if number < len(DAYS) else None
            if day is None:
                break
            hits += killed(command("deliver", MONTHLY_TAPE, day.isoformat()), chance.uniform(0.2, 3.0), output)
            _no_torn_file(home, received()[0])
            done(_delivered(home, day), output)
            done(_arrived(home, day, *received()), output)
        done(_nothing_left(home), output)
    print(f"deliveries: {hits} kills", flush=True)
    return hits


def _delivered(home: Home, day: date) -> Callable[[], None]:
    """Complete what is not delivered, as the daemon does: mails that may have arrived are not sent again."""

    def run() -> None:
        from lending_pipelines.jobs import deliver_run_config
        from lending_pipelines.runs import RunFailed, run_job

        try:
            run_job("deliver_tape", deliver_run_config(MONTHLY_TAPE, day, failed=False))
        except RunFailed as failed:
            # The command delivered everything before it would have been killed. `_arrived` looks at the rows.
            if "nothing to deliver" not in str(failed):
                raise

    return run


def _exported(home: Home) -> dict[str, str]:
    files = (home.folder / "exports" / "tapes").rglob("*")
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()}


def _no_torn_file(home: Home, files: dict[str, bytes]) -> None:
    exported = _exported(home)
    for name, content in files.items():
        if not name.endswith(".part"):
            assert hashlib.sha256(content).hexdigest() == exported[name], f"{name} is torn"


def _arrived(home: Home, day: date, files: dict[str, bytes], subjects: Sequence[str]) -> Callable[[], None]:
    def check() -> None:
        from delivering import deliveries

        rows = [each for each in deliveries(home) if each.business_date == day]
        assert rows
        for row in rows:
            if row.channel == "email":
                arrived = sum(str(day) in subject for subject in subjects)
                assert arrived <= 1, f"{arrived} mails of {day}"
                assert (row.status, arrived) in {("delivered", 1), ("failed", 0), ("failed", 1)}
            else:
                assert row.status == "delivered", (row.status, row.error_message)
                assert sum(str(day) in name for name in files if not name.endswith(".part")) == 2

    return check


def start_at_once(closed: Home, folder: Path, rounds: int) -> None:
    """Eight commands at once in a closed home, so many times; and first commands at once in an empty home."""
    output = folder / "output"
    for number in range(rounds):
        empty = Home(folder / f"empty-{number}")
        with entered(empty):
            _all_end(8 * [command("portfolio", "list")], folder, {0})
            _all_end(4 * [command("housekeeping")], folder, {0})
        home = Home(Path(shutil.copytree(closed.folder, folder / f"home-{number}")))
        day, again = OPEN.isoformat(), LAST.isoformat()
        commands = [
            command("close", "--date", day),
            command("close", "--date", day),
            command("close", "--date", again, "--force"),
            command("sync"),
            command("report", "portfolio_summary", "--set", f"as_of={again}", "--format", "csv"),
            command("portfolio", "create", f"New {number}", "--opened", "2025-01-01"),
            command("investor", "create", f"Fund {number}", "--type", "fund"),
            command("status"),
        ]
        with entered(home):
            _all_end(commands, folder, {0, 1, 3})
            done(command("close", "--date", day), output)
            done(_twice_in_nothing(home), output)
            done(_nothing_left(home), output)
        shutil.rmtree(home.folder)
        shutil.rmtree(empty.folder)
        print(f"at once: {number + 1} rounds", flush=True)


def _twice_in_nothing(home: Home) -> Callable[[], None]:
    def check() -> None:
        from lending_pipelines.tables import TABLES

        for name, rows in _contents(home).items():
            keys = [tuple(row[column] for column in TABLES[name].key) for row in rows]
            assert len(keys) == len(set(keys)), f"{name} has rows twice"
        assert {row["business_date"] for row in home.rows("loan_positions")} == {*DAYS, OPEN}

    return check


def _all_end(commands: Sequence[Callable[[], None]], folder: Path, statuses: set[int]) -> None:
    """Start the commands at once; each ends with one of the statuses and without a traceback."""
    outputs = [folder / f"output-{number}" for number in range(len(commands))]
    for output in outputs:
        output.unlink(missing_ok=True)
    processes = [forked(act, output) for act, output in zip(commands, outputs, strict=True)]
    for process, output in zip(processes, outputs, strict=True):
        status, printed = ended(process), output.read_text(errors="replace")
        assert status in statuses, f"status {status}\n{printed[-3000:]}"
        assert "Traceback" not in printed, printed[-3000:]
        assert "unexpected" not in printed, printed[-3000:]


@contextmanager
def receivers(folder: Path) -> Iterator[tuple[dict[str, Any], Any]]:
    """A folder, an SFTP server and a mail server; the settings of a tape to all three, and what they received."""
    from servers import SftpServer, mail_server

    (folder / "sftp").mkdir()
    (folder / ".ssh").mkdir()
    server = SftpServer(folder / "sftp")
    server.start()
    (folder / ".ssh" / "known_hosts").write_text(server.known_host)
    os.environ |= {"HOME": str(folder), "HARBOUR_PASSWORD": server.PASSWORD}
    with mail_server() as mailbox:
        os.environ["LENDING_SMTP_URL"] = mailbox.url
        url = f"sftp://{server.USER}:${{HARBOUR_PASSWORD}}@127.0.0.1:{server.port}/in"
        settings = {"recipient_email": "a@b.example", "deliver_from": FIRST}

        def received() -> tuple[dict[str, bytes], list[str]]:
            files = [*(folder / "inbox").rglob("*"), *(folder / "sftp").rglob("*")]
            contents = {file.name: file.read_bytes() for file in files if file.is_file()}
            return contents, [str(message["Subject"]) for message in mailbox.messages]

        yield (
            {"sftp": {**settings, "delivery_url": url}, "folder": {**settings, "delivery_url": str(folder / "inbox")}},
            received,
        )
    server.stop()


def _closed_home(base: Path) -> Home:
    """A closed home of its own."""
    import homes

    closed, output = Home(base / "closed"), base / "made"
    os.environ.update(closed.environment)
    done(lambda: homes.fill(closed), output)
    done(command("close", "--from", FIRST.isoformat(), "--to", LAST.isoformat()), output)
    return closed


def _main(kind: str, number: int, home: str = "") -> None:
    os.environ.setdefault("LENDING_START_DATE", "2019-08-01")
    load()
    chance = random.Random(number)
    base = Path(tempfile.mkdtemp(prefix="kills-"))
    closed = Home(Path(home)) if home else _closed_home(base)
    started = time.monotonic()
    match kind:
        case "closes":
            kill_closes(closed, base, number, chance)
        case "deliveries":
            left, each = number, min(_TAPES, (number + 1) // 2)
            for name in cycle(("folder", "sftp")):
                folder = Path(tempfile.mkdtemp(dir=base))
                with receivers(folder) as (settings, received):
                    left -= kill_deliveries(closed, folder, min(each, left), chance, settings[name], received)
                if left == 0:
                    break
        case "at_once":
            start_at_once(closed, base, number)
    print(f"{kind} {number}: sound, in {timedelta(seconds=round(time.monotonic() - started))}")
    shutil.rmtree(base)


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
