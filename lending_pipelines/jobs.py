"""Named selections of assets: the sync, the daily close, and one job a report."""

import dagster as dg

from lending_pipelines.assets import CLOSE_ASSETS, servicing_tables
from lending_pipelines.assets.reports import asset_key
from lending_pipelines.reports.registry import get, report_types

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


def report_job_name(report_type: str) -> str:
    """The name of the job of a report type."""
    return f"report_{report_type}"


def report_jobs() -> list:
    """A job for every report type, so that its form can be filled in the launchpad."""
    return [
        dg.define_asset_job(
            report_job_name(report_type),
            selection=dg.AssetSelection.assets(asset_key(report_type)),
            description=get(report_type).description,
        )
        for report_type in report_types()
    ]
