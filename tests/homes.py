"""A home (LENDING_HOME) as tests use it: its databases and lake, and a small lender closed in it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import date, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

FIRST, LAST = date(2025, 2, 12), date(2025, 3, 14)
"""The closed days: 31, so that a day is there whose transition starts at a closed day, and two month ends."""

DAYS = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]

OPEN = date(2025, 3, 15)
"""A day of the sample that is not closed."""

PORTFOLIO = "Consumer 2024"
MONTHLY_TAPE = "Consumer monthly"
YEARLY_TAPE = "Fund yearly"

DAILY_TABLES = (
    "loan_positions",
    "aging_buckets",
    "aging_transitions",
    "portfolio_snapshots",
    "manager_snapshots",
    "trial_balance",
    "ledger_tieouts",
    "platform_activity",
)

OF_LOANS = (
    "programs",
    "products",
    "branches",
    "staff",
    "borrowers",
    "loans",
    "installments",
    "modifications",
    "transactions",
)
"""Loans, their events, and the tables that they refer to: all tables of the cases of loans that have rows."""


ERRORS_ONLY = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
"""Of a run's configuration: what a failing test prints has no line for each event of Dagster's."""


@dataclass(frozen=True)
class Home:
    """A home: everything that the package keeps, in one folder."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"LENDING_HOME": str(self.folder), "DAGSTER_HOME": str(self.folder / "dagster")}

    @property
    def servicing_url(self) -> str:
        return f"sqlite:///{self.folder / 'servicing.db'}"

    @property
    def register_url(self) -> str:
        return f"sqlite:///{self.folder / 'register.db'}"

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)

    @contextmanager
    def lake(self) -> Iterator[Any]:
        from lending_pipelines.lake import Lake
        from lending_pipelines.lake.engines import DuckDBEngine

        engine = DuckDBEngine()
        yield Lake(str(self.folder / "lake"), engine)
        engine.close()

    def rows(self, table: str, first: date | None = None, last: date | None = None) -> list[dict]:
        """The rows of a lake table, in the order of their key."""
        from lending_pipelines.tables import TABLES

        with self.lake() as lake:
            return lake.table(table, first, last).order_by(list(TABLES[table].key)).to_pyarrow().to_pylist()

    def versions(self) -> dict[str, int]:
        """The Delta version of every table that was ever written."""
        from lending_pipelines.tables import TABLES

        with self.lake() as lake:
            return {name: lake.version(name) for name in TABLES if lake.has(name)}

    def servicing(self, statement: str, **values: Any) -> None:
        """Change the servicing database."""
        engine = sa.create_engine(self.servicing_url)
        with engine.begin() as connection:
            connection.execute(sa.text(statement), values)
        engine.dispose()

    def pay(self, loan_id: str, effective_on: date, posted_at: str, principal: float, name: str = "T-late") -> None:
        """Post a repayment of principal alone in the servicing database."""
        self.servicing(
            "INSERT INTO transactions (transaction_id, loan_id, type, effective_on, posted_at, amount, principal, "
            "interest, fees) VALUES (:id, :loan, 'repayment', :day, :posted, :amount, :amount, 0, 0)",
            id=name,
            loan=loan_id,
            day=effective_on.isoformat(),
            posted=posted_at,
            amount=principal,
        )

    @contextmanager
    def register(self) -> Iterator[Any]:
        """A session on the register."""
        from lending_pipelines.register import Register

        register = Register(self.register_url)
        register.upgrade()
        with register.session() as session:
            yield session
        register.dispose()

    def killed(self, code: str) -> None:
        """Run a program that kills itself in this home."""
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr

    def requests(self) -> list[Any]:
        """The report requests, the latest first."""
        from lending_pipelines.register import ReportRequests

        with self.register() as session:
            return ReportRequests(session).recent()


def fill(home: Home) -> None:
    """Fill the home with a small lender, a portfolio, a fund and two tapes."""
    from lending_pipelines.register import Investors, Portfolios, TapeConfigs
    from lending_pipelines.sample import SampleSpec, fill_database

    fill_database(SampleSpec(150, date(2025, 1, 1), OPEN, 7), home.servicing_url)
    engine = sa.create_engine(home.servicing_url)
    with engine.connect() as connection:
        query = sa.text("SELECT loan_id FROM loans WHERE disbursed_on < '2025-01-01' ORDER BY loan_id LIMIT 40")
        loan_ids = list(connection.scalars(query))
    engine.dispose()
    with home.register() as session:
        portfolio = Portfolios(session).create(PORTFOLIO, FIRST).portfolio_id
        Portfolios(session).assign(portfolio, loan_ids, FIRST)
        fund = Investors(session).create("Harbour Income Fund", "fund").investor_id
        Investors(session).assign(fund, [(loan_id, None) for loan_id in loan_ids[::2]], date(2025, 3, 1))
        fields = ["loan_id", "currency", "status", {"field": "principal_outstanding", "as": "balance"}, "product_name"]
        TapeConfigs(session).create(MONTHLY_TAPE, portfolio, required_fields=fields, tape_schedule="monthly")
        yearly = {"tape_schedule": "0 0 14 3 *", "tape_format": "xlsx", "investor_id": fund}
        TapeConfigs(session).create(YEARLY_TAPE, portfolio, required_fields=fields, **yearly)


def close(home: Home, days: tuple[date, date] = (FIRST, LAST), **environment: str) -> None:
    """Close the home's days in one run, with that in the environment besides."""
    from lending_pipelines.runs import run_job

    with pytest.MonkeyPatch.context() as monkeypatch:
        home.enter(monkeypatch)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        run_job("daily_close", days=days)


def materialise(first: date, last: date, *assets: str, config: dict | None = None) -> dict[str, Any]:
    """Run some of the close's assets alone for a range of days; the metadata of the last one."""
    import dagster as dg

    from lending_pipelines.definitions import definitions
    from lending_pipelines.event_log import open_instance
    from lending_pipelines.runs import instance_home
    from lending_pipelines.settings import Settings

    with open_instance(instance_home(Settings.from_environment())) as instance:
        result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            asset_selection=[dg.AssetKey(asset) for asset in assets],
            run_config=ERRORS_ONLY | (config or {}),
            instance=instance,
            tags={
                "dagster/asset_partition_range_start": first.isoformat(),
                "dagster/asset_partition_range_end": last.isoformat(),
            },
        )
    events = result.get_asset_materialization_events()
    made = [event.materialization for event in events if event.asset_key == dg.AssetKey(assets[-1])][-1]
    return {name: value.value for name, value in made.metadata.items()}


def lending(*arguments: str) -> subprocess.CompletedProcess:
    """Run the command `lending` in the home that the environment names.

    It runs in this process, which has imported what the command needs and has a process that validates.
    """
    from lending_pipelines.cli import main

    output, errors = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as monkeypatch, redirect_stdout(output), redirect_stderr(errors):
        monkeypatch.setattr(sys, "argv", ["lending", *arguments])
        try:
            main()
            status = 0
        except SystemExit as ended:
            status = ended.code or 0
    return subprocess.CompletedProcess(arguments, status, output.getvalue(), errors.getvalue())
