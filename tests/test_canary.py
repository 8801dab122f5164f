"""A secret of each kind, and every place where a home keeps or prints something: none of them has it."""

import sys
from contextlib import suppress
from datetime import date

import pytest
from cryptography.fernet import Fernet
from delivering import configured
from homes import LAST, MONTHLY_TAPE, OPEN

from lending_pipelines.cli import main
from lending_pipelines.cli.terminal import VERBOSE

CANARY = "canary-7fd1a9"
MONTH_END = date(2025, 2, 28)


@pytest.fixture
def lending(home, monkeypatch, capfd):
    """Run a command as `lending` does; its exit status."""

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["lending", *arguments])
        monkeypatch.setattr(VERBOSE, "chosen", False)
        try:
            main()
        except SystemExit as ended:
            return int(ended.code or 0)
        return 0

    return run


def test_no_secret_is_printed_or_stored_by_good_and_failing_runs(home, lending, monkeypatch, capfd):
    key = Fernet.generate_key().decode()
    monkeypatch.setenv("LENDING_REGISTER_KEYS", key)
    monkeypatch.setenv("LENDING_SMTP_URL", f"smtp://ann:{CANARY}@127.0.0.1:1")
    monkeypatch.setenv("LENDING_ALERT_WEBHOOK_URL", f"http://127.0.0.1:1/hook?token={CANARY}")
    monkeypatch.setenv("LENDING_ALERT_WEBHOOK_SECRET", CANARY)
    monkeypatch.setenv("LENDING_OIDC_CLIENT_SECRET", CANARY)
    monkeypatch.setenv("TAPE_PASSWORD", CANARY)
    configured(home, MONTHLY_TAPE, delivery_url="sftp://ann:${TAPE_PASSWORD}@127.0.0.1:1/in", recipient_email="a@b.nl")

    good = [
        lending("investor", "create", "Harbour", "--type", "fund", "--bank-account", CANARY, "--address", CANARY),
        lending("report", "portfolio_summary", "--set", f"as_of={LAST}", "--format", "json", "--notify", "a@b.nl"),
        lending("tapes"),
    ]
    failing = [
        lending("deliver", MONTHLY_TAPE, str(MONTH_END)),
        lending("doctor"),
    ]
    for source, url in (
        ("canonical", f"postgresql://ann:{CANARY}@127.0.0.1:1/books?sslpassword={CANARY}"),
        ("canonical", f"nosuchdatabase://ann:{CANARY}@127.0.0.1/books"),
        ("canonical", f"postgresql://ann:p@{CANARY}#@127.0.0.1/books"),
        ("absee", f"http://127.0.0.1:1/tapes?token={CANARY}"),
        ("absee", f"simplecache::sftp://ann:{CANARY}@127.0.0.1:1/tapes"),
    ):
        monkeypatch.setenv("LENDING_SOURCE", source)
        monkeypatch.setenv("LENDING_SERVICING_URL", url)
        failing += [lending("sync"), lending("--verbose", "sync")]
    failing += [lending("close", "--date", str(OPEN))]

    printed = capfd.readouterr()
    assert good == [0, 0, 0]
    assert all(status != 0 for status in failing[1:])
    assert printed.err.count("Error: ") > 5
    assert CANARY not in printed.out + printed.err
    secrets = (CANARY.encode(), key.encode())
    files = [path for path in home.folder.rglob("*") if path.is_file()]
    assert len(files) > 100
    found = []
    for path in files:
        with suppress(FileNotFoundError):
            found += [path for secret in secrets if secret in path.read_bytes()]
    assert found == []
