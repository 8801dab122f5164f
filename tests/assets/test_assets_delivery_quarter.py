"""A quarter of tapes to a folder, an SFTP server and a mailbox, day by day, with a day that is closed late, one whose
checks fail, a daemon that is restarted and destinations that are down: in the end exactly the right tapes are there."""

import hashlib
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest
import sqlalchemy as sa
from delivering import Daemon, deliveries, told
from homes import materialise
from servers import SftpServer

from lending_pipelines.assets import NEEDED_TABLES
from lending_pipelines.register import Portfolios
from lending_pipelines.runs import instance_home
from lending_pipelines.sample import SampleSpec, fill_database
from lending_pipelines.settings import Settings
from lending_pipelines.tapes import save_tape_config

ASSIGNED = ("portfolio_assignments", "portfolio_membership", "loan_ownership")
FIRST, LAST = date(2025, 1, 1), date(2025, 3, 31)
MISSING, WRONG, DOWN = date(2025, 2, 7), date(2025, 3, 21), date(2025, 2, 21)
# Twice a month; 8 and 22 February and March are Saturdays, and their tapes those of the Fridays before.
TWICE = [date(2025, 1, 8), date(2025, 1, 22), MISSING, DOWN, date(2025, 3, 7), WRONG]
MONTH_ENDS = [date(2025, 1, 31), date(2025, 2, 28), date(2025, 3, 31)]
EXPECTED = [
    *(("twice", day) for day in TWICE),
    *(("monthly", day) for day in MONTH_ENDS),
    ("quarterly", LAST),
]


@pytest.fixture
def daemon(monkeypatch):
    return Daemon(monkeypatch)


@pytest.fixture
def lender(empty_home, tmp_path, sftp, monkeypatch):
    """A small lender with a portfolio whose tapes go out twice a month, monthly and quarterly."""
    monkeypatch.setenv("HARBOUR_PASSWORD", "a%2Fb%40c")
    fill_database(SampleSpec(40, FIRST, LAST, 3), empty_home.servicing_url)
    engine = sa.create_engine(empty_home.servicing_url)
    with engine.connect() as connection:
        loans = list(connection.scalars(sa.text("SELECT loan_id FROM loans WHERE disbursed_on < '2025-01-01'")))
    engine.dispose()
    with empty_home.register() as session:
        pool = Portfolios(session).create("Pool", FIRST).portfolio_id
        Portfolios(session).assign(pool, loans, FIRST)
        every = {"deliver_from": FIRST, "required_fields": ["loan_id", "currency", "principal_outstanding"]}
        twice = {
            "tape_schedule": "0 0 8,22 * *",
            "business_day_convention": "preceding",
            "holiday_calendar": "XNYS",
            "delivery_url": f"sftp://{SftpServer.USER}:${{HARBOUR_PASSWORD}}@127.0.0.1:{sftp.port}/in",
        }
        save_tape_config(session, "twice", pool, **twice, **every)
        save_tape_config(session, "monthly", pool, tape_schedule="monthly", delivery_url=str(tmp_path / "in"), **every)
        quarterly = {"tape_schedule": "quarterly", "recipient_email": "ann@harbour.example"}
        save_tape_config(session, "quarterly", pool, **quarterly, **every)
    return empty_home


def spoil(home, day):
    """Put five too much into one loan's principal outstanding on a day in the lake."""
    with home.lake() as lake:
        held = lake.table("loan_positions", day, day).to_pyarrow()
        rows = held.to_pylist()
        next(row for row in rows if row["status"] == "active")["principal_outstanding"] += Decimal(5)
        lake.replace_days("loan_positions", ibis.memtable(pa.Table.from_pylist(rows, schema=held.schema)), day, day)


def hashes(folder):
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".csv"}
    assert {path.name for path in folder.iterdir()} == {*files, *(f"{name}.manifest.json" for name in files)}
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def test_a_quarter_ends_with_exactly_the_right_deliveries(lender, daemon, sftp, mailbox, tmp_path, monkeypatch):
    instance_home(Settings.from_environment())
    materialise(FIRST, MISSING - timedelta(days=1), *NEEDED_TABLES, *ASSIGNED, "loan_positions")
    materialise(MISSING + timedelta(days=1), LAST, "loan_positions")
    spoil(lender, WRONG)

    with daemon.running():
        for number in range((LAST - FIRST).days + 2):
            day = FIRST + timedelta(days=number)
            # Of a night in which the daemon was restarted, what it had asked for is lost.
            if day == MONTH_ENDS[0] + timedelta(days=1):
                assert len(daemon.at(f"{day} 01:59").requests()) == 1
            if day == MISSING + timedelta(days=2):
                materialise(MISSING, MISSING, "loan_positions")
            if day == WRONG + timedelta(days=3):
                materialise(WRONG, WRONG, "loan_positions")
            if day == DOWN + timedelta(days=1):
                sftp.stop()
            if day == DOWN + timedelta(days=2):
                sftp.start()
            # The mail server is reached on the second day after the quarter only.
            monkeypatch.setenv("LENDING_SMTP_URL", "smtp://127.0.0.1:1")
            for time in ("02:00", "13:00"):
                daemon.at(f"{day} {time}").tick()
        monkeypatch.setenv("LENDING_SMTP_URL", mailbox.url)
        daemon.at("2025-04-02 02:00").tick()
        assert daemon.at("2025-04-03 13:00").tick() == []

    delivered = deliveries(lender)
    assert {each.status for each in delivered} == {"delivered"}
    names = {tape: f"{tape}_{{}}.csv".format for tape in ("twice", "monthly", "quarterly")}
    arrived = {
        "twice": hashes(sftp.folder / "in"),
        "monthly": hashes(tmp_path / "in"),
        "quarterly": {
            part.get_filename(): hashlib.sha256(part.get_content()).hexdigest()
            for message in mailbox.messages
            for part in message.iter_attachments()
            if part.get_filename().endswith(".csv")
        },
    }
    assert [name for files in arrived.values() for name in sorted(files)] == [names[t](d) for t, d in EXPECTED]
    assert len(mailbox.messages) == 1
    receipts = [each.sha256 for each in sorted(delivered, key=lambda each: each.business_date)]
    assert Counter(receipts) == Counter(sha256 for files in arrived.values() for sha256 in files.values())
    assert {each.rows for each in delivered} == {len(_loans(lender))}
    late = Counter(subject for subject, _ in told(lender))
    assert late == {
        f"Loan tape twice of {MISSING} delayed": 1,
        f"Loan tape twice of {WRONG} delayed": 1,
        f"Loan tape twice of {DOWN} delayed": 1,
        f"Loan tape quarterly of {LAST} delayed": 1,
    }


def _loans(lender):
    return [row for row in lender.rows("loan_positions", LAST, LAST) if row["portfolio_id"]]
