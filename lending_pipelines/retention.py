"""The retention policy: how long each kind of data is kept before housekeeping removes or thins it.

The policy is the TOML file that LENDING_RETENTION names, or the defaults. housekeeping/references.py lists what is kept
whatever the policy says.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lending_pipelines import bounds
from lending_pipelines.errors import LendingError, did_you_mean

Days = bounds.Days | Literal["forever"]
"""A number of days, or `forever`."""


class Retention(BaseModel):
    """The policy; immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    positions_days: Days = Field(
        365, description="Days with all their positions; older ones are thinned to month ends."
    )
    snapshots_days: Days = Field(
        "forever",
        description="Days with all rows of the other daily tables (aging, transitions, snapshots, trial balance,"
        " tie-outs); older ones are thinned to month ends.",
    )
    versions_days: Days = Field(365, description="Days for which every earlier version of a table stays readable.")
    reports_days: Days = Field(1095, description="Days for which the files of reports are kept.")
    tapes_days: Days = Field(1095, description="Days for which tapes that were never delivered are kept.")
    notifications_days: Days = Field(365, description="Days for which notifications are kept.")
    alerts_days: Days = Field(1095, description="Days for which resolved alerts are kept.")
    runs_days: Days = Field(90, description="Days for which Dagster's runs and their events are kept.")
    ticks_days: Days = Field(30, description="Days for which Dagster's schedule and sensor ticks are kept.")
    leftovers_hours: bounds.Hours = Field(24, description="Hours after which a file that no run finished is removed.")

    @classmethod
    def load(cls, path: str | Path) -> "Retention":
        """Read a TOML file with one key per setting; other settings keep their defaults.

        Raises:
            LendingError: The file cannot be read, a setting does not exist, or a value is not allowed.
        """
        given = bounds.read_toml(path, "retention file")
        faults = [
            f"there is no setting {name!r}; {did_you_mean(name, cls.model_fields)}"
            for name in given
            if name not in cls.model_fields
        ]
        try:
            policy = cls(**{name: value for name, value in given.items() if name in cls.model_fields})
        except ValidationError as error:
            # Pydantic reports one fault for each member of a union. One fault per setting is enough.
            wrong = dict.fromkeys(str(fault["loc"][0]) for fault in error.errors())
            faults += [f"{name} is {given[name]!r}: write {_allowed(name)}" for name in wrong]
        if faults:
            raise LendingError(f"retention file {path}: {'; '.join(faults)}")
        return policy


def before(days: Days, now: datetime) -> datetime | None:
    """The instant before which data is older than that many days; None when it is kept forever."""
    return None if isinstance(days, str) else now - timedelta(days=days)


def _allowed(name: str) -> str:
    if name.endswith("_hours"):
        return f"a whole number of hours up to {bounds.MOST_HOURS:,}"
    return f'a whole number of days up to {bounds.MOST_DAYS:,}, or "forever"'
