"""What alert rules cost a close: a day of 3,000 loans with 100 rules against the same day without the asset `alerts`.

The days before are closed with the same rules, so that the register has their findings and open alerts.
"""

import os
import shutil
import tempfile
from datetime import timedelta
from itertools import product
from pathlib import Path

from benchmarks.harness import Options, Row, compare
from benchmarks.sample_data import DAY
from lending_pipelines.alerts.rule_files import default_rules, parse_rules
from lending_pipelines.alerts.rules import AlertRule
from lending_pipelines.alerts.saved_rules import save_rules
from lending_pipelines.definitions import definitions
from lending_pipelines.expectations import client
from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.register import Register
from lending_pipelines.runs import run_job
from lending_pipelines.sample import SampleSpec, fill_database
from lending_pipelines.settings import Settings

LOANS, RULES = 3_000, 100
RATIO_AIM = 1 / 1.1

_SCOPES = ("branch", "product", "program", "vintage", "portfolio", "investor")
_LIMITS = {
    "par_30": (">", "10 %"),
    "par_60": (">", "8 %"),
    "par_90": (">", "6 %"),
    "default_rate": (">", "5 %"),
    "collection_rate": ("<", "80 %"),
    "growth_rate": ("<", "-10 %"),
    "health_score": ("<", 60),
}
_MOVES = {"par_30": {"threshold": "3 %"}, "total_balance": {"threshold": "10 %", "unit": "percent"}}
_WATCHED = {"total_balance": "1 %", "total_collected": "1 %", "par_30": "0.5 %"}


def rules(count: int = RULES) -> list[AlertRule]:
    """The shipped rules and others of every kind that reads the lake, on every scope."""
    given = [
        {"metric": f"portfolio_snapshots.{column}", "scope": scope, "operator": operator, "threshold": limit}
        for scope, (column, (operator, limit)) in product(_SCOPES, _LIMITS.items())
    ]
    given += [
        {"detector": "change", "metric": f"portfolio_snapshots.{column}", "scope": scope, "operator": ">", **limit}
        | {"window_days": 7}
        for scope, (column, limit) in product(_SCOPES, _MOVES.items())
    ]
    given += [
        {"detector": "anomaly", "metric": f"portfolio_snapshots.{column}", "scope": scope, "least_distance": least}
        for scope, (column, least) in product(("product", "program", "vintage"), _WATCHED.items())
    ]
    given += [
        {"detector": "concentration", "by": by, "threshold": "20 %"}
        for by in ("borrower", "product", "branch", "vintage")
    ]
    given += [{"detector": "missed_installments", "scope": scope, "installments": 3} for scope in ("all", "branch")]
    given += [
        {"metric": f"aging_buckets.{column}", "scope": scope, "where": {"bucket": "31-60"}, "operator": ">"}
        | {"threshold": limit}
        for scope, (column, limit) in product(("branch", "product"), {"balance_share": "5 %", "loan_count": 50}.items())
    ]
    shipped = [rule.model_copy(update={"active": True}) for rule in default_rules()]
    named = [{"name": f"Rule {number}", **values} for number, values in enumerate(given, 1)]
    return [*shipped, *parse_rules(named, "benchmark")][:count]


def with_rules(home: str) -> list[int]:
    """The close of DAY."""
    return _close(home, None)


def without_alerts(home: str) -> list[int]:
    """The close of DAY without the asset `alerts`."""
    every = definitions.resolve_job_def("daily_close").asset_layer.executable_asset_keys
    return _close(home, sorted(key.to_user_string() for key in every if key.path != ["alerts"]))


def run(options: Options) -> list[Row]:
    """After 120 closed days; with `--full` also after 546."""
    rows = []
    for days in (120, 546) if options.full else (120,):
        home = make_home(days, options.folder)
        case = f"{RULES} rules, {LOANS:,} loans, {days} days before"
        contenders = [with_rules, without_alerts]
        rows += compare(
            "alerts", case, contenders, str(home), amount=LOANS, unit="loans", aims={"without_alerts": RATIO_AIM}
        )
    return rows


def make_home(days: int, folder: Path) -> Path:
    """A home in which so many days before DAY are closed, created once and kept."""
    home = folder / "data" / f"alerts-{days}"
    if home.exists():
        return home
    building = home.with_name(f"{home.name}.filling")
    shutil.rmtree(building, ignore_errors=True)
    first = DAY - timedelta(days=days)
    settings = _enter(building)
    building.mkdir(parents=True)
    fill_database(SampleSpec(LOANS, first, DAY), settings.servicing_url)
    register = Register(settings.register_url)
    register.upgrade()
    with register.session() as session:
        save_rules(session, rules())
    register.dispose()
    run_job("daily_close", days=(first, DAY - timedelta(days=1)))
    building.rename(home)
    return home


def _close(home: str, assets: list[str] | None) -> list[int]:
    """Close DAY in a copy of the home. Returns the numbers of rows of the day."""
    with tempfile.TemporaryDirectory(dir=Path(home).parent) as folder:
        copy = Path(folder) / "home"
        shutil.copytree(home, copy)
        _enter(copy)
        client.start()
        run_job("daily_close", days=(DAY, DAY), assets=assets)
        return [_rows(copy, table) for table in ("loan_positions", "portfolio_snapshots", "manager_snapshots")]


def _enter(home: Path) -> Settings:
    os.environ.update(LENDING_HOME=str(home), DAGSTER_HOME=str(home / "dagster"))
    return Settings.from_environment()


def _rows(home: Path, table: str) -> int:
    engine = DuckDBEngine()
    rows = int(Lake(str(home / "lake"), engine).table(table, DAY, DAY).count().to_pyarrow().as_py())
    engine.close()
    return rows
