"""Report requests: pending → generating → completed or failed. A failed request can be retried.

The recipients of a request are notified in the transaction that completes or fails it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.register.database import RegisterError
from lending_pipelines.register.models import OutputFormat, Report, ReportStatus
from lending_pipelines.register.notifications import Notifications
from lending_pipelines.register.types import new_id, utc_now


@dataclass(frozen=True)
class ReportMail:
    """What the recipients of a report get: the subject, the text, and in `alert_data` what a mail shows, as JSON."""

    business_date: date
    subject: str
    body: str
    alert_data: dict[str, Any]


class ReportRequests:
    """The report requests, within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def create(
        self,
        report_type: str,
        parameters: dict[str, Any],
        output_format: OutputFormat,
        requested_by: str,
        notify: Sequence[str] = (),
        report_id: str | None = None,
    ) -> str:
        """Add a pending request and return its report_id. `parameters` holds plain JSON values.

        If a request with the `report_id` exists, nothing is added, so that a form that is sent twice adds one request.
        """
        if report_id and self._session.get(Report, report_id):
            return report_id
        report = Report(
            report_id=report_id or new_id(),
            report_type=report_type,
            parameters=parameters,
            output_format=output_format,
            requested_by=requested_by,
            notify=list(dict.fromkeys(notify)),
        )
        self._session.add(report)
        self._session.flush()
        return report.report_id

    def get(self, report_id: str) -> Report:
        """The request with that id. Raises RegisterError when there is none."""
        if report := self._session.get(Report, report_id):
            return report
        raise RegisterError(f"there is no report request {report_id!r}")

    def recent(
        self, status: ReportStatus | None = None, limit: int = 100, report_type: str | None = None
    ) -> list[Report]:
        """The latest requests first, of all statuses or of one, and of all types or of one."""
        query = sa.select(Report).order_by(Report.requested_at.desc(), Report.report_id).limit(limit)
        if status is not None:
            query = query.where(Report.status == status)
        if report_type is not None:
            query = query.where(Report.report_type == report_type)
        return list(self._session.scalars(query))

    def all(self) -> list[Report]:
        """Every request, earliest first."""
        return list(self._session.scalars(sa.select(Report).order_by(Report.requested_at, Report.report_id)))

    def file_removed(self, report_id: str) -> None:
        """Record that housekeeping removed the file of a completed report. Its hash and headline numbers stay."""
        report = self.get(report_id)
        report.error_message = f"housekeeping removed the file {report.file_url} on {utc_now():%Y-%m-%d}"
        report.file_url = None

    def unfinished(self) -> list[Report]:
        """The pending and generating requests, earliest first."""
        open_ones = Report.status.in_(("pending", "generating"))
        return list(self._session.scalars(sa.select(Report).where(open_ones).order_by(Report.requested_at)))

    def start(self, report_id: str, run_id: str, parameters: dict[str, Any]) -> None:
        """Record that a run starts on a pending request, with all parameters. RegisterError if it is not pending."""
        self._move(report_id, ("pending",), "generating", run_id=run_id, parameters=parameters)

    def requested(self, report_type: str, requested_by: str) -> list[Report]:
        """The requests for a report type by someone, earliest first."""
        here = sa.and_(Report.report_type == report_type, Report.requested_by == requested_by)
        return list(self._session.scalars(sa.select(Report).where(here).order_by(Report.requested_at)))

    def complete(
        self,
        report_id: str,
        file_url: str,
        sha256: str,
        report_data: dict[str, Any],
        mail: ReportMail | None = None,
    ) -> list[str]:
        """Record the finished file and notify the recipients. `report_data` is its summary, as plain JSON values.

        Returns:
            The recipients who are notified. Someone who was notified of a report with the same parameters and business
            date before is not among them.
        """
        self._move(
            report_id,
            ("generating",),
            "completed",
            file_url=file_url,
            sha256=sha256,
            report_data=report_data,
            generated_at=utc_now(),
        )
        if mail is None:
            return []
        report = self.get(report_id)
        about = (report.report_type, json.dumps(report.parameters, sort_keys=True), mail.business_date.isoformat())
        return [
            recipient
            for recipient in _recipients(report)
            if Notifications(self._session).create_once(
                ("report_ready", *about, recipient), "report_ready", "normal", recipient=recipient, **vars(mail)
            )
        ]

    def fail(self, report_id: str, error_message: str, run_id: str | None = None) -> None:
        """Record that the run failed or could not start, and notify the recipients once.

        `run_id` is needed only when the run could not start.
        """
        run = {"run_id": run_id} if run_id else {}
        self._move(report_id, ("pending", "generating"), "failed", error_message=error_message, **run)
        report = self.get(report_id)
        for recipient in _recipients(report):
            Notifications(self._session).create_once(
                ("report_failed", report_id, recipient),
                "report_failed",
                "high",
                recipient=recipient,
                subject=f"Report {report.report_type} failed",
                body=f"{error_message}\n\n`lending ask-again {report_id}` makes it again.\n",
            )

    def retry(self, report_id: str) -> None:
        """Set a failed request to pending again. The failed run's id stays until the next run starts."""
        self._move(report_id, ("failed",), "pending", error_message=None)

    def _move(self, report_id: str, before: tuple[ReportStatus, ...], after: ReportStatus, **values: Any) -> None:
        """Change the status in one statement: if two runs try at the same time, only one succeeds."""
        here = sa.and_(Report.report_id == report_id, Report.status.in_(before))
        change = sa.update(Report).where(here).values(status=after, **values).returning(Report.report_id)
        if self._session.execute(change).first() is None:
            now = self.get(report_id).status
            raise RegisterError(
                f"report request {report_id} is {now}: only {' and '.join(before)} requests can become {after}"
            )


def _recipients(report: Report) -> list[str]:
    """Who is notified. Another program can write a value that is no list: then nobody."""
    return [each for each in report.notify if isinstance(each, str)] if isinstance(report.notify, list) else []
