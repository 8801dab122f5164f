"""Alert rules as data: the model of a rule. rule_faults.py validates rules, rule_files.py reads files of them.

A rule names a number that a table already has, the subjects for which it is watched, and the threshold. detectors/
evaluates rules; register/alert_rules.py stores them.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from lending_pipelines.alerts.catalogue import METRICS, Metric
from lending_pipelines.metrics.facility import Covenant
from lending_pipelines.tables.close_numbers import CLOSE_SUMMARY

DetectorName = Literal[
    "threshold",
    "change",
    "anomaly",
    "missed_installments",
    "concentration",
    "data_received",
    "close_late",
    "tape_late",
    "covenant",
    "close_summary",
]
Scope = Literal["all", "manager", "branch", "portfolio", "investor", "program", "product", "vintage"]
Operator = Literal["<", "<=", ">", ">="]
Severity = Literal["warning", "critical"]
Role = Literal["manager", "leader", "admins"]
Grouping = Literal["borrower", "product", "program", "branch", "officer", "vintage"]

ANOMALY_Z = Decimal(4)
"""The default threshold of an anomaly rule: how many z the change is from the expected change."""

_LIMIT = Decimal(10) ** 15

_SYMBOLS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_PERCENT = re.compile(r"\s*(-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))\s*%\s*")


def _symbol(given: Any) -> Any:
    """The operator of a name such as `gt`; other values as they are."""
    return _SYMBOLS.get(given, given) if isinstance(given, str) else given


def _number(given: Any) -> Any:
    """A threshold as a number. A text such as "15 %" is returned as it is, because its meaning depends on
    the metric.
    """
    if given is None or (isinstance(given, str) and _PERCENT.fullmatch(given)):
        return given
    if isinstance(given, bool) or not isinstance(given, str | float | int | Decimal):
        raise ValueError("write a number, or a percentage like '15 %'")
    try:
        number = Decimal(str(given))
    except InvalidOperation:
        raise ValueError("write a number, or a percentage like '15 %'") from None
    if not number.is_finite():
        raise ValueError("write a finite number")
    if abs(number) >= _LIMIT:
        raise ValueError("write a number with at most 15 digits before the decimal point")
    return number


class AlertRule(BaseModel):
    """What is watched, for whom, and when it is an alert."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=120, description="The rule's name; unique.")
    detector: DetectorName = Field("threshold", description="The kind of rule.")
    metric: str | None = Field(None, description="table.column of a daily table, or of close_summary.")
    scope: Scope = Field("all", description="Whose number is watched.")
    subjects: tuple[str, ...] = Field((), description="Ids of the scope, or names of tapes. Empty: all.")
    where: dict[str, str] = Field({}, description="A value for each other key of the table, like bucket.")
    operator: Annotated[Operator | None, BeforeValidator(_symbol)] = Field(None, description="<, <=, > or >=.")
    threshold: Annotated[Decimal | str | None, BeforeValidator(_number)] = Field(
        None, description="A number in the metric's unit, or a percentage like '15 %'."
    )
    severity: Severity = Field("warning", description="warning or critical.")
    minimum: Decimal | None = Field(
        None, ge=0, decimal_places=2, description="Least principal outstanding of a subject."
    )
    window_days: int | None = Field(None, ge=1, le=400, description="The number of days to look back.")
    unit: Literal["points", "percent"] = Field(
        "points", description="A change as a difference, or as a percentage of the earlier value."
    )
    least_distance: Annotated[Decimal | str | None, BeforeValidator(_number)] = Field(
        None,
        description="Least distance of an anomaly from the expected value: in the metric's unit, or as a percentage,"
        " which for an amount is a percentage of the subject's principal outstanding.",
    )
    by: Grouping | None = Field(None, description="What a concentration is grouped by.")
    installments: int | None = Field(None, ge=1, le=60, description="Least number of full installments missed.")
    tables: tuple[str, ...] = Field((), description="Servicing tables. Empty: all whose rows have a time.")
    covenants: tuple[Covenant, ...] = Field((), description="The facility's covenants.")
    near: Decimal = Field(Decimal("0.1"), ge=0, lt=1, description="The share of the limit that counts as near.")
    cool_down_days: int = Field(7, ge=0, le=365, description="An alert that returns within these days is reopened.")
    recipients: tuple[Role, ...] = Field(("manager", "leader", "admins"), description="Who is notified.")
    message: str = Field("", max_length=500, description="What to do. $subject, $value, $threshold, $day are filled.")
    active: bool = Field(True, description="Whether the rule is evaluated.")

    @model_validator(mode="before")
    @classmethod
    def _of_the_close(cls, given: Any) -> Any:
        """Set the detector close_summary for a threshold on a number of close_summary; nobody has to write it."""
        if not isinstance(given, Mapping) or given.get("detector", "threshold") != "threshold":
            return given
        of_the_close = str(given.get("metric")).startswith(f"{CLOSE_SUMMARY.name}.")
        return {**given, "detector": CLOSE_SUMMARY.name} if of_the_close else given

    @property
    def measured(self) -> Metric:
        """The metric of a valid rule that has one."""
        return METRICS[str(self.metric)]

    @property
    def limit(self) -> Decimal:
        """The threshold of a valid rule, in the metric's unit."""
        if isinstance(self.threshold, str):
            return self.in_unit(self.threshold)
        if self.threshold is None:
            return ANOMALY_Z if self.detector == "anomaly" else Decimal(0)
        return self.threshold

    @staticmethod
    def share_of(percentage: str) -> Decimal:
        """A percentage like "15 %" as a fraction."""
        return Decimal(_PERCENT.fullmatch(percentage)[1]) / 100  # type: ignore[index]

    def in_unit(self, percentage: str) -> Decimal:
        """A percentage like "15 %" in the metric's unit."""
        share = self.share_of(percentage)
        return share * 100 if self._in_percent else share

    @property
    def _in_percent(self) -> bool:
        if self.detector == "change" and self.unit == "percent":
            return True
        return self.metric is not None and self.measured.kind == "percent"

    @property
    def topic(self) -> str:
        """What the alerts of this rule are about. Rules with the same topic raise one alert of the worst severity."""
        direction = {"<": "below", "<=": "below", ">": "above", ">=": "above"}.get(self.operator or "", "")
        where = ",".join(f"{name}={value}" for name, value in sorted(self.where.items()))
        window = f"{self.window_days}d {self.unit}" if self.detector == "change" else ""
        parts = (self.detector, self.metric, self.by, where, window, direction)
        return " ".join(part for part in parts if part)

    def settings(self) -> dict[str, Any]:
        """The fields that differ from their defaults, as JSON values."""
        return self.model_dump(mode="json", exclude_defaults=True)
