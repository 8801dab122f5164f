"""Alert rules from TOML files: those of a lender, and the shipped ones."""

from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from lending_pipelines.alerts.rule_faults import AlertRuleError, problem_of, rule_faults
from lending_pipelines.alerts.rules import AlertRule
from lending_pipelines.bounds import Place, listed, parse_toml, read_text, without_reported
from lending_pipelines.settings_file import toml_value

_NO_FAULTS: Mapping[Place, str] = MappingProxyType({})


def parse_rules(given: Iterable[Any], where: str, outside: Mapping[Place, str] = _NO_FAULTS) -> list[AlertRule]:
    """Rules from plain values. Raises AlertRuleError with every fault of every rule.

    Args:
        given: The fields of each rule.
        where: The file's name.
        outside: The faults of values that are out of bounds, by the number of the rule and the place in it.
    """
    rules: list[AlertRule] = []
    names: list[str] = []
    faults: list[str] = []
    for number, values in enumerate(given):
        path = f"{where}: rules[{number}]"
        if isinstance(values, Mapping) and isinstance(values.get("name"), str):
            path += f" {values['name']!r}"
            names.append(values["name"])
        own = {place[1:]: fault for place, fault in outside.items() if place[0] == number}
        try:
            rule = AlertRule.model_validate(values)
        except ValidationError as error:
            problems = error.errors()
            places = [problem["loc"] for problem in problems]
            own = without_reported(own, places)
            found = [*map(problem_of, problems), *listed(own), *_other_faults(values, [*places, *own])]
        else:
            found = [*listed(own), *_other_faults(values, own)]
            rules.append(rule)
        faults += [f"{path}: {fault}" for fault in found]
    faults += [f"{where}: two rules are named {name!r}" for name in sorted({n for n in names if names.count(n) > 1})]
    if faults:
        raise AlertRuleError(*faults)
    return rules


def _other_faults(values: Any, places: Iterable[Place]) -> list[str]:
    """The faults of a rule in the fields that have no fault at `places`.

    There are none without a valid detector, because the other fields depend on it.
    """
    wrong = {str(name) for place in places for name in place[:1]}
    if not isinstance(values, Mapping) or "detector" in wrong:
        return []
    given = {name: value for name, value in values.items() if name not in wrong}
    rule = AlertRule.model_validate({"name": "unnamed", **given})
    faults = rule_faults(rule, frozenset(given))
    return [fault for fault in faults if fault.partition(" ")[0].rstrip(":") not in wrong]


def load_rules(file: str | Path) -> list[AlertRule]:
    """The rules of a TOML file with a [[rules]] table per rule. Raises AlertRuleError if a rule is not valid."""
    return read_rules(read_text(file, "rules file", AlertRuleError), str(file))


def read_rules(content: str, where: str) -> list[AlertRule]:
    """The rules of a TOML text. Raises AlertRuleError if a rule is not valid."""
    outside: dict[Place, str] = {}
    given = parse_toml(content, where, AlertRuleError, decimals=True, outside=outside)
    faults = [f"{where}: unknown {name!r}; write [[rules]]" for name in given if name != "rules"]
    rules = given.get("rules")
    if not isinstance(rules, list) or not rules:
        faults.append(f"{where}: it has no [[rules]]")
    of_rules = {place[1:]: fault for place, fault in outside.items() if place[0] == "rules" and len(place) > 1}
    try:
        found = parse_rules(rules if isinstance(rules, list) else [], where, of_rules)
    except AlertRuleError as error:
        faults += error.faults
    if faults:
        raise AlertRuleError(*faults)
    return found


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
