"""The weekly summary: requested on Mondays for each team leader and for the admins, who get it by email.

A request is a run of the report weekly_summary. register/report_requests.py and alerts/outbox.py send the finished
report by email.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from lending_pipelines.alerts.recipients import Staff, with_admins
from lending_pipelines.conventions import Conventions
from lending_pipelines.jobs import report_job_name, report_run_config
from lending_pipelines.register import Notifications, Register, ReportRequests
from lending_pipelines.reports.parameters import ALL
from lending_pipelines.reports.registry import get
from lending_pipelines.resources import LakeReportSource, LakeResource, RegisterResource
from lending_pipelines.settings import Settings

NAME = "weekly_summary_schedule"
REPORT = "weekly_summary"
_DAILY = ("manager_snapshots", "portfolio_snapshots", "loan_positions")


@dataclass(frozen=True)
class Audience:
    """Who gets the summary of a team leader's loans, or of all loans."""

    leader: str
    recipients: tuple[str, ...]


@dg.schedule(
    name=NAME,
    job_name=report_job_name(REPORT),
    cron_schedule="0 9-23 * * 1",
    execution_timezone=Settings.from_environment().timezone,
    description="On Mondays from 09:00 in LENDING_TIMEZONE, every hour until the Sunday before is closed: request the"
    " weekly summary for each team leader and for the admins (LENDING_ALERT_ADMINS).",
)
def weekly_summary_schedule(
    context: dg.ScheduleEvaluationContext, lake: LakeResource, register: RegisterResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Request the summaries that have not been requested yet.

    If the last day of the week is not closed, notify the recipients that the summary waits.
    """
    settings = Settings.from_environment()
    tick = context.scheduled_execution_time.astimezone(ZoneInfo(settings.timezone)).date()
    last = tick - timedelta(days=tick.isoweekday())
    source = LakeReportSource(lake.lake, Conventions())
    if not any(source.days(name) for name in _DAILY):
        yield dg.SkipReason("no day is closed yet")
        return
    absent = next((source.absent(name, last) for name in _DAILY if last not in source.days(name)), None)
    if absent:
        _notify(register.register, audiences(source, source.days(_DAILY[0])[-1], settings.alert_admins), last, absent)
        yield dg.SkipReason(f"the weekly summary waits: {absent}")
        return
    waiting = _not_requested(register.register, audiences(source, last, settings.alert_admins), last)
    for audience in waiting:
        yield _request(audience, last)
    if not waiting:
        yield dg.SkipReason(f"the summaries of the week to {last} are requested")


def audiences(source: LakeReportSource, day: date, admins: tuple[str, ...]) -> list[Audience]:
    """The admins, and every team leader who has loans and works on a day.

    The summary of a leader without an email address goes to the admins too.
    """
    managers = source.table("manager_snapshots")
    leaders = managers.filter(managers.business_date == day, managers.role == "team_leader")
    ids = leaders.select("manager_id").distinct().order_by("manager_id").to_pyarrow()["manager_id"].to_pylist()
    staff = Staff(source)
    return [
        Audience(ALL, admins),
        *(
            Audience(leader, tuple(with_admins([staff.address(leader)], admins)))
            for leader in ids
            if staff.works(leader, day)
        ),
    ]


def _request(audience: Audience, last: date) -> dg.RunRequest:
    # Names are printed, because leaders and admins know their staff.
    parameters = {"as_of": last.isoformat(), "leader": audience.leader, "allow_pii": True}
    return dg.RunRequest(
        run_key=f"{REPORT}:{last}:{audience.leader}",
        run_config=report_run_config(
            REPORT, parameters, output_format="pdf", requested_by=NAME, notify=list(audience.recipients)
        ),
    )


def _not_requested(register: Register, wanted: list[Audience], last: date) -> list[Audience]:
    with register.session() as session:
        requests = ReportRequests(session).requested(REPORT, NAME)
    done = {request.parameters["leader"] for request in requests if request.parameters["as_of"] == last.isoformat()}
    return [audience for audience in wanted if audience.leader not in done]


def _notify(register: Register, wanted: list[Audience], last: date, absent: str) -> None:
    """Notify each recipient once that the summary waits, and what it waits for."""
    with register.session() as session:
        for recipient in dict.fromkeys(each for audience in wanted for each in audience.recipients):
            Notifications(session).create_once(
                ("weekly summary waits", last.isoformat(), recipient),
                "report_failed",
                "high",
                recipient=recipient,
                subject=f"{get(REPORT).title} up to {last} waits for the close",
                body=f"{absent}.\n\nThe summary is made within an hour after that, until Monday 23:00. Later,"
                f" `lending report {REPORT} --set as_of={last} --format pdf` makes it.\n",
                business_date=last,
            )
