"""The form of an account's roles: a box for each role, with fields for the ids of its scope."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lending_pipelines.errors import did_you_mean
from lending_pipelines.portal.views.report_form import ids_named, suggestions
from lending_pipelines.portal.web.template_functions import words
from lending_pipelines.register.accounts import LISTS, ROLES, SCOPE_KEYS, RoleGiven
from lending_pipelines.register.database import RegisterError

KINDS = {
    "branches": "branch",
    "officers": "member of staff",
    "portfolios": "portfolio",
    "investors": "investor",
    "manager": "team leader",
    "officer": "loan officer",
    "borrower": "borrower",
}
"""What each key of a scope names."""

ABOUT = {
    "admin": "Everything, and the accounts.",
    "auditor": "Reads everything, changes nothing.",
    "controller": "Reads everything but the platform; acts on alerts, requests reports, edits tapes.",
    "manager": "The own loans and those of the team.",
    "loan_officer": "The own loans.",
    "investor": "The loans that the investor owns, without personal data; the own tapes.",
    "user": "A customer: the own loans, wallets and tickets.",
}
"""What each role is for, in a line."""


@dataclass(frozen=True)
class ScopeField:
    """A field with the ids of a role's scope."""

    name: str
    label: str
    value: str
    required: bool
    options: Sequence[str]
    error: str | None


@dataclass(frozen=True)
class RoleBox:
    """A role as the form shows it."""

    role: str
    title: str
    about: str
    given: bool
    fields: Sequence[ScopeField]
    error: str | None


Known = Mapping[str, Mapping[str, str]]
"""By key of a scope, the names of the ids that there are. `borrower` is not listed: there are too many."""


def sent_of(roles: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, str]:
    """The roles of an account as the form sends them."""
    sent = {}
    for role, scope in roles:
        sent[f"role-{role}"] = "true"
        for key, value in scope.items():
            sent[f"{role}-{key}"] = ", ".join(value) if isinstance(value, list) else value
    return sent


def boxes(sent: Mapping[str, str], known: Known, faults: Mapping[str, str]) -> list[RoleBox]:
    """The boxes of all roles, with the values that were sent."""
    found = []
    for role in ROLES:
        required, optional = SCOPE_KEYS[role]
        fields = [
            ScopeField(
                f"{role}-{key}",
                words(key),
                sent.get(f"{role}-{key}", ""),
                key in required,
                suggestions(known.get(_listed_in(key), {})) if key not in LISTS else (),
                faults.get(f"{role}-{key}"),
            )
            for key in (*required, *optional)
        ]
        given = sent.get(f"role-{role}") == "true"
        found.append(RoleBox(role, words(role), ABOUT[role], given, fields, faults.get(f"role-{role}")))
    return found


def roles_from(
    sent: Mapping[str, str], known: Known, has_borrower: Callable[[str], bool]
) -> tuple[list[RoleGiven], dict[str, str]]:
    """The roles of a posted form with names replaced by ids, and its faults by field."""
    given: list[RoleGiven] = []
    faults: dict[str, str] = {}
    for role in ROLES:
        if sent.get(f"role-{role}") != "true":
            continue
        scope: dict[str, Any] = {}
        for key in (*SCOPE_KEYS[role][0], *SCOPE_KEYS[role][1]):
            texts = [part.strip() for part in sent.get(f"{role}-{key}", "").split(",") if part.strip()]
            ids = [_id(f"{role}-{key}", key, text, known, has_borrower, faults) for text in texts]
            if key in LISTS and ids:
                scope[key] = ids
            elif len(ids) == 1:
                scope[key] = ids[0]
            elif ids:
                faults[f"{role}-{key}"] = f"name one {KINDS[key]}"
        try:
            given.append(RoleGiven.checked(role, scope))
        except RegisterError as error:
            missing = next((key for key in SCOPE_KEYS[role][0] if key not in scope), None)
            field = f"{role}-{missing}" if missing else f"role-{role}"
            faults.setdefault(field, f"name the {KINDS[missing]}" if missing else str(error))
    if not given and not faults:
        faults["role-admin"] = "give the account at least one role"
    return given, faults


def _id(
    field: str, key: str, text: str, known: Known, has_borrower: Callable[[str], bool], faults: dict[str, str]
) -> str:
    """The id that a text names; a fault, and the text, if it does not name one."""
    if key == "borrower":
        if not has_borrower(text):
            faults[field] = f"there is no borrower {text!r}"
        return text
    names = known.get(_listed_in(key), {})
    ids = ids_named(text, names)
    if len(ids) == 1:
        return ids[0]
    if ids:
        faults[field] = f"{text!r} is not unique: write one of the ids {', '.join(ids)}"
    else:
        faults[field] = f"there is no {KINDS[key]} {text!r}; {did_you_mean(text, {*names, *names.values()} - {''})}"
    return text


def _listed_in(key: str) -> str:
    return "officers" if key in ("manager", "officer") else key
