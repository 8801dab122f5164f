"""The file of scheduled reports: type, time, recipients and format of each.

[[report]]
name = "board_pack"
report_type = "portfolio_summary"
cron = "0 7 1 * *"
output_format = "pdf"
requested_by = "board"
notify = ["board@lender.example"]
parameters = { by = "product" }
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lending_pipelines.bounds import Name, read_toml
from lending_pipelines.errors import LendingError


class ScheduledReport(BaseModel):
    """One entry of the file. `notify` are the email addresses that get the report with the file attached."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name = Field(pattern=r"^[A-Za-z0-9_]+$")
    report_type: Name
    cron: Name
    output_format: str = "xlsx"
    requested_by: Name
    notify: list[Name] = []
    parameters: dict[str, Any] = {}


def scheduled_reports(
    file: str | Path, check: Callable[[ScheduledReport], object] = lambda report: None
) -> list[ScheduledReport]:
    """The entries of the file.

    Args:
        file: The TOML file.
        check: Raises LendingError for an entry with an error.

    Raises:
        LendingError: Names the file, the entry and the correction.
    """
    entries = read_toml(file, "report schedules")
    if entries.keys() - {"report"} or not isinstance(entries.get("report", []), list):
        raise LendingError(f"report schedules {file}: write each report as a table [[report]] and nothing else")
    found = [_scheduled(file, number, entry, check) for number, entry in enumerate(entries.get("report", []), start=1)]
    if repeated := [name for name, times in Counter(report.name for report in found).items() if times > 1]:
        raise LendingError(f"report schedules {file}: two reports have the name {repeated[0]}: rename one")
    return found


def _scheduled(
    file: str | Path, number: int, entry: Any, check: Callable[[ScheduledReport], object]
) -> ScheduledReport:
    try:
        report = ScheduledReport.model_validate(entry)
        check(report)
    except (ValidationError, LendingError) as error:
        problems = (
            "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            if isinstance(error, ValidationError)
            else str(error)
        )
        raise LendingError(f"report schedules {file}, report {number}: {problems}") from error
    return report
