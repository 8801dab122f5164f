"""Named selections of assets: the sync, the daily close, the assignment of loans, one job a report; and the sale of a
portfolio and the delivery of a tape, which are no assets."""

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any, get_args

import dagster as dg

from lending_pipelines.assets import ASSIGNMENT_ASSETS, CLOSE_ASSETS, servicing_tables
from lending_pipelines.assets.deliveries import deliver
from lending_pipelines.assets.reports import ReportRequest, asset_key
from lending_pipelines.assets.sales import sell
from lending_pipelines.errors import LendingError
from lending_pipelines.reports.parameters import parse_parameters
from lending_pipelines.reports.registry import get, report_types

PROCESS_TAG = "lending/process"
"""On a run launched without a run launcher: the process that it works in."""

REPORT_HOURS = 6
"""After so long a run of a report is ended: whoever asked is told, and can ask again."""

DELIVERY_HOURS = 6
"""After so long the delivery of a tape is ended, and tried again."""

sync = dg.define_asset_job(
    "sync",
    selection=dg.AssetSelection.assets(servicing_tables),
    description="Bring in what was posted or changed in the servicing database since the last sync.",
)

daily_close = dg.define_asset_job(
    "daily_close",
    selection=dg.AssetSelection.assets(*CLOSE_ASSETS),
    description="From the servicing database to the day's positions, aging, snapshots, trial balance and tapes.",
)

assign_portfolios = dg.define_asset_job(
    "assign_portfolios",
    selection=dg.AssetSelection.assets(*ASSIGNMENT_ASSETS),
    description="Let the rules of open portfolios choose among the loans that are disbursed and in no portfolio.",
)


@dg.job(
    description="Sell a portfolio to an investor at the end of a closed day, for a price. `lending undo-sale` takes it"
    " back within 24 hours."
)
def sell_portfolio() -> None:
    """One op: it fails, or all of the sale is done."""
    sell()


@dg.job(
    description="Deliver the tape of a closed day where it has not arrived yet. The sensor tape_deliveries launches it;"
    " by hand, it tries again at once what waits or has failed.",
    tags={"dagster/max_runtime": str(DELIVERY_HOURS * 3600)},
)
def deliver_tape() -> None:
    """One op: its deliveries are settled one by one, in the register."""
    deliver()


def report_job_name(report_type: str) -> str:
    """The name of the job of a report type."""
    return f"report_{report_type}"


@cache
def report_jobs() -> tuple:
    """A job for every report type, so that its form can be filled in the launchpad."""
    return tuple(
        dg.define_asset_job(
            report_job_name(report_type),
            selection=dg.AssetSelection.assets(asset_key(report_type)),
            description=get(report_type).description,
            tags={"dagster/max_runtime": str(REPORT_HOURS * 3600)},
        )
        for report_type in report_types()
    )


def deliver_run_config(tape: str, day: date, *, failed: bool) -> dict[str, Any]:
    """The run config that delivers a tape of a day; with `failed` also what is not tried again by itself."""
    return {"ops": {"deliver": {"config": {"tape": tape, "date": day.isoformat(), "failed": failed}}}}


def report_run_config(report_type: str, parameters: Mapping[str, Any], **request: str) -> dict[str, Any]:
    """The run config of a report's job, every parameter filled in; `request` are fields of ReportRequest.

    LendingError when there is no such report, parameter, value or format, with what to write instead.
    """
    values = parse_parameters(report_type, get(report_type).parameters, parameters).model_dump()
    formats = get_args(ReportRequest.model_fields["output_format"].annotation)
    wanted = request.get("output_format", formats[0])
    if wanted not in formats:
        raise LendingError(f"report {report_type}: there is no format {wanted!r}; write {' or '.join(formats)}")
    return {"ops": {asset_key(report_type).to_python_identifier(): {"config": {**values, **request}}}}
