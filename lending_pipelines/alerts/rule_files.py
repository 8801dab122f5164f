"""Alert rules from TOML files: those of a lender, and the shipped ones."""

from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lending_pipelines.alerts.rule_faults import AlertRuleError, problem_of, rule_faults
from lending_pipelines.alerts.rules import AlertRule
from lending_pipelines.bounds import parse_toml, read_text
from lending_pipelines.settings_file import toml_value


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
            faults += [f"{path}: {problem_of(problem)}" for problem in error.errors()]
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
    return read_rules(read_text(file, "rules file", AlertRuleError), str(file))


def read_rules(content: str, where: str) -> list[AlertRule]:
    """The rules of a TOML text. Raises AlertRuleError."""
    given = parse_toml(content, where, AlertRuleError, decimals=True)
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
