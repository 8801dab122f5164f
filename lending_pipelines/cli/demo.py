"""The demonstration: an invented lender in its own home, closed over its full history, with reports and tapes.

It calls the same functions as the commands. demo_home.py defines its folder and days, demo_faults.py the deliberate
faults, and demo_people.py who can sign in to the portal.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa

from lending_pipelines.cli import demo_people
from lending_pipelines.cli.demo_faults import (
    backdate_payment,
    correct_ledger_by_hand,
    managers_in_trouble,
    mistype_recovery,
    stop_gateway,
)
from lending_pipelines.cli.demo_home import REQUESTED_BY
from lending_pipelines.cli.terminal import opened_lake
from lending_pipelines.errors import LendingError
from lending_pipelines.event_log import open_instance
from lending_pipelines.jobs import deliver_run_config
from lending_pipelines.register import Alerts, Investors, Portfolios, Register
from lending_pipelines.register.alert_models import OPEN_STATES
from lending_pipelines.runs import Finished, Progress, RunFailed, instance_home, run_job, run_report
from lending_pipelines.sample import SampleSpec, fill_database
from lending_pipelines.sensors.alert_watch import watch_now
from lending_pipelines.settings import Settings
from lending_pipelines.tables.sql import servicing_metadata
from lending_pipelines.tapes import save_tape_config

FUND, BUYER = "Harbour Income Fund", "Cedar Pension Fund"
HARVEST = "Harvest loans"
REPORTS = {
    "portfolio_summary": "pdf",
    "delinquency_aging": "xlsx",
    "vintage_analysis": "pdf",
    "trial_balance": "xlsx",
    "loan_tape": "csv",
    "weekly_summary": "pdf",
}
"""The reports of the demonstration, with their formats."""
_SOLD_AT = Decimal("0.98")
"""The price at which a portfolio is sold, as a share of its balance."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Plan:
    """The portfolios and tapes of the demonstration, by its days."""

    first: date
    last: date

    @property
    def auto(self) -> str:
        """The portfolio with a rule: vehicle loans of the last full year."""
        return f"Auto {self.last.year - 1}"

    @property
    def tapes(self) -> dict[str, date]:
        """Each tape with the last day on which it is due. The first one is late."""
        last = pd.Timestamp(self.last)
        return {
            "Harvest monthly": pd.offsets.MonthEnd().rollback(last).date(),
            "Harbour quarterly": pd.offsets.QuarterEnd().rollback(last).date(),
            f"{self.auto} yearly": date(self.last.year - 1, 12, 31),
        }

    def parameters(self, report_type: str) -> dict[str, str]:
        """The parameters of a report. The weekly summary is for the last full week up to a Sunday, and prints names."""
        if report_type != "weekly_summary":
            return {}
        sunday = self.last - timedelta(days=self.last.isoweekday() % 7)
        return {"as_of": sunday.isoformat(), "allow_pii": "true"}


@dataclass(frozen=True)
class _Portfolios:
    """The ids of the two portfolios, and of the loans in the first."""

    harvest: str
    auto: str
    harvest_loans: list[str]


def run_demo(settings: Settings, spec: SampleSpec, say: Say, progress: Progress) -> None:
    """Create the demonstration in a new home and print what was made, where, and how long it took.

    Args:
        settings: The settings of the home.
        spec: The sample.
        say: Prints a line.
        progress: Called for each finished step.
    """
    started = time.monotonic()
    plan = _Plan(spec.first, spec.last)
    say(f"1/6  A lender of {spec.loans:,} loans, {spec.first} to {spec.last}")
    rows = fill_database(spec, settings.servicing_url)
    say(f"     {sum(rows.values()):,} rows in {len(rows)} tables")
    say("2/6  Two portfolios (one with a rule), two investors and three loan tapes")
    portfolios = _register(settings, plan)
    with _servicing(settings) as connection:
        wrong = [
            managers_in_trouble(spec),
            mistype_recovery(connection, spec.last),
            stop_gateway(connection, spec.last),
            correct_ledger_by_hand(connection, spec.last, portfolios.harvest_loans[0]),
        ]
    say("3/6  The daily close of all days, in one run")
    closed = run_job("daily_close", days=(spec.first, spec.last), progress=progress)
    for warning in closed.warnings:
        say(f"     warning: {warning}")
    say("4/6  Delivery of the last tapes to folders, and a payment that makes one of them late")
    late, *on_time = plan.tapes
    for tape in on_time:
        run_job("deliver_tape", deliver_run_config(tape, plan.tapes[tape], failed=True), progress=progress)
    with _servicing(settings) as connection:
        loan_id = _loan_to_repay(portfolios.harvest, plan.tapes[late])
        wrong.append(backdate_payment(connection, loan_id, plan.tapes[late]))
    run_job("sync", progress=progress, assets=["transactions"])
    wrong.append(_deliver_late(late, plan.tapes[late], progress))
    say("5/6  The sale of a portfolio at the end of the last day")
    run_job("sell_portfolio", {"ops": {"sell": {"config": _sale(portfolios.auto, plan)}}}, progress=progress)
    say("6/6  Reports, and alerts on what is late")
    files = {
        report_type: run_report(
            report_type, plan.parameters(report_type), output_format, requested_by=REQUESTED_BY, progress=progress
        )["file"]
        for report_type, output_format in REPORTS.items()
    }
    alerts = _watch(settings)
    sign_ins = demo_people.add_sign_ins(settings, FUND)
    _summarise(say, settings, plan, closed, files)
    say("\nWrong on purpose, so that you see what it looks like:")
    for line in filter(None, wrong):
        say(f"  {line}")
    say(f"`LENDING_HOME={settings.home} lending alerts` lists the {alerts} open alerts of it.")
    say(
        f"`LENDING_HOME={settings.home} lending status` shows the ledger and the tape, as the asset close_summary does."
    )
    say(f"The weekly summary that managers would get is {files['weekly_summary']}")
    say(f"\nDone in {time.monotonic() - started:.0f} s.")
    say(f"`LENDING_HOME={settings.home} lending ui` opens Dagster on http://127.0.0.1:3000 and starts the portal too.")
    for line in demo_people.lines(settings, *sign_ins):
        say(line)


@contextmanager
def _servicing(settings: Settings) -> Iterator[sa.Connection]:
    """A transaction in the servicing database."""
    engine = sa.create_engine(settings.servicing_url)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _register(settings: Settings, plan: _Plan) -> _Portfolios:
    """Add a portfolio of harvest loans, half of them sold to a fund, and a portfolio with a rule.

    Also adds the investor who buys the second portfolio, and monthly, quarterly and yearly tapes.
    """
    loans = servicing_metadata().tables["loans"]
    with _servicing(settings) as connection:
        query = sa.select(loans.c.loan_id).where(loans.c.disbursed_on <= plan.first).order_by(loans.c.loan_id)
        loan_ids = connection.execute(query.where(loans.c.product_id == "P-AGRI")).scalars().all()
    register = Register(settings.register_url)
    register.upgrade()
    with register.session() as session:
        portfolio = Portfolios(session).create(HARVEST, plan.first).portfolio_id
        Portfolios(session).assign(portfolio, loan_ids, plan.first)
        investor = Investors(session).create(FUND, "fund").investor_id
        Investors(session).assign(investor, [(loan_id, None) for loan_id in loan_ids[::2]], plan.first)
        auto = Portfolios(session).create(plan.auto, plan.first, criteria=_rule(plan)).portfolio_id
        Investors(session).create(BUYER, "institutional")
        monthly, quarterly, yearly = (
            (tape, {"deliver_from": day, "delivery_url": str(settings.home / "delivered" / tape)})
            for tape, day in plan.tapes.items()
        )
        save_tape_config(session, monthly[0], portfolio, tape_schedule="monthly", **monthly[1])
        of_fund = {"investor_id": investor, "tape_schedule": "quarterly", "tape_format": "xlsx"}
        save_tape_config(session, quarterly[0], portfolio, **of_fund, **quarterly[1])
        by_standard = {"template": "sec_schedule_al_auto_loans", "tape_format": "xml", "tape_schedule": "0 0 31 12 *"}
        save_tape_config(session, yearly[0], auto, **by_standard, **yearly[1])
    register.dispose()
    return _Portfolios(portfolio, auto, list(loan_ids))


def _rule(plan: _Plan) -> dict[str, Any]:
    year = plan.last.year - 1
    return {
        "all": [
            {"field": "product_id", "op": "eq", "value": "P-AUTO"},
            {"field": "currency", "op": "eq", "value": "USD"},
            {"field": "disbursed_on", "op": "between", "value": [f"{year}-01-01", f"{year}-12-31"]},
        ]
    }


def _watch(settings: Settings) -> int:
    """Raise the alerts on late closes and tapes, as the sensor alert_watch does. Returns the number of open alerts."""
    register = Register(settings.register_url)
    with open_instance(instance_home(settings)) as instance:
        watch_now(instance, register, settings)
    with register.session() as session:
        found = Alerts(session).listed(states=OPEN_STATES, limit=sys.maxsize)
    register.dispose()
    return len(found)


def _loan_to_repay(portfolio_id: str, day: date) -> str:
    """The first loan of a portfolio that on a day is active, owes at least 1,000.00 and has no investor."""
    with opened_lake() as lake:
        rows = lake.table("loan_positions", day, day)
        rows = rows.filter(rows.portfolio_id == portfolio_id, rows.investor_id.isnull(), rows.status == "active")
        return rows.filter(rows.principal_outstanding >= 1000).loan_id.min().to_pyarrow().as_py()


def _deliver_late(tape: str, day: date, progress: Progress) -> str:
    """Try to deliver a tape of a day that is out of date. Returns a line about it. Raises if it is delivered."""
    try:
        run_job("deliver_tape", deliver_run_config(tape, day, failed=True), progress=progress)
    except RunFailed:
        return f"Tape: {tape!r} of {day} is late: it waits until that day is closed again."
    raise LendingError(f"tape {tape!r} of {day} was delivered, although its day is out of date")


def _sale(portfolio_id: str, plan: _Plan) -> dict[str, str]:
    """The sale of the portfolio with a rule, for a share of its balance."""
    with opened_lake() as lake:
        rows = lake.table("loan_positions", plan.last, plan.last)
        rows = rows.filter(rows.portfolio_id == portfolio_id)
        balance = rows.principal_outstanding.sum().to_pyarrow().as_py()
    price = (balance * _SOLD_AT).quantize(Decimal("0.01"))
    return {"portfolio": plan.auto, "investor": BUYER, "date": str(plan.last), "price": str(price)}


def _summarise(say: Say, settings: Settings, plan: _Plan, closed: Finished, files: dict[str, str]) -> None:
    """Print the rows and seconds of the close, and where the lake, tapes and reports are."""
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
    for tape, day in list(plan.tapes.items())[1:]:
        say(f"delivered {tape:<28} of {day} to {settings.home / 'delivered' / tape}")
    for report_type, file in files.items():
        say(f"report    {report_type:<20} {file}")
