"""Dagster jobs: sync, daily close, assignment of loans, reports, sale of a portfolio, tape delivery, housekeeping."""

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any, get_args

import dagster as dg

from lending_pipelines.assets import (
    ASSIGNMENT_ASSETS,
    CLOSE_ASSETS,
    HOUSEKEEPING,
    HOUSEKEEPING_KEY,
    certify_run,
    housekeeping,
    servicing_tables,
)
from lending_pipelines.assets.deliveries import deliver
from lending_pipelines.assets.describe import NO_RESOURCES
from lending_pipelines.assets.reports import ReportRequest, asset_key, launchpad_config
from lending_pipelines.assets.sales import SaleConfig, sell
from lending_pipelines.assets.servicing import SyncConfig
from lending_pipelines.errors import LendingError
from lending_pipelines.reports.parameters import parse_parameters
from lending_pipelines.reports.registry import get, report_types

REPORT_HOURS = 6
"""The maximum hours of a report run. After that it is stopped and the request fails; it can be retried."""

DELIVERY_HOURS = 6
"""The maximum hours of a delivery run. After that it is stopped and retried."""

sync = dg.define_asset_job(
    "sync",
    selection=dg.AssetSelection.assets(servicing_tables),
    config={"ops": {"servicing_tables": {"config": SyncConfig().model_dump()}}, **NO_RESOURCES},
    hooks={certify_run},
    description="Sync rows that were posted or changed in the servicing database since the last sync.",
)

daily_close = dg.define_asset_job(
    "daily_close",
    selection=dg.AssetSelection.assets(*CLOSE_ASSETS),
    description="Sync the servicing database and make the day's positions, aging, snapshots, trial balance and tapes.",
)

assign_portfolios = dg.define_asset_job(
    "assign_portfolios",
    selection=dg.AssetSelection.assets(*ASSIGNMENT_ASSETS),
    hooks={certify_run},
    description="Apply the rules of open portfolios to disbursed loans without a portfolio.",
)

housekeep = dg.define_asset_job(
    HOUSEKEEPING,
    selection=dg.AssetSelection.assets(housekeeping),
    description="Remove old data by the retention policy, and leftovers of killed runs. `lending housekeeping` shows"
    " what would be removed.",
)


@dg.job(
    config={"ops": {"sell": {"config": dict.fromkeys(SaleConfig.model_fields, "")}}, **NO_RESOURCES},
    description="Sell a portfolio to an investor at the end of a closed day. `lending undo-sale` undoes it within 24"
    " hours.",
)
def sell_portfolio() -> None:
    """The job has a single op, so that a sale happens completely or not at all."""
    sell()


@dg.job(
    config={"ops": {"deliver": {"config": {"tape": "", "date": "", "failed": True}}}, **NO_RESOURCES},
    description="Deliver the tape of a closed day where it has not been delivered. The sensor tape_deliveries launches"
    " it; launched by hand, it also retries waiting and failed deliveries at once.",
    tags={"dagster/max_runtime": str(DELIVERY_HOURS * 3600)},
)
def deliver_tape() -> None:
    """The job has a single op. It records each delivery in the register separately."""
    deliver()


def housekeeping_run_config(wait_minutes: int) -> dict[str, Any]:
    """The run config of housekeeping. The run waits up to this number of minutes for runs that may be writing."""
    return {"ops": {HOUSEKEEPING_KEY.to_python_identifier(): {"config": {"wait_minutes": wait_minutes}}}}


def report_job_name(report_type: str) -> str:
    """The name of the job of a report type."""
    return f"report_{report_type}"


@cache
def report_jobs() -> tuple:
    """One job for each report type, so that the launchpad shows a form with the report's parameters."""
    return tuple(
        dg.define_asset_job(
            report_job_name(report_type),
            selection=dg.AssetSelection.assets(asset_key(report_type)),
            description=get(report_type).description,
            config=launchpad_config(report_type),
            tags={"dagster/max_runtime": str(REPORT_HOURS * 3600)},
        )
        for report_type in report_types()
    )


def deliver_run_config(tape: str, day: date, *, failed: bool) -> dict[str, Any]:
    """The run config to deliver a tape of a day; with `failed`, failed deliveries too."""
    return {"ops": {"deliver": {"config": {"tape": tape, "date": day.isoformat(), "failed": failed}}}}


def report_run_config(report_type: str, parameters: Mapping[str, Any], **request: Any) -> dict[str, Any]:
    """The run config of a report's job with all parameters; `request` are fields of ReportRequest.

    Raises LendingError with a suggestion when the report, a parameter, a value or the format does not exist.
    """
    values = parse_parameters(report_type, get(report_type).parameters, parameters).model_dump()
    formats = get_args(ReportRequest.model_fields["output_format"].annotation)
    wanted = request.get("output_format", formats[0])
    if wanted not in formats:
        raise LendingError(f"report {report_type}: unknown format {wanted!r}; write {' or '.join(formats)}")
    return {"ops": {asset_key(report_type).to_python_identifier(): {"config": {**values, **request}}}}
