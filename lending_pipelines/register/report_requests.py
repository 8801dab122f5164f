"""Report requests: pending → generating → completed or failed. A failed request can be retried."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.register.database import RegisterError
from lending_pipelines.register.models import OutputFormat, Report, ReportStatus
from lending_pipelines.register.types import new_id, utc_now


class ReportRequests:
    """The report requests, within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def create(
        self, report_type: str, parameters: dict[str, Any], output_format: OutputFormat, requested_by: str
    ) -> str:
        """Add a pending request and return its report_id. `parameters` holds plain JSON values."""
        report = Report(
            report_id=new_id(),
            report_type=report_type,
            parameters=parameters,
            output_format=output_format,
            requested_by=requested_by,
        )
        self._session.add(report)
        self._session.flush()
        return report.report_id

    def get(self, report_id: str) -> Report:
        """The request with that id. Raises RegisterError when there is none."""
        if report := self._session.get(Report, report_id):
            return report
        raise RegisterError(f"there is no report request {report_id!r}")

    def recent(self, status: ReportStatus | None = None, limit: int = 100) -> list[Report]:
        """The latest requests first, of all statuses or of one."""
        query = sa.select(Report).order_by(Report.requested_at.desc(), Report.report_id).limit(limit)
        if status is not None:
            query = query.where(Report.status == status)
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
        """Record that a run makes a pending request, with all parameters. Raises RegisterError if it is not pending."""
        self._move(report_id, ("pending",), "generating", run_id=run_id, parameters=parameters)

    def complete(self, report_id: str, file_url: str, sha256: str, report_data: dict[str, Any]) -> None:
        """Record the finished file. `report_data` is its summary, as plain JSON values."""
        self._move(
            report_id,
            ("generating",),
            "completed",
            file_url=file_url,
            sha256=sha256,
            report_data=report_data,
            generated_at=utc_now(),
        )

    def fail(self, report_id: str, error_message: str, run_id: str | None = None) -> None:
        """Record that the run failed or could not start. `run_id` is needed only when it could not start."""
        run = {"run_id": run_id} if run_id else {}
        self._move(report_id, ("pending", "generating"), "failed", error_message=error_message, **run)

    def ask_again(self, report_id: str) -> None:
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
