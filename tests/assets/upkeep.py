"""Housekeeping of a closed home for tests: the command, a policy that keeps little, and what the lake has after it."""

from datetime import date

import sqlalchemy as sa
from homes import Home, lending

from lending_pipelines.register.alert_models import Alert, AlertEvent, AlertFinding


def without_alerts(home: Home) -> Home:
    """The home without alerts: open ones keep their days."""
    with home.register() as session:
        for table in (AlertEvent, AlertFinding, Alert):
            session.execute(sa.delete(table))
    return home


def keep_little(home: Home, **ages: int) -> str:
    """Give the home a policy that keeps nothing longer than it must, except for these ages; its file."""
    file = home.folder / "retention.toml"
    names = ("versions_days", "reports_days", "tapes_days", "notifications_days", "runs_days", "ticks_days")
    policy = dict.fromkeys((*names, "leftovers_hours"), 0) | ages
    file.write_text("".join(f"{name} = {age}\n" for name, age in policy.items()))
    return str(file)


def apply() -> str:
    """Run the housekeeping; what the command prints."""
    done = lending("housekeeping", "--apply")
    assert done.returncode == 0, done.stderr
    return done.stdout


def days_of(home: Home, table: str = "loan_positions") -> tuple[list[date], list[date]]:
    """The days that the table has, and those that were thinned."""
    with home.lake() as lake:
        return lake.days(table), lake.thinned(table)
