"""Conventions: named settings where the industry has several definitions, with defaults.

Every number of a run follows one Conventions object; reports print `stamp()` and tape manifests record it. Settings
that are not conventions (locations, engines, dates) are in settings.py.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from lending_pipelines.bounds import MOST_DAYS, read_toml
from lending_pipelines.errors import LendingError, did_you_mean


class Conventions(BaseModel):
    """The conventions of a run; immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bucket_edges: tuple[int, ...] = Field(
        (1, 30, 60, 90, 120), description="First day past due of each delinquency bucket after `current`."
    )
    dpd_method: Literal["rolling", "strict"] = Field(
        "rolling",
        description="rolling: days since the oldest unpaid due date; strict: since the first missed due date of"
        " the delinquency spell.",
    )
    delinquency_method: Literal["MBA", "OTS"] = Field(
        "MBA", description="MBA: late the day after the due date; OTS: one payment period later."
    )
    paused_days: Literal["stand_still", "count"] = Field(
        "stand_still",
        description="Whether days past due stand still in a delinquency pause, or its days count like others.",
    )
    par_operator: Literal[">=", ">"] = Field(
        ">=", description="PAR n counts loans with days past due >= n, or > n (CGAP's definition)."
    )
    transition_step: Literal["month", "week", "day"] = Field(
        "month", description="How long before the day a bucket transition starts."
    )
    non_accrual_days: int = Field(
        90, ge=1, le=MOST_DAYS, description="Days past due from which a loan is on non-accrual."
    )
    interest_accrual: Literal["scheduled", "daily", "servicer"] = Field(
        "scheduled",
        description="How interest is earned. scheduled: the elapsed share of each installment's interest; daily: annual"
        " rate × principal outstanding by the loan's day count; servicer: the accruals of the servicing system.",
    )
    non_accrual_interest: Literal["stop", "cash", "continue"] = Field(
        "stop",
        description="Daily interest of a loan on non-accrual. stop: none; cash: interest that is settled and was not"
        " earned before; continue: as for other loans.",
    )
    recovery_dating: Literal["receipt", "charge_off"] = Field(
        "receipt",
        description="Which recoveries a recovery rate counts. receipt: those received in the period; charge_off: those"
        " on loans charged off in the period, whenever received.",
    )
    negative_journal_lines: bool = Field(
        False,
        description="Whether journal lines may have a negative debit or credit that corrects an earlier line on the"
        " same side (red storno).",
    )
    health_window_days: int = Field(
        30,
        ge=1,
        le=MOST_DAYS,
        description="Length in days of the window of collection, growth, new and churned clients.",
    )
    default_days: int = Field(
        90, ge=1, le=MOST_DAYS, description="Days past due from which an active loan counts as defaulted."
    )
    health_weights: tuple[int, ...] = Field(
        (40, 30, 20, 10),
        description="Weights of collection, default, growth and yield in the health score, in percent; they add up to"
        " 100.",
    )
    health_thresholds: tuple[float, ...] = Field(
        (50, 70, 80), description="The health scores at which Warning, Good and Excellent begin; below is Critical."
    )
    timezone: str = Field(
        "UTC", description="IANA time zone in which a business date ends. Set it by LENDING_TIMEZONE, not in the file."
    )

    @field_validator("bucket_edges")
    @classmethod
    def _rising_from_one(cls, edges: tuple[int, ...]) -> tuple[int, ...]:
        if not edges or edges[0] != 1 or list(edges) != sorted(set(edges)) or edges[-1] > MOST_DAYS or len(edges) > 100:
            raise ValueError(
                f"bucket edges must start at 1 and increase up to {MOST_DAYS}, for example [1, 30, 60, 90, 120]"
            )
        return edges

    @field_validator("health_weights")
    @classmethod
    def _four_that_add_up(cls, weights: tuple[int, ...]) -> tuple[int, ...]:
        if len(weights) != 4 or min(weights) < 0 or sum(weights) != 100:
            raise ValueError(
                f"write four whole percentages from 0 that add up to 100, for collection, default, growth and yield,"
                f" for example [40, 30, 20, 10]; found {_written(weights)}, which add up to {sum(weights)}"
            )
        return weights

    @field_validator("health_thresholds")
    @classmethod
    def _three_that_rise(cls, thresholds: tuple[float, ...]) -> tuple[float, ...]:
        rising = all(low < high for low, high in pairwise(thresholds))
        if len(thresholds) != 3 or not rising or thresholds[0] <= 0 or thresholds[-1] > 100:
            raise ValueError(
                "write three increasing scores above 0 and up to 100, where Warning, Good and Excellent begin, for"
                f" example [50, 70, 80]; found {_written(thresholds)}"
            )
        return thresholds

    @property
    def buckets(self) -> tuple[str, ...]:
        """Bucket labels in order of days past due: `current`, `1-29`, …, `120+`."""
        closed = (f"{low}-{high - 1}" for low, high in zip(self.bucket_edges, self.bucket_edges[1:], strict=False))
        return ("current", *closed, f"{self.bucket_edges[-1]}+")

    def stamp(self) -> dict[str, str]:
        """The settings as text by name, for covers, manifests and metadata."""
        return {name: _written(value) for name, value in self}

    @classmethod
    def recorded(cls, stamp: Mapping[str, str]) -> dict[str, str]:
        """A stamp of an earlier version, completed with the defaults of settings that the version did not have.

        The default of a new setting gives the same results as before the setting existed.
        """
        return {**cls().stamp(), **stamp}

    def overridden(self, text: str) -> "Conventions":
        """A copy with some settings replaced, written like `par_operator=>; bucket_edges=1,30,60`.

        Raises:
            LendingError: A setting is not written so, does not exist, or does not allow the value.
        """
        settings: dict[str, str | list[str]] = {}
        for part in text.split(";"):
            name, equals, value = (piece.strip() for piece in part.partition("="))
            if name not in CHOSEN:
                raise LendingError(f"there is no convention {name!r}; {did_you_mean(name, CHOSEN)}")
            if not equals:
                raise LendingError(f"convention {name}: write it like {name}={self.stamp()[name].replace(' ', '')}")
            settings[name] = value.split(",") if isinstance(getattr(self, name), tuple) else value
        try:
            return Conventions(**{**self.model_dump(), **settings})
        except ValidationError as error:
            raise LendingError(f"conventions {text!r}: {_problems(error)}") from error

    @classmethod
    def load(cls, path: str | Path | None) -> "Conventions":
        """Read a TOML file with one key per setting; other settings keep their defaults, all of them without a path.

        Raises:
            LendingError: The file cannot be read, or a setting is not valid.
        """
        if not path:
            return cls()
        chosen = read_toml(path, "conventions file")
        if "timezone" in chosen:
            raise LendingError(f"conventions file {path}: timezone: remove it and set LENDING_TIMEZONE instead")
        try:
            return cls(**chosen)
        except ValidationError as error:
            raise LendingError(f"conventions file {path}: {_problems(error)}") from error


def _written(value: object) -> str:
    """The value as in a conventions file, without quotes and brackets."""
    if isinstance(value, tuple):
        return ", ".join(map(_written, value))
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).lower() if isinstance(value, bool) else str(value)


CHOSEN = tuple(name for name in Conventions.model_fields if name != "timezone")
"""The conventions that a file or a report may set."""


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()
    )
