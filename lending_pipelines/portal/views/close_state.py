"""Whether the last close is good: what the close recorded about itself, and what has become late since."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from lending_pipelines.close_summary import Finding, missing_days, ordered, tape_summary
from lending_pipelines.portal.access import Access
from lending_pipelines.register.close_summaries import CloseSummaries


@dataclass(frozen=True)
class CloseState:
    """Whether the last close is good: `verdict` is good, warnings or failed; findings are errors first."""

    verdict: str
    day: date | None
    made_at: datetime | None
    findings: Sequence[Finding]


def close_state(access: Access, *, lender_wide: bool) -> CloseState:
    """The state of the close; without `lender_wide`, only which days are not closed."""
    lake, portal = access.lake, access.portal
    findings = missing_days(lake.days(), portal.last_ended())
    with access.reading() as session:
        made = CloseSummaries(session).latest()
    if lender_wide:
        tapes, _ = tape_summary(portal.register, lake.last_day)
        recorded = [Finding(**each) for each in made.findings] if made else []
        findings += [
            each for each in recorded if each.subject != "closed days" and not each.subject.startswith("tape ")
        ]
        findings += tapes
    severities = {each.severity for each in findings}
    verdict = "failed" if "error" in severities else "warnings" if "warning" in severities else "good"
    return CloseState(verdict, lake.last_day, made.made_at if made else None, ordered(findings))
