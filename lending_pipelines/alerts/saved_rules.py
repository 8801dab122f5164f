"""The rules in the register: saving, reading, and checking the names that they use."""

from collections.abc import Iterable, Sequence

from sqlalchemy.orm import Session

from lending_pipelines.alerts.rule_faults import AlertRuleError, where_faults
from lending_pipelines.alerts.rule_files import default_rules
from lending_pipelines.alerts.rules import AlertRule
from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import did_you_mean
from lending_pipelines.known_names import FIELDS_WITH_NAMES, KnownNames
from lending_pipelines.metrics.managers import UNASSIGNED
from lending_pipelines.register import AlertRules, Investors, Portfolios, TapeConfigs

NAMED_FIELDS = {
    "manager": "manager_id",
    "branch": "branch_id",
    "program": "program_id",
    "product": "product_id",
}
"""For each of these scopes, the field of the servicing tables that has the ids of its subjects."""


def save_rules(session: Session, rules: Iterable[AlertRule]) -> tuple[int, int]:
    """Save rules by name. Returns how many were added and how many changed."""
    return AlertRules(session).save((_columns(rule), rule.settings()) for rule in rules)


def saved_rules(session: Session) -> dict[str, AlertRule]:
    """The rules of the register by rule_id. A register that never had rules gets the shipped ones."""
    if not AlertRules(session).all():
        save_rules(session, default_rules())
    return {row.rule_id: AlertRule.model_validate(row.settings) for row in AlertRules(session).all()}


def named_fields(rules: Iterable[AlertRule]) -> list[str]:
    """The fields of servicing tables whose names the rules use."""
    scopes = {NAMED_FIELDS[rule.scope] for rule in rules if rule.subjects and rule.scope in NAMED_FIELDS}
    return sorted(scopes.union(name for rule in rules for name in rule.where if name in FIELDS_WITH_NAMES))


def require_names(session: Session, rules: Sequence[AlertRule], names: KnownNames, conventions: Conventions) -> None:
    """Raise AlertRuleError that lists all subjects and values that rules name and that do not exist.

    Args:
        session: A session of the register, which has the portfolios, investors and tapes.
        rules: Valid rules.
        names: The names of the servicing tables.
        conventions: They define the delinquency buckets.
    """
    registered = {
        "portfolio": {each.portfolio_id: each.name for each in Portfolios(session).all()},
        "investor": {each.investor_id: each.name for each in Investors(session).all()},
        "tape": {each.name: each.name for each in TapeConfigs(session).all()},
    }
    faults: list[str] = []
    for rule in rules:
        path = f"rule {rule.name!r}: subjects"
        if rule.scope in NAMED_FIELDS:
            # Loans without an officer belong to the manager `unassigned`, who is in no servicing table.
            written = [each for each in rule.subjects if rule.scope != "manager" or each != UNASSIGNED]
            faults += names.faults([(path, NAMED_FIELDS[rule.scope], written)])
        faults += [f"rule {rule.name!r}: {fault}" for fault in where_faults(rule, conventions)]
        named = [(name, value) for name, value in rule.where.items() if name in FIELDS_WITH_NAMES]
        faults += names.faults((f"rule {rule.name!r}: where", name, [value]) for name, value in named)
        kind = "tape" if rule.detector == "tape_late" else rule.scope
        if kind in registered:
            faults += [
                f"{path}: there is no {kind} {given!r}{_near(given, registered[kind])}"
                for given in rule.subjects
                if given not in registered[kind]
            ]
        if kind == "all" and rule.subjects:
            faults.append(f"{path}: scope all has no subjects; write a scope such as branch")
    if faults:
        raise AlertRuleError(*faults)


def _near(given: str, known: dict[str, str]) -> str:
    """The end of a message about an unknown id: the id of the thing with this name, or similar ids."""
    by_name = {name: identity for identity, name in known.items()}
    if given in by_name:
        return f": that is the name of {by_name[given]!r}, write the id"
    return f"; {did_you_mean(given, known)}"


def _columns(rule: AlertRule) -> dict[str, object]:
    plain = (
        "name",
        "detector",
        "metric",
        "scope",
        "operator",
        "severity",
        "minimum",
        "window_days",
        "message",
        "active",
    )
    limit = None if rule.threshold is None else format(rule.limit, "f")
    return {**{name: getattr(rule, name) for name in plain}, "threshold": limit}
