"""Assembles the Dagster definitions from the other modules."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from lending_pipelines.assets import CLOSE_ASSETS, NEEDED_TABLES, housekeeping, report_assets, table_checks
from lending_pipelines.jobs import (
    assign_portfolios,
    daily_close,
    deliver_tape,
    housekeep,
    report_jobs,
    sell_portfolio,
    sync,
)
from lending_pipelines.processes import restrict_files
from lending_pipelines.resources import (
    ConventionsResource,
    ExpectationsResource,
    ExportsResource,
    LakeIOManager,
    LakeResource,
    MailResource,
    RegisterResource,
    SourceResource,
)
from lending_pipelines.schedules import schedules
from lending_pipelines.sensors import SENSORS
from lending_pipelines.settings import Settings


def build_definitions(resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """All Dagster definitions of this project; `resource_overrides` replace resources by name."""
    settings = Settings.from_environment()
    lake, exports, conventions, register = LakeResource(), ExportsResource(), ConventionsResource(), RegisterResource()
    resources = {
        "source": SourceResource(),
        "lake": lake,
        "io_manager": LakeIOManager(lake=lake, conventions=conventions, locks=register),
        "register": register,
        "exports": exports,
        "expectations": ExpectationsResource(exports=exports),
        "mail": MailResource(),
        "conventions": conventions,
    }
    return dg.Definitions(
        assets=[*CLOSE_ASSETS, housekeeping, *report_assets()],
        asset_checks=table_checks(NEEDED_TABLES),
        jobs=[sync, daily_close, assign_portfolios, sell_portfolio, deliver_tape, housekeep, *report_jobs()],
        schedules=schedules(),
        sensors=SENSORS,
        resources=resources | dict(resource_overrides or {}),
        # One process per step would spend seconds on imports for each step.
        executor=dg.in_process_executor,
        # Shown on the code location's page in the UI.
        metadata={"lender": settings.lender_name or "LENDING_NAME is not set", "home": str(settings.home)},
    )


# Runs are also executed by the daemon and the web server, which load this module.
restrict_files(Settings.from_environment().umask)

definitions = build_definitions()
