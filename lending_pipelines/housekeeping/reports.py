"""Report files under the exports URL: old files, and files of failed requests."""

import re
from collections.abc import Sequence
from datetime import datetime

from lending_pipelines.housekeeping.chore import Chore
from lending_pipelines.housekeeping.files import is_older, remove, size_of
from lending_pipelines.places import opened
from lending_pipelines.register import Register, ReportRequests
from lending_pipelines.register.models import Report

_ID = re.compile(r"_([0-9a-f]{8})\.\w+$")
"""The beginning of the report_id at the end of a report's file name."""


def split(reports: Sequence[Report], before: datetime | None) -> tuple[list[Report], list[Report]]:
    """The requests whose files are kept, and those whose files are removed: generated before that instant."""
    expired = [each for each in reports if before and each.generated_at and each.generated_at < before]
    gone = {each.report_id for each in expired}
    return [each for each in reports if each.report_id not in gone], expired


def report_chores(exports_url: str, register: Register, expired: Sequence[Report], older: datetime) -> list[Chore]:
    """Chores that remove old report files, and files of failed requests written before `older`."""
    with register.session() as session:
        requests = ReportRequests(session).all()
    failed, others = (
        {each.report_id[:8] for each in requests if (each.status == "failed") is is_failed}
        for is_failed in (True, False)
    )
    with opened(f"{exports_url}/reports") as (filesystem, root):
        left = [
            path
            for path in filesystem.glob(f"{root}/*/*/*")
            if (named := _ID.search(path)) and named[1] in failed - others and is_older(filesystem, path, older)
        ]
        sizes = size_of(filesystem, left)

    def remove_left() -> None:
        with opened(exports_url) as (filesystem, _):
            remove(filesystem, left)

    return [
        Chore(
            "Old reports", lambda: _remove_files(register, expired), files=len(expired), bytes=sum(map(_size, expired))
        ),
        Chore("Files of reports that failed", remove_left, files=len(left), bytes=sizes),
    ]


def _remove_files(register: Register, reports: Sequence[Report]) -> None:
    for report in reports:
        with opened(str(report.file_url)) as (filesystem, path):
            remove(filesystem, [path])
        with register.session() as session:
            ReportRequests(session).file_removed(report.report_id)


def _size(report: Report) -> int:
    with opened(str(report.file_url)) as (filesystem, path):
        return size_of(filesystem, [path])
