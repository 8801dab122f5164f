"""Numbers, subjects and findings in words."""

from datetime import date
from decimal import Decimal
from string import Template

from lending_pipelines.alerts.catalogue import Kind
from lending_pipelines.alerts.rules import AlertRule, Operator

_COMPARED: dict[Operator, str] = {"<": "below", "<=": "at or below", ">": "above", ">=": "at or above"}
_ACRONYMS = {"par": "PAR", "irr": "IRR", "moic": "MOIC"}
_KINDS = {"all": "the whole book", "close": "the close", "manager": "manager", "leader": "team leader"}


def number(value: float | Decimal | None, kind: Kind, currency: str = "") -> str:
    """A number in its unit: 16.20 %, 1,000.50 USD, 45.00."""
    if value is None:
        return "unknown"
    match kind:
        case "money":
            return f"{value:,.2f} {currency}".rstrip()
        case "count":
            return f"{value:,.0f}"
        case "fraction":
            return f"{float(value) * 100:,.2f} %"
        case "percent":
            return f"{value:,.2f} %"
        case _:
            return f"{value:,.2f}"


def change(value: Decimal, kind: Kind, currency: str = "") -> str:
    """A change with its sign: +3.10 points, -1,000.50 USD. A fraction or percentage changes by percentage points."""
    if kind in ("fraction", "percent"):
        return f"{value * 100 if kind == 'fraction' else value:+,.2f} points"
    return f"{'+' if value > 0 else ''}{number(value, kind, currency)}"


def measured(rule: AlertRule, value: float | Decimal | None, currency: str = "") -> str:
    """What a rule compares, or its threshold, in words: a number, or the change of one."""
    kind = kind_of(rule)
    if value is None or rule.detector not in ("change", "anomaly"):
        return number(value, kind, currency)
    if rule.detector == "change" and rule.unit == "percent":
        return f"{value:+,.2f} %"
    return change(Decimal(str(value)), kind, currency)


def kind_of(rule: AlertRule) -> Kind:
    """The kind of the number that a rule compares."""
    if rule.metric is not None:
        return rule.measured.kind
    return "fraction" if rule.detector in ("concentration", "covenant") else "count"


def condition(rule: AlertRule) -> str:
    """When a rule holds, in short: `manager_snapshots.par_30 > 15.00 %`, `tape_late by 6 hours`."""
    where = ", ".join(f"{name} {given}" for name, given in rule.where.items())
    what = f"{rule.metric or rule.detector}{f' ({where})' if where else ''}"
    match rule.detector:
        case "anomaly":
            return f"{what} changes by {rule.limit} z or more"
        case "missed_installments":
            return f"{what} >= {rule.installments} in {max(rule.limit, Decimal(1)):f} or more loans"
        case "concentration":
            return f"{what} by {rule.by} > {measured(rule, rule.limit)}"
        case "close_late" | "tape_late":
            return what if rule.threshold is None else f"{what} by {rule.limit:f} hours"
        case "covenant":
            return f"{what} {', '.join(covenant.metric for covenant in rule.covenants)}"
        case "change":
            return f"{what} {rule.operator} {measured(rule, rule.limit)} in {rule.window_days} days"
        case "data_received":
            return what
    return f"{what} {rule.operator} {measured(rule, rule.limit)}"


def compares(rule: AlertRule, name: str) -> str:
    """What a rule compares, by the name of its number: `PAR 30`, `change of PAR 30 in 7 days`."""
    if rule.detector == "change":
        return f"change of {name} in {rule.window_days} {'day' if rule.window_days == 1 else 'days'}"
    return f"change of {name} in a day" if rule.detector == "anomaly" else name


def label(column: str) -> str:
    """The name of a column for people: PAR 30, health score."""
    return " ".join(_ACRONYMS.get(word, word) for word in column.split("_"))


def capitalized(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def subject(kind: str, identity: str, name: str | None = None) -> str:
    """A subject for people: portfolio Consumer 2024, manager S-12, the whole book."""
    if kind in ("all", "close"):
        return _KINDS[kind]
    shown = f"{name} ({identity})" if name and name != identity else identity
    return f"{kind.replace('_', ' ')} {shown}"


def compared(operator: Operator | None) -> str:
    """An operator in words."""
    return _COMPARED[operator or ">"]


def message(rule: AlertRule, about: str, value: str, threshold: str, day: date) -> str:
    """The rule's own message, filled; empty without one."""
    return Template(rule.message).safe_substitute(subject=about, value=value, threshold=threshold, day=day)
