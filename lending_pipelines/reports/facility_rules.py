"""Reads the rules of a facility and prints them in a report. metrics/facility.py defines the rules.

This is not a report type.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pandas as pd
from pydantic import BaseModel, ValidationError

from lending_pipelines.bounds import Place, listed, parse_json, parse_toml, read_text, without_reported
from lending_pipelines.errors import LendingError, did_you_mean, first_of
from lending_pipelines.known_names import FIELDS_WITH_NAMES, KnownNames
from lending_pipelines.metrics.facility import ConcentrationLimit, Covenant, Eligibility, FacilityRules
from lending_pipelines.reports.book import ReportColumn, ReportTable

DEFAULT = "default"
"""The text that selects the default rules."""

_PARTS: dict[str, type[BaseModel]] = {
    "eligibility": Eligibility,
    "concentration_limits": ConcentrationLimit,
    "covenants": Covenant,
}
_COLUMNS = (
    ReportColumn("rule", "Rule", "text"),
    ReportColumn("value", "Value", "text"),
    ReportColumn("meaning", "Meaning", "text"),
)


def load(text: str) -> FacilityRules:
    """Load the rules from the text of a form field: default, the path of a TOML or JSON file, or JSON text.

    Raises:
        LendingError: A rule is unknown (the message lists similar names) or has an invalid value.
    """
    if text == DEFAULT:
        return FacilityRules()
    outside: dict[Place, str] = {}
    where, values = (
        ("rules", parse_json(text, "rules", decimals=True, outside=outside))
        if text.lstrip().startswith("{")
        else (text, _file(text, outside))
    )
    try:
        rules = FacilityRules.model_validate(values)
    except ValidationError as error:
        problems = error.errors()
        faults = [
            *map(_problem, problems),
            *listed(without_reported(outside, [problem["loc"] for problem in problems])),
        ]
        raise LendingError(f"{where}: {'; '.join(faults)}") from error
    if outside:
        raise LendingError(f"{where}: {'; '.join(listed(outside))}")
    return rules


def require_names(rules: FacilityRules, names: KnownNames) -> None:
    """Raise LendingError for products, branches, … in the rules that do not exist."""
    named: list[tuple[str, str, tuple[str, ...]]] = [
        ("eligibility.products", "product_id", rules.eligibility.products),
        ("eligibility.branches", "branch_id", rules.eligibility.branches),
    ]
    for number, limit in enumerate(rules.concentration_limits):
        if f"{limit.by}_id" in FIELDS_WITH_NAMES:
            named.append((f"concentration_limits[{number}].only", f"{limit.by}_id", limit.only))
    if faults := names.faults(named):
        raise LendingError(f"rules: {first_of(faults)}")


def table(rules: FacilityRules) -> ReportTable:
    """Every rule with its value and meaning, including rules without a limit."""
    return ReportTable("Rules", _COLUMNS, pd.DataFrame(_lines(rules), columns=[c.name for c in _COLUMNS]))


def value(of: Any) -> str:
    """A rule's value as printed."""
    match of:
        case None | () | {}:
            return "none"
        case bool():
            return "yes" if of else "no"
        case tuple():
            return ", ".join(of)
        case Mapping():
            return ", ".join(f"{name} {amount}" for name, amount in of.items())
        case _:
            return str(of)


def _lines(rules: FacilityRules) -> Iterator[tuple[str, str, str]]:
    """The name, value and meaning of every rule, as printed."""
    for name, field in FacilityRules.model_fields.items():
        if name not in _PARTS:
            yield name, value(getattr(rules, name)), field.description or ""
    for name, field in Eligibility.model_fields.items():
        yield f"eligibility.{name}", value(getattr(rules.eligibility, name)), field.description or ""
    for limit in rules.concentration_limits:
        only = f" for {value(limit.only)}" if limit.only else ""
        yield f"concentration by {limit.by}", value(limit.max_share), f"Share of eligible principal, at most{only}."
    for covenant in rules.covenants:
        bound = "max" if covenant.max is not None else "min"
        yield f"covenant {covenant.metric}", value(getattr(covenant, bound)), f"The {bound}imum that is not a breach."


def _file(text: str, outside: dict[Place, str]) -> Any:
    """The content of a rules file. Values outside of the bounds are added to `outside`."""
    path = Path(text)
    if path.suffix not in (".toml", ".json"):
        raise LendingError(f"rules {text!r}: write {DEFAULT}, the path of a .toml or .json file, or a JSON object")
    content = read_text(path, "rules file")
    if path.suffix == ".json":
        return parse_json(content, text, decimals=True, outside=outside)
    return parse_toml(content, f"rules file {text}", decimals=True, outside=outside)


def _problem(problem: Any) -> str:
    """The problem of one rule and the correction."""
    names = [part for part in problem["loc"] if isinstance(part, str)]
    rule = ".".join(names)
    part = _PARTS.get(names[0], FacilityRules) if len(names) > 1 else FacilityRules
    match problem["type"]:
        case "extra_forbidden":
            return f"unknown rule {rule}; {did_you_mean(names[-1], part.model_fields)}"
        case "literal_error":
            known = get_args(part.model_fields[names[-1]].annotation)
            return f"{rule} is {problem['input']!r}; {did_you_mean(str(problem['input']), known)}"
        case "missing":
            return f"{rule} is missing"
        case "value_error":
            return problem["msg"].removeprefix("Value error, ")
        case _:
            given = problem["input"]
            shown = given if isinstance(given, Decimal) else repr(given)
            return f"{rule or 'the content'} is {shown}: {problem['msg']}"
