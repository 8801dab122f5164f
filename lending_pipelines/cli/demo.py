"""The demonstration: an invented lender in its own home, closed over its full history, with reports and tapes.

It calls the same functions as the commands.
"""

import os
import shutil
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import sqlalchemy as sa

from lending_pipelines.cli.terminal import confirm, register_session
from lending_pipelines.errors import LendingError
from lending_pipelines.jobs import deliver_run_config
from lending_pipelines.register import Investors, Portfolios, Register, ReportRequests
from lending_pipelines.runs import Finished, Progress, run_job, run_report
from lending_pipelines.sample import SampleSpec, fill_database
from lending_pipelines.settings import Settings
from lending_pipelines.tables.sql import servicing_metadata
from lending_pipelines.tapes import save_tape_config

SPEC = SampleSpec(loans=3000, first=date(2025, 1, 1), last=date(2026, 6, 30), seed=1)
DYNAMIC, BUYER = "Auto 2025", "Cedar Pension Fund"
CRITERIA = {
    "all": [
        {"field": "product_id", "op": "eq", "value": "P-AUTO"},
        {"field": "currency", "op": "eq", "value": "USD"},
        {"field": "disbursed_on", "op": "between", "value": ["2025-01-01", "2025-12-31"]},
    ]
}
SALE = {"portfolio": DYNAMIC, "investor": BUYER, "date": str(SPEC.last), "price": "1500000.00"}
TAPES = {
    "Seasoned 2024 monthly": SPEC.last,
    "Harbour quarterly": SPEC.last,
    "Auto 2025 yearly": date(2025, 12, 31),
}
REPORTS = {
    "portfolio_summary": "pdf",
    "delinquency_aging": "xlsx",
    "vintage_analysis": "pdf",
    "trial_balance": "xlsx",
    "loan_tape": "csv",
}
MARKER = "made-by-lending-demo"
REQUESTED_BY = "demo"
_OWN = (
    "DAGSTER_HOME",
    "LENDING_LAKE",
    "LENDING_EXPORTS",
    "LENDING_SERVICING_URL",
    "LENDING_REGISTER_URL",
    "LENDING_SOURCE",
)


class DemoError(LendingError):
    """The demonstration would change something that it did not create."""


def run_demo(say: Callable[[str], None], progress: Progress, *, yes: bool = False) -> None:
    """Create the demonstration in LENDING_HOME and print what was made, where, and how long it took.

    Args:
        say: Prints a line.
        progress: Called for each finished step.
        yes: Do not ask before reports in LENDING_HOME are deleted.

    Raises:
        DemoError: LENDING_HOME has other content, or an environment variable points outside it.
    """
    settings = _own_home(yes=yes)
    started = time.monotonic()
    say(f"1/6  A lender of {SPEC.loans:,} loans, {SPEC.first} to {SPEC.last}")
    rows = fill_database(SPEC, settings.servicing_url)
    say(f"     {sum(rows.values()):,} rows in {len(rows)} tables")
    say("2/6  Two portfolios (one with a rule), two investors and three loan tapes")
    _register(settings)
    say("3/6  The daily close of all days, in one run")
    closed = run_job("daily_close", days=(SPEC.first, SPEC.last), progress=progress)
    for warning in closed.warnings:
        say(f"     warning: {warning}")
    say("4/6  Delivery of the last tapes to folders")
    for tape, day in TAPES.items():
        run_job("deliver_tape", deliver_run_config(tape, day, failed=True), progress=progress)
    say("5/6  The sale of a portfolio at the end of the last day")
    run_job("sell_portfolio", {"ops": {"sell": {"config": SALE}}}, progress=progress)
    say("6/6  Reports")
    files = {
        report_type: run_report(report_type, {}, output_format, requested_by=REQUESTED_BY, progress=progress)["file"]
        for report_type, output_format in REPORTS.items()
    }
    _summarise(say, settings, closed, files)
    say(f"\nDone in {time.monotonic() - started:.0f} s.")
    say("`make ui` opens Dagster on http://127.0.0.1:3000 with this data.")


def _own_home(*, yes: bool) -> Settings:
    if elsewhere := [name for name in _OWN if os.environ.get(name)]:
        raise DemoError(f"the demo creates its own data: unset {', '.join(elsewhere)} first")
    settings = Settings.from_environment()
    if settings.home.exists() and any(settings.home.iterdir()) and not (settings.home / MARKER).exists():
        raise DemoError(f"{settings.home} has other content: set LENDING_HOME to a new folder for the demo")
    if reports := _own_reports(settings):
        what = f"The demo deletes {settings.home} and creates it again. You made {len(reports)} reports there:"
        confirm(what, [f"  {each}" for each in reports], yes=yes)
    shutil.rmtree(settings.home, ignore_errors=True)
    settings.home.mkdir(parents=True)
    (settings.home / MARKER).touch()
    return settings


def _own_reports(settings: Settings) -> list[str]:
    """The reports in the home that the demo did not make."""
    if not (settings.home / "register.db").exists():
        return []
    with register_session() as session:
        found = ReportRequests(session).recent("completed", sys.maxsize)
        return [str(report.file_url) for report in found if report.requested_by != REQUESTED_BY]


def _register(settings: Settings) -> None:
    """Add a portfolio of the first product's loans, half of them sold to a fund, and a portfolio with a rule.

    Also adds the investor who buys the second portfolio, and monthly, quarterly and yearly tapes.
    """
    loans = servicing_metadata().tables["loans"]
    engine = sa.create_engine(settings.servicing_url)
    with engine.connect() as connection:
        query = sa.select(loans.c.loan_id).where(loans.c.disbursed_on <= SPEC.first).order_by(loans.c.loan_id)
        first_product = sa.select(sa.func.min(loans.c.product_id)).scalar_subquery()
        loan_ids = connection.execute(query.where(loans.c.product_id == first_product)).scalars().all()
    engine.dispose()
    register = Register(settings.register_url)
    register.upgrade()
    with register.session() as session:
        portfolio = Portfolios(session).create("Seasoned 2024", SPEC.first).portfolio_id
        Portfolios(session).assign(portfolio, loan_ids, SPEC.first)
        investor = Investors(session).create("Harbour Income Fund", "fund").investor_id
        Investors(session).assign(investor, [(loan_id, None) for loan_id in loan_ids[::2]], date(2025, 7, 1))
        auto = Portfolios(session).create(DYNAMIC, SPEC.first, criteria=CRITERIA).portfolio_id
        Investors(session).create(BUYER, "institutional")
        monthly, quarterly, yearly = (
            (tape, {"deliver_from": day, "delivery_url": str(settings.home / "delivered" / tape)})
            for tape, day in TAPES.items()
        )
        save_tape_config(session, monthly[0], portfolio, tape_schedule="monthly", **monthly[1])
        of_fund = {"investor_id": investor, "tape_schedule": "quarterly", "tape_format": "xlsx"}
        save_tape_config(session, quarterly[0], portfolio, **of_fund, **quarterly[1])
        by_standard = {"template": "sec_schedule_al_auto_loans", "tape_format": "xml", "tape_schedule": "0 0 31 12 *"}
        save_tape_config(session, yearly[0], auto, **by_standard, **yearly[1])
    register.dispose()


def _summarise(say: Callable[[str], None], settings: Settings, closed: Finished, files: dict[str, str]) -> None:
    say(f"\n{'table':<24}{'rows':>12}{'seconds':>10}")
    for table, metadata in closed.metadata.items():
        if "seconds" in metadata:
            rows = metadata.get("dagster/row_count", metadata.get("rows_read"))
            say(f"{table:<24}{rows:>12,}{metadata['seconds']:>10.1f}")
    say(f"\n{'step':<32}{'seconds':>10}")
    for step, seconds in closed.seconds.items():
        say(f"{step:<32}{seconds:>10.1f}")
    tapes = list(Path(settings.exports_url).glob("tapes/**/*.manifest.json"))
    say(f"\nlake      {settings.lake_url}")
    say(f"tapes     {len(tapes)} in {settings.exports_url}/tapes")
    for tape, day in TAPES.items():
        say(f"delivered {tape:<28} of {day} to {settings.home / 'delivered' / tape}")
    for report_type, file in files.items():
        say(f"report    {report_type:<20} {file}")
