"""The list of chores of a home, in the order in which they are done."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from lending_pipelines.conventions import Conventions
from lending_pipelines.housekeeping import reports, tapes
from lending_pipelines.housekeeping.chore import Chore
from lending_pipelines.housekeeping.lake_tables import lake_chores
from lending_pipelines.housekeeping.leftovers import leftover_chores
from lending_pipelines.housekeeping.references import references, reports_with_files
from lending_pipelines.housekeeping.register_rows import register_chores
from lending_pipelines.lake import Lake
from lending_pipelines.register import Register
from lending_pipelines.retention import Retention, before


@dataclass(frozen=True)
class Places:
    """Where a home keeps its data."""

    lake: Lake
    register: Register
    exports_url: str


def all_chores(places: Places, policy: Retention, conventions: Conventions, now: datetime) -> list[Chore]:
    """Every chore except those of Dagster's records. Making this list removes nothing.

    Args:
        places: The home's data.
        policy: The retention policy.
        conventions: The conventions, with the lender's time zone.
        now: The time of the run, UTC.
    """
    today = now.astimezone(ZoneInfo(conventions.timezone)).date()
    older = now - timedelta(hours=policy.leftovers_hours)
    every_tape = tapes.tapes_under(places.exports_url, places.register)
    oldest = before(policy.tapes_days, now)
    kept_tapes, old_tapes = tapes.split(every_tape, oldest.date() if oldest else None)
    every_report = reports_with_files(places.register)
    kept_reports, old_reports = reports.split(every_report, before(policy.reports_days, now))
    refers = references(places.register, kept_tapes, kept_reports)
    return [
        *lake_chores(places.lake, policy, refers, conventions, now, today),
        *tapes.tape_chores(places.exports_url, every_tape, old_tapes, older),
        *reports.report_chores(places.exports_url, places.register, old_reports, older),
        *register_chores(places.register, before(policy.notifications_days, now), before(policy.alerts_days, now)),
        *leftover_chores(places.lake.url, places.exports_url, older),
    ]
