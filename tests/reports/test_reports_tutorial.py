"""docs/adding-a-report.md: its one new file is a report in a copy of the package, and its test holds."""

import csv
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from homes import LAST

import lending_pipelines
from lending_pipelines.reports import registry, types

PACKAGE = Path(lending_pipelines.__file__).parent
PAGE = PACKAGE.parent / "docs" / "adding-a-report.md"
FILE = "top_borrowers.py"


def _code():
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def _commands():
    return re.findall(r"^\.venv/bin/(lending report .*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture
def copy(tmp_path):
    """A copy of the package with the page's file in it, and nothing else edited."""
    folder = tmp_path / "checkout"
    shutil.copytree(PACKAGE, folder / "lending_pipelines", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "lending_pipelines" / "reports" / "types" / FILE).write_text(_code()[0], encoding="utf-8")
    return folder


def _python(copy, home, *arguments):
    environment = {**os.environ, **home.environment, "PYTHONPATH": str(copy)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=copy, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_new_file_is_a_report_from_the_launchpads_defaults_and_from_the_command_line(copy, home):
    # One process does both: most of its time is the import of the package.
    both = """if True:
        from lending_pipelines.cli import main
        from lending_pipelines.runs import run_job
        print(run_job("report_top_borrowers").run_id, flush=True)
        main()
    """
    (command,) = _commands()
    run_id, _, told = _python(copy, home, "-c", both, *command.split()[1:]).partition("\n")

    asked, defaults = home.requests()
    assert (defaults.report_type, defaults.status, defaults.run_id) == ("top_borrowers", "completed", run_id)
    assert defaults.file_url.endswith(".xlsx")
    assert Path(defaults.file_url).stat().st_size > 1000
    assert asked.file_url in told

    owed = Counter()
    for row in home.rows("loan_positions", LAST, LAST):
        if row["status"] == "active":
            owed[row["currency"], row["borrower_id"]] += row["principal_outstanding"]
    with open(asked.file_url, newline="", encoding="utf-8-sig") as file:
        printed = list(csv.DictReader(file))
    for currency in ("EUR", "USD"):
        largest = sorted((amount for (of, _), amount in owed.items() if of == currency), reverse=True)[:5]
        assert [Decimal(row["principal_outstanding"]) for row in printed if row["currency"] == currency] == largest
    assert not (PACKAGE / "reports" / "types" / FILE).exists()


def test_the_test_of_the_page_holds(report, tmp_path, monkeypatch):
    (tmp_path / FILE).write_text(_code()[0], encoding="utf-8")
    monkeypatch.setattr(types, "__path__", [*types.__path__, str(tmp_path)])
    registry._generators.cache_clear()
    tests = {}
    exec(_code()[1], tests)
    try:
        [test] = [thing for name, thing in tests.items() if name.startswith("test_")]
        test(report)
    finally:
        registry._generators.cache_clear()
        sys.modules.pop(f"{types.__name__}.{FILE.removesuffix('.py')}", None)
