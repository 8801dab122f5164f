"""Alert rules from TOML files: those of a lender, and the shipped ones."""

from collections.abc import Collection, Iterable, Mapping
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
    names: list[str] = []
    faults: list[str] = []
    for number, values in enumerate(given):
        path = f"{where}: rules[{number}]"
        if isinstance(values, Mapping) and isinstance(values.get("name"), str):
            path += f" {values['name']!r}"
            names.append(values["name"])
        try:
            rule = AlertRule.model_validate(values)
        except ValidationError as error:
            problems = error.errors()
            wrong = {str(name) for problem in problems for name in problem["loc"][:1]}
            found = [*map(problem_of, problems), *_other_faults(values, wrong)]
        else:
            found = rule_faults(rule, frozenset(values))
            rules.append(rule)
        faults += [f"{path}: {fault}" for fault in found]
    faults += [f"{where}: two rules are named {name!r}" for name in sorted({n for n in names if names.count(n) > 1})]
    if faults:
        raise AlertRuleError(*faults)
    return rules


def _other_faults(values: Any, wrong: Collection[str]) -> list[str]:
    """The faults of a rule in fields other than the wrong ones. Without a valid detector, they are not known."""
    if not isinstance(values, Mapping) or "detector" in wrong:
        return []
    given = {name: value for name, value in values.items() if name not in wrong}
    rule = AlertRule.model_validate({"name": "unnamed", **given})
    faults = rule_faults(rule, frozenset(given))
    return [fault for fault in faults if fault.partition(" ")[0].rstrip(":") not in wrong]


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
