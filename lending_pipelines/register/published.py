"""The register's deliveries, report files and locks as lake tables, which the report on restatements reads."""

import re
from datetime import date, datetime

import pyarrow as pa
import sqlalchemy as sa

from lending_pipelines.register.database import Register
from lending_pipelines.register.models import LoanTapeConfig, Report, TapeDelivery
from lending_pipelines.register.period_locks import PeriodLocks
from lending_pipelines.register.report_requests import ReportRequests
from lending_pipelines.tables import RECORDS

_DAY_OF_FILE = re.compile(r"/(\d{4}-\d{2}-\d{2})/[^/]+$")
"""Finds the business date of a report's file: the name of its folder."""


def published(register: Register) -> pa.Table:
    """The table published: every delivered tape and every completed report, a row for each recipient."""
    query = sa.select(TapeDelivery, LoanTapeConfig).join(
        LoanTapeConfig, LoanTapeConfig.config_id == TapeDelivery.config_id
    )
    with register.reading_session() as session:
        delivered = session.execute(query.where(TapeDelivery.status == "delivered")).all()
        reports = [report for report in ReportRequests(session).all() if report.status == "completed"]
    rows = [
        {
            "kind": "tape",
            "output_id": delivery.delivery_id,
            "name": config.name,
            "business_date": delivery.business_date,
            "portfolio_id": config.portfolio_id,
            "recipient": delivery.destination,
            "sent_at": _utc(delivery.delivered_at),
            "sha256": delivery.sha256,
        }
        for delivery, config in delivered
    ]
    rows += [row for report in reports for row in _of_report(report)]
    return pa.Table.from_pylist(rows, RECORDS["published"].arrow_schema)


def locks_in_force(register: Register) -> pa.Table:
    """The table period_locks: the locks in force."""
    with register.reading_session() as session:
        rows = [
            {"period_end": lock.period_end, "locked_by": lock.locked_by, "locked_at": _utc(lock.locked_at)}
            for lock in PeriodLocks(session).in_force()
        ]
    return pa.Table.from_pylist(rows, RECORDS["period_locks"].arrow_schema)


def _of_report(report: Report) -> list[dict]:
    """The rows of a report, one per recipient; none if it has no file."""
    day = _DAY_OF_FILE.search(report.file_url or "")
    if day is None:
        return []
    row = {
        "kind": "report",
        "output_id": report.report_id,
        "name": report.report_type,
        "business_date": date.fromisoformat(day.group(1)),
        "sent_at": _utc(report.generated_at),
        "sha256": report.sha256,
    }
    return [row | {"recipient": recipient} for recipient in report.notify or [report.requested_by]]


def _utc(at: datetime | None) -> datetime | None:
    """The UTC time without its time zone, as lake tables store times."""
    return None if at is None else at.replace(tzinfo=None)
