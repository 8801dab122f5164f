"""What must be kept: the business dates and table versions that sales, tapes, reports and open alerts refer to.

The policy decides how long everything else is kept (retention.py).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import sqlalchemy as sa

from lending_pipelines.housekeeping.tapes import KeptTape
from lending_pipelines.register import Register, ReportRequests, Sales
from lending_pipelines.register.alert_models import Alert
from lending_pipelines.register.models import Report


@dataclass
class References:
    """The days and versions that must be kept.

    `days` are business dates, each with the reason; `versions` are Delta versions by table. Some reports do not name
    the versions that they read: `read_at` are the times at which these reports were made.
    """

    days: dict[date, str] = field(default_factory=dict)
    versions: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    read_at: list[datetime] = field(default_factory=list)

    def keep_versions(self, versions: dict[str, int]) -> None:
        """Add the version of each table."""
        for table, version in versions.items():
            self.versions[table].add(version)


def references(register: Register, tapes: Iterable[KeptTape], reports: Sequence[Report]) -> References:
    """What sales in force, open alerts, kept tapes, and the files of kept reports refer to.

    Args:
        register: The register.
        tapes: The tapes that are kept.
        reports: The completed requests whose files are kept.
    """
    found = References()
    with register.session() as session:
        for sale in Sales(session).all():
            if sale.undone_at is None:
                found.days[sale.sale_date] = "a sale"
                found.keep_versions(sale.lake_version)
        for alert in session.scalars(sa.select(Alert).where(Alert.state != "resolved")):
            found.days |= dict.fromkeys((alert.opened_on, alert.last_on), "an open alert")
    for tape in tapes:
        found.keep_versions(tape.manifest.table_versions)
        if tape.is_sent:
            found.days.setdefault(tape.manifest.business_date, "a delivered tape")
    for report in reports:
        versions = (report.report_data or {}).get("data_versions")
        if versions is not None:
            found.keep_versions(versions)
        elif report.generated_at:
            found.read_at.append(report.generated_at)
    return found


def reports_with_files(register: Register) -> list[Report]:
    """The completed requests whose file was not removed."""
    with register.session() as session:
        return [report for report in ReportRequests(session).all() if report.status == "completed" and report.file_url]
