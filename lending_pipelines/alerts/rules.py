"""Alert rules as data: the model of a rule, its validation, and rules files.

A rule names a number that a table already has, for whom it is watched, and the threshold. What a rule makes of the
tables is in detectors/; where rules are stored is register/alert_rules.py.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from lending_pipelines.alerts.catalogue import METRICS, Metric
from lending_pipelines.errors import LendingError, did_you_mean, first_of
from lending_pipelines.metrics.facility import Covenant
from lending_pipelines.settings_file import toml_value
from lending_pipelines.tables import SERVICING
from lending_pipelines.tables.schema import MONEY

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
]
Scope = Literal["all", "manager", "branch", "portfolio", "investor", "program", "product", "vintage"]
Operator = Literal["<", "<=", ">", ">="]
Severity = Literal["warning", "critical"]
Role = Literal["manager", "leader", "admins"]
Grouping = Literal["borrower", "product", "program", "branch", "officer", "vintage"]

PLACEHOLDERS = ("subject", "value", "threshold", "day")
"""The names that a message may use: $subject, $value, $threshold and $day."""

ANOMALY_Z = Decimal(4)
"""The threshold of an anomaly rule that has none: how many z the value is from what is expected."""

_SYMBOLS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_PERCENT = re.compile(r"\s*(-?[0-9.]+)\s*%\s*")

# The fields that a detector needs, and those that it may use besides the fields of every rule.
_NEEDED: dict[str, tuple[str, ...]] = {
    "threshold": ("metric", "operator", "threshold"),
    "change": ("metric", "operator", "threshold", "window_days"),
    "anomaly": ("metric", "least_distance"),
    "missed_installments": ("installments",),
    "concentration": ("by", "threshold"),
    "data_received": (),
    "close_late": ("threshold",),
    "tape_late": (),
    "covenant": ("covenants",),
}
_SCOPED = ("scope", "subjects")
_ALLOWED: dict[str, tuple[str, ...]] = {
    "threshold": (*_SCOPED, "where", "minimum"),
    "change": (*_SCOPED, "where", "minimum", "unit"),
    "anomaly": (*_SCOPED, "where", "minimum", "threshold"),
    "missed_installments": (*_SCOPED, "threshold", "minimum"),
    "concentration": (*_SCOPED, "minimum"),
    "data_received": ("tables", "window_days"),
    "close_late": (),
    "tape_late": ("threshold", "subjects"),
    "covenant": (*_SCOPED, "near"),
}
_EVERY = ("name", "detector", "severity", "message", "recipients", "cool_down_days", "active")
_LOAN_SCOPES = ("all", "manager", "branch", "portfolio", "investor", "program", "product", "vintage")


class AlertRuleError(LendingError):
    """Alert rules are not valid. The message names each rule and field."""

    def __init__(self, *faults: str) -> None:
        super().__init__(first_of(faults, 20))
        self.faults = faults


def _symbol(given: Any) -> Any:
    return _SYMBOLS.get(given, given) if isinstance(given, str) else given


def _number(given: Any) -> Any:
    """A threshold as a number; a text like "15 %" stays text until the metric is known."""
    if isinstance(given, bool):
        raise ValueError("write a number, or a percentage like '15 %'")
    if isinstance(given, str) and not _PERCENT.fullmatch(given):
        try:
            return Decimal(given)
        except InvalidOperation:
            raise ValueError("write a number, or a percentage like '15 %'") from None
    return Decimal(str(given)) if isinstance(given, float | int) else given


class AlertRule(BaseModel):
    """What is watched, for whom, and when it is an alert."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=120, description="The rule's name; unique.")
    detector: DetectorName = Field("threshold", description="The kind of rule.")
    metric: str | None = Field(None, description="table.column of a daily table.")
    scope: Scope = Field("all", description="Whose number is watched.")
    subjects: tuple[str, ...] = Field((), description="Ids of the scope, or names of tapes; none named: each.")
    where: dict[str, str] = Field({}, description="A value for each other key of the table, like bucket.")
    operator: Annotated[Operator | None, BeforeValidator(_symbol)] = Field(None, description="<, <=, > or >=.")
    threshold: Annotated[Decimal | str | None, BeforeValidator(_number)] = Field(
        None, description="A number in the metric's unit, or a percentage like '15 %'."
    )
    severity: Severity = Field("warning", description="warning or critical.")
    minimum: Decimal | None = Field(
        None, ge=0, decimal_places=2, description="Principal outstanding of the subject, at least."
    )
    window_days: int | None = Field(None, ge=1, le=400, description="The days that are looked back.")
    unit: Literal["points", "percent"] = Field(
        "points", description="A change as a difference, or as a percentage of the earlier value."
    )
    least_distance: Annotated[Decimal | str | None, BeforeValidator(_number)] = Field(
        None,
        description="How far an anomaly is from what is expected, at least: in the metric's unit, or as a percentage,"
        " which for an amount is one of the subject's principal outstanding.",
    )
    by: Grouping | None = Field(None, description="What a concentration is grouped by.")
    installments: int | None = Field(None, ge=1, le=60, description="Full installments missed, at least.")
    tables: tuple[str, ...] = Field((), description="Servicing tables; none named: each that is posted to.")
    covenants: tuple[Covenant, ...] = Field((), description="The facility's covenants.")
    near: Decimal = Field(Decimal("0.1"), ge=0, lt=1, description="The share of the limit that counts as near.")
    cool_down_days: int = Field(7, ge=0, le=365, description="An alert that returns within these days is reopened.")
    recipients: tuple[Role, ...] = Field(("manager", "leader", "admins"), description="Who is notified.")
    message: str = Field("", max_length=500, description="What to do. $subject, $value, $threshold, $day are filled.")
    active: bool = Field(True, description="Whether the rule is evaluated.")

    @property
    def measured(self) -> Metric:
        """The metric of a valid rule that has one."""
        return METRICS[str(self.metric)]

    @property
    def limit(self) -> Decimal:
        """The threshold of a valid rule, in the metric's unit."""
        if isinstance(self.threshold, str):
            share = self.share_of(self.threshold)
            return share * 100 if self._in_percent else share
        if self.threshold is None:
            return ANOMALY_Z if self.detector == "anomaly" else Decimal(0)
        return self.threshold

    @staticmethod
    def share_of(percentage: str) -> Decimal:
        """A percentage like "15 %" as a fraction."""
        return Decimal(_PERCENT.fullmatch(percentage)[1]) / 100  # type: ignore[index]

    @property
    def _in_percent(self) -> bool:
        if self.detector == "change" and self.unit == "percent":
            return True
        return self.metric is not None and self.measured.kind == "percent"

    @property
    def topic(self) -> str:
        """What alerts of this rule are about. Rules with the same topic raise one alert, of the worst severity."""
        direction = {"<": "below", "<=": "below", ">": "above", ">=": "above"}.get(self.operator or "", "")
        where = ",".join(f"{name}={value}" for name, value in sorted(self.where.items()))
        window = f"{self.window_days}d {self.unit}" if self.detector == "change" else ""
        parts = (self.detector, self.metric, self.by, where, window, direction)
        return " ".join(part for part in parts if part)

    def settings(self) -> dict[str, Any]:
        """The fields that differ from their defaults, as JSON values."""
        return self.model_dump(mode="json", exclude_defaults=True)


def parse_rules(given: Iterable[Any], where: str) -> list[AlertRule]:
    """Rules from plain values. Raises AlertRuleError with every fault of every rule; `where` is the file's name."""
    rules: list[AlertRule] = []
    faults: list[str] = []
    for number, values in enumerate(given):
        path = f"{where}: rules[{number}]"
        if isinstance(values, Mapping) and isinstance(values.get("name"), str):
            path += f" {values['name']!r}"
        try:
            rule = AlertRule.model_validate(values)
        except ValidationError as error:
            faults += [f"{path}: {_problem(problem)}" for problem in error.errors()]
            continue
        given_fields = frozenset(values)
        faults += [f"{path}: {fault}" for fault in rule_faults(rule, given_fields)]
        rules.append(rule)
    names = [rule.name for rule in rules]
    faults += [f"{where}: two rules are named {name!r}" for name in sorted({n for n in names if names.count(n) > 1})]
    if faults:
        raise AlertRuleError(*faults)
    return rules


def load_rules(file: str | Path) -> list[AlertRule]:
    """The rules of a TOML file with a [[rules]] table per rule. Raises AlertRuleError."""
    try:
        content = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AlertRuleError(f"rules file {file} cannot be read: {error}") from error
    return read_rules(content, str(file))


def read_rules(content: str, where: str) -> list[AlertRule]:
    """The rules of a TOML text. Raises AlertRuleError."""
    try:
        given = tomllib.loads(content, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise AlertRuleError(f"{where} is not valid TOML: {error}") from error
    faults = [f"{where}: unknown {name!r}; write [[rules]]" for name in given if name != "rules"]
    rules = given.get("rules")
    if not isinstance(rules, list) or not rules:
        faults.append(f"{where}: it has no [[rules]]")
    if faults:
        raise AlertRuleError(*faults)
    return parse_rules(rules or [], where)


def default_rules_text() -> str:
    """The shipped rules as a TOML file."""
    return (files("lending_pipelines.alerts") / "defaults.toml").read_text(encoding="utf-8")


def default_rules() -> list[AlertRule]:
    """The shipped rules."""
    return read_rules(default_rules_text(), "defaults.toml")


def rules_text(rules: Iterable[AlertRule]) -> str:
    """Rules as a TOML file that `load_rules` reads."""
    tables = []
    for rule in rules:
        lines = [f"{name} = {toml_value(value)}" for name, value in rule.settings().items()]
        tables.append("\n".join(["[[rules]]", *lines]) + "\n")
    return "\n".join(tables)


def rule_faults(rule: AlertRule, given: frozenset[str]) -> list[str]:
    """What is wrong with a rule whose fields have the right types; `given` are the fields that were written."""
    faults = [
        f"{name} is missing: a rule with detector {rule.detector!r} needs it"
        for name in _NEEDED[rule.detector]
        if getattr(rule, name) in (None, ())
    ]
    usable = {*_EVERY, *_NEEDED[rule.detector], *_ALLOWED[rule.detector]}
    faults += [
        f"{name} does not apply to detector {rule.detector!r}, which uses {', '.join(sorted(usable - {*_EVERY}))}"
        for name in sorted(given - usable)
    ]
    if not rule.name.isprintable():
        faults.append("name has a character that cannot be printed")
    faults += _message_faults(rule.message)
    if rule.metric is not None:
        faults += _metric_faults(rule)
    faults += [
        f"tables: there is no servicing table {name!r} that is posted to; {did_you_mean(name, POSTED)}"
        for name in rule.tables
        if name not in POSTED
    ]
    if rule.threshold is not None and not faults:
        faults += _threshold_faults(rule)
    if rule.least_distance is not None and not faults:
        faults += _distance_faults(rule)
    return faults


POSTED = tuple(name for name, table in SERVICING.items() if table.watermark == "posted_at")
"""The servicing tables whose rows have the time at which they were posted."""


def _metric_faults(rule: AlertRule) -> list[str]:
    metric = METRICS.get(rule.metric or "")
    if metric is None:
        return [f"metric: there is no number {rule.metric!r}; {did_you_mean(rule.metric or '', METRICS)}"]
    faults = []
    if rule.scope not in metric.scopes:
        faults.append(f"scope is {rule.scope!r}: {rule.metric} is known for {', '.join(metric.scopes)}")
    for key in metric.keys:
        if key not in rule.where:
            faults.append(f'where: write {{ {key} = "…" }}: {metric.table} has a row for each {key}')
    faults += [
        f"where: {metric.table} has no key {name!r}; {did_you_mean(name, metric.keys)}"
        for name in rule.where
        if name not in metric.keys
    ]
    if rule.minimum is not None and metric.size is None:
        faults.append(f"minimum: {metric.table} has no principal outstanding")
    return faults


def _distance_faults(rule: AlertRule) -> list[str]:
    given, metric = rule.least_distance, rule.measured
    if isinstance(given, str):
        if metric.kind == "money" and metric.size is None:
            return [f"least_distance is {given!r}: {metric.table} has no principal outstanding; write an amount"]
        if metric.kind in ("count", "score"):
            return [f"least_distance is {given!r}: {rule.metric} is not a percentage or an amount; write a number"]
        given = rule.share_of(given)
    if given is None or not given.is_finite() or given < 0:
        return [f"least_distance is {given}: write a finite number from 0 on"]
    return []


def _threshold_faults(rule: AlertRule) -> list[str]:
    if rule.detector == "anomaly":
        valid = isinstance(rule.threshold, Decimal) and rule.threshold.is_finite() and rule.threshold >= 1
        return [] if valid else [f"threshold is {rule.threshold!s}: write how many z are unusual, 1 or more, like 4"]
    if isinstance(rule.threshold, str):
        kinds = ("fraction", "percent")
        share = rule.detector == "concentration" or (rule.detector == "change" and rule.unit == "percent")
        if not share and (rule.metric is None or rule.measured.kind not in kinds):
            return [f"threshold is {rule.threshold!r}: {rule.metric or rule.detector} is not a percentage"]
    limit = rule.limit
    if not limit.is_finite():
        return [f"threshold is {limit}: write a finite number"]
    if rule.detector == "concentration" and not 0 < limit <= 1:
        return [f"threshold is {limit}: a share is more than 0 and at most 1, like 0.05 or '5 %'"]
    if rule.metric is not None and rule.measured.type == MONEY and round(limit, 2) != limit:
        return [f"threshold is {limit}: an amount has at most two decimals"]
    if rule.detector in ("missed_installments", "close_late", "tape_late") and limit < 0:
        return [f"threshold is {limit}: write 0 or more"]
    return []


def _message_faults(message: str) -> list[str]:
    template = Template(message)
    if not template.is_valid():
        return [f"message: a $ is followed by a name, or is written $$: {message!r}"]
    return [
        f"message: unknown ${name}; {did_you_mean(name, PLACEHOLDERS)}"
        for name in template.get_identifiers()
        if name not in PLACEHOLDERS
    ]


def _problem(problem: Any) -> str:
    """What is wrong with one field, and what to write instead."""
    names = [str(part) for part in problem["loc"] if part not in ("decimal", "str")]
    field = ".".join(names)
    match problem["type"]:
        case "extra_forbidden":
            return f"unknown field {field!r}; {did_you_mean(names[-1], AlertRule.model_fields)}"
        case "literal_error":
            known = _allowed(names[0])
            return f"{field} is {problem['input']!r}; {did_you_mean(str(problem['input']), known)}"
        case "missing":
            return f"{field} is missing"
        case "value_error":
            return f"{field} is {problem['input']!r}: {problem['msg'].removeprefix('Value error, ')}"
        case _:
            return f"{field or 'the rule'} is {json.dumps(problem['input'], default=str)[:80]}: {problem['msg']}"


def _allowed(field: str) -> tuple[str, ...]:
    kinds = {
        "detector": DetectorName,
        "scope": Scope,
        "operator": Operator,
        "severity": Severity,
        "recipients": Role,
        "by": Grouping,
    }
    return get_args(kinds.get(field, Literal["points", "percent"]))
