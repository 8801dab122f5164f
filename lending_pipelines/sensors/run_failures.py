"""Notifies the admins of each run that failed, with the reason and a link to its log."""

import dagster as dg

from lending_pipelines.assets.run_events import failure_reason
from lending_pipelines.register import Notifications
from lending_pipelines.resources import RegisterResource
from lending_pipelines.resources.lake import DAYS_TAG
from lending_pipelines.settings import Settings

_SHOWN_IN_SUBJECT = 120


@dg.run_failure_sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Notifies the admins (LENDING_ALERT_ADMINS) of each run that failed, once.",
)
def run_failures(context: dg.RunFailureSensorContext, register: RegisterResource) -> None:
    """Create one notification per admin. A run that already has notifications is skipped."""
    run, settings = context.dagster_run, Settings.from_environment()
    events = [entry.dagster_event for entry in context.instance.all_logs(run.run_id) if entry.dagster_event]
    reason = failure_reason(events)
    days = run.tags.get(DAYS_TAG, "")
    what = f"{run.job_name} of {days}" if days else run.job_name
    link = f"{settings.ui_url.rstrip('/')}/runs/{run.run_id}" if settings.ui_url else ""
    with register.register.session() as session:
        notifications = Notifications(session)
        if notifications.about_run(run.run_id):
            return
        for admin in settings.alert_admins:
            notifications.create(
                "run_failed",
                "high",
                recipient=admin,
                subject=f"{what} failed: {_shortened(reason)}",
                body=_body(reason, what, run.run_id, link),
                action_required=True,
                alert_data={"run_id": run.run_id, "job": run.job_name, "days": days, "link": link},
            )


def _shortened(reason: str) -> str:
    return reason if len(reason) <= _SHOWN_IN_SUBJECT else f"{reason[: _SHOWN_IN_SUBJECT - 1]}…"


def _body(reason: str, what: str, run_id: str, link: str) -> str:
    log = link or f"run {run_id} in the UI, with `lending ui`"
    return f"{reason}\n\nRun: {what}\nLog: {log}\n\n`lending status` shows what is closed and what is not.\n"
