"""The home of the demonstration: its days, and its folder, which is created again with a settings file.

demo.py fills the home. This module imports nothing that reads the first business date.
"""

import os
import shutil
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from lending_pipelines.cli.terminal import confirm, register_session
from lending_pipelines.errors import LendingError
from lending_pipelines.sample import SampleSpec
from lending_pipelines.settings import Settings
from lending_pipelines.settings_file import NAME, write_settings_file

LENDER = "Lakeside Lending (demonstration)"
REQUESTED_BY = "demo"
MARKER = "made-by-lending-demo"
"""The name of an empty file that shows that the demonstration made a folder."""
_LOANS, _SEED, _MONTHS = 3000, 1, 18
_OWN = (
    "DAGSTER_HOME",
    "LENDING_LAKE",
    "LENDING_EXPORTS",
    "LENDING_SERVICING_URL",
    "LENDING_REGISTER_URL",
    "LENDING_SOURCE",
    "LENDING_SETTINGS",
)
"""Variables that would make the demonstration use data outside its home."""


class DemoError(LendingError):
    """The demonstration would change something that it did not create, or its last day has not ended."""


def demo_spec(last: date | None = None) -> SampleSpec:
    """The sample of the demonstration: the month of its last day and the 17 months before it.

    Args:
        last: The last day; None for yesterday.

    Raises:
        DemoError: The last day has not ended.
    """
    yesterday = _yesterday()
    if last is not None and last > yesterday:
        raise DemoError(f"{last} has not ended: write a last day up to {yesterday}")
    last = last or yesterday
    year, month = divmod(last.year * 12 + last.month - _MONTHS, 12)
    return SampleSpec(loans=_LOANS, first=date(year, month + 1, 1), last=last, seed=_SEED, book="healthy")


def new_home(spec: SampleSpec, *, yes: bool) -> Settings:
    """Delete the earlier demonstration in LENDING_HOME and create an empty one, with a settings file.

    Args:
        spec: The sample that it is for.
        yes: Do not ask before reports that you made there are deleted.

    Raises:
        DemoError: LENDING_HOME has other content, or an environment variable contradicts the demonstration.
    """
    if elsewhere := [name for name in _OWN if os.environ.get(name)]:
        raise DemoError(f"the demo creates its own data: unset {', '.join(elsewhere)} first")
    settings = Settings.from_environment()
    if os.environ.get("LENDING_START_DATE") and settings.start_date > spec.first:
        raise DemoError(f"the demo starts on {spec.first}: unset LENDING_START_DATE, which is {settings.start_date}")
    home = settings.home
    if home.exists() and any(home.iterdir()) and not (home / MARKER).exists():
        raise DemoError(f"{home} has other content: set LENDING_HOME to a new folder for the demo")
    if reports := _own_reports(home / "register.db"):
        what = f"The demo deletes {home} and creates it again. You made {len(reports)} reports there:"
        confirm(what, [f"  {each}" for each in reports], yes=yes)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    (home / MARKER).touch()
    write_settings_file(home / NAME, {"home": ".", "name": LENDER, "start_date": spec.first.isoformat()})
    os.environ["LENDING_HOME"] = str(home)
    return Settings.from_environment()


def _yesterday() -> date:
    """The last day that has ended both in UTC, the time zone of the sample's times, and in LENDING_TIMEZONE."""
    zones = (UTC, ZoneInfo(Settings.from_environment().timezone))
    return min(datetime.now(zone).date() for zone in zones) - timedelta(days=1)


def _own_reports(register: Path) -> list[str]:
    """The reports in the home that the demo did not make."""
    from lending_pipelines.register import ReportRequests

    if not register.exists():
        return []
    with register_session() as session:
        completed = ReportRequests(session).recent("completed", sys.maxsize)
        return [str(report.file_url) for report in completed if report.requested_by != REQUESTED_BY]
