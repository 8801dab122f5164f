"""What is wrong with an alert rule, field by field, and what to write instead."""

import json
import re
from decimal import Decimal
from string import Template
from typing import Any, Literal, get_args

from lending_pipelines.alerts.catalogue import METRICS
from lending_pipelines.alerts.rules import AlertRule, DetectorName, Grouping, Operator, Role, Scope, Severity
from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError, did_you_mean, first_of
from lending_pipelines.metrics.facility import Covenant
from lending_pipelines.metrics.facility import Metric as CovenantMetric
from lending_pipelines.tables import DERIVED, SERVICING, Table
from lending_pipelines.tables.close_numbers import CLOSE_SUMMARY
from lending_pipelines.tables.schema import MONEY

PLACEHOLDERS = ("subject", "value", "threshold", "day")
"""The names that a message may use: $subject, $value, $threshold and $day."""

_INSTANT = "timestamp(6)"


def _time_of_rows(table: Table) -> str | None:
    """The column with the time of each row: posted_at, or else the only timestamp column other than updated_at."""
    times = [column.name for column in table.columns if column.type == _INSTANT and column.name != "updated_at"]
    return "posted_at" if "posted_at" in times else times[0] if len(times) == 1 else None


TIME_COLUMNS = {name: time for name, table in SERVICING.items() if (time := _time_of_rows(table))}
"""The servicing tables whose rows have a time, and the column with it. The detector data_received reads these."""


# The fields that a detector needs, and those that it may use in addition to them and to the fields of every rule.
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
    "close_summary": ("metric", "operator", "threshold"),
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
    "close_summary": ("scope",),
}
_EVERY = ("name", "detector", "severity", "message", "recipients", "cool_down_days", "active")


_SUBJECT_FIELDS = {
    "scope": 'scope = "…" as a field of the rule',
    "scope_id": 'subjects = ["…"] as a field of the rule',
    "manager_id": 'subjects = ["…"] as a field of the rule',
}
"""Keys of tables that are not written in `where`, and what to write instead."""

_VINTAGE = re.compile("[0-9]{4}Q[1-4]")


class AlertRuleError(LendingError):
    """Alert rules are not valid. The message names each rule and field."""

    def __init__(self, *faults: str) -> None:
        super().__init__(first_of(faults, 20))
        self.faults = faults


def rule_faults(rule: AlertRule, given: frozenset[str]) -> list[str]:
    """The faults of a rule whose fields have the right types. `given` are the fields that were written."""
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
        f"tables: there is no servicing table {name!r} whose rows have a time; {did_you_mean(name, TIME_COLUMNS)}"
        for name in rule.tables
        if name not in TIME_COLUMNS
    ]
    if rule.scope == "vintage":
        faults += [
            f"subjects: {given!r} is not a vintage; write a year and quarter like '2025Q3'"
            for given in rule.subjects
            if not _VINTAGE.fullmatch(given)
        ]
    if rule.threshold is not None and not faults:
        faults += _threshold_faults(rule)
    if rule.least_distance is not None and not faults:
        faults += _distance_faults(rule)
    return faults


def where_faults(rule: AlertRule, conventions: Conventions) -> list[str]:
    """The values in `where` of a valid rule that its table never has, given the buckets of the conventions."""
    faults = []
    for name, given in rule.where.items():
        column = DERIVED[rule.measured.table].column(name)
        known = (*(conventions.buckets if column.of_buckets else ()), *column.values)
        if known and given not in known:
            faults.append(f"where: {given!r} is not a value of {name}; {did_you_mean(given, known)}")
    return faults


def _metric_faults(rule: AlertRule) -> list[str]:
    metric = METRICS.get(rule.metric or "")
    if metric is None:
        return [f"metric: there is no number {rule.metric!r}; {did_you_mean(rule.metric or '', METRICS)}"]
    faults = []
    if (metric.table == CLOSE_SUMMARY.name) != (rule.detector == CLOSE_SUMMARY.name):
        return [f"metric: detector {rule.detector!r} cannot watch {rule.metric}; leave out detector"]
    if rule.scope not in metric.scopes:
        faults.append(f"scope is {rule.scope!r}: {rule.metric} is known for {', '.join(metric.scopes)}")
    for key in metric.keys:
        if key not in rule.where:
            faults.append(f'where: write {{ {key} = "…" }}: {metric.table} has a row for each {key}')
    for name in rule.where:
        if name in _SUBJECT_FIELDS:
            faults.append(f"where: {name!r} is not a key of the table; write {_SUBJECT_FIELDS[name]}")
        elif name not in metric.keys:
            faults.append(f"where: {metric.table} has no key {name!r}; {did_you_mean(name, metric.keys)}")
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
    if given is None or given < 0:
        return [f"least_distance is {given}: write a number from 0 on"]
    return []


def _threshold_faults(rule: AlertRule) -> list[str]:
    if rule.detector == "anomaly":
        valid = isinstance(rule.threshold, Decimal) and rule.threshold >= 1
        return [] if valid else [f"threshold is {rule.threshold!s}: write how many z are unusual, 1 or more, like 4"]
    if isinstance(rule.threshold, str):
        kinds = ("fraction", "percent")
        share = rule.detector == "concentration" or (rule.detector == "change" and rule.unit == "percent")
        if not share and (rule.metric is None or rule.measured.kind not in kinds):
            return [f"threshold is {rule.threshold!r}: {rule.metric or rule.detector} is not a percentage"]
    limit = rule.limit
    if rule.metric is not None and (most := rule.measured.most) is not None:
        least = 0 if rule.detector == "threshold" else -most
        if not (rule.detector == "change" and rule.unit == "percent") and not least <= limit <= most:
            write = "write a fraction like 0.15, or '15 %'" if most == 1 else f"write a number from {least} to {most}"
            return [f"threshold is {limit}: {rule.metric} is between 0 and {most}; {write}"]
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


def problem_of(problem: Any) -> str:
    """The message for one error of pydantic: what is wrong with a field, and what to write instead."""
    names = [str(part) for part in problem["loc"] if part not in ("decimal", "str")]
    field = ".".join(names)
    match problem["type"]:
        case "extra_forbidden":
            model = Covenant if names[0] == "covenants" else AlertRule
            return f"unknown field {field!r}; {did_you_mean(names[-1], model.model_fields)}"
        case "literal_error":
            known = _allowed(names[0])
            return f"{field} is {problem['input']!r}; {did_you_mean(str(problem['input']), known)}"
        case "missing":
            return f"{field} is missing"
        case _:
            given = problem["input"]
            shown = str(given) if isinstance(given, Decimal) else json.dumps(given, default=str)[:80]
            return f"{field or 'the rule'} is {shown}: {problem['msg'].removeprefix('Value error, ')}"


def _allowed(field: str) -> tuple[str, ...]:
    kinds = {
        "detector": DetectorName,
        "scope": Scope,
        "operator": Operator,
        "severity": Severity,
        "recipients": Role,
        "by": Grouping,
        "covenants": CovenantMetric,
    }
    return get_args(kinds.get(field, Literal["points", "percent"]))
