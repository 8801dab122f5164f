"""Who may do what, in one place: (person, action, resource) is allowed or denied, with a reason. The default is denied.

The actions are in register/actions.py; each route names its own (access.py). Which rows of a table a role sees is in
table_rules.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from lending_pipelines.portal.scope import Grant, Person
from lending_pipelines.register.account_models import Role
from lending_pipelines.register.actions import Action

_EVERYONE: frozenset[Role] = frozenset(get_args(Role))
_STAFF: frozenset[Role] = frozenset(("admin", "auditor", "controller", "manager", "loan_officer"))
_LENDER: frozenset[Role] = frozenset(("admin", "auditor", "controller"))
_WRITERS: frozenset[Role] = frozenset(("admin", "controller"))

_ALLOWED: Mapping[Action, frozenset[Role]] = {
    "home.open": _EVERYONE,
    "today.read": _STAFF | {"investor"},
    "portfolios.read": _LENDER | {"investor"},
    "loans.read": _EVERYONE,
    "managers.read": _STAFF,
    "alerts.read": _STAFF,
    "alerts.act": _STAFF - {"auditor"},
    "reports.read": _LENDER | {"manager"},
    "reports.request": _WRITERS | {"manager"},
    "reports.schedule": _WRITERS,
    "tapes.read": _LENDER | {"investor"},
    "tapes.edit": _WRITERS,
    "ledger.read": _LENDER,
    "data_health.read": _LENDER,
    "platform.read": frozenset(("admin", "auditor")),
    "account.read": frozenset(("user",)),
    "generate.run": frozenset(("admin",)),
    "people.read": frozenset(("admin", "auditor")),
    "people.edit": frozenset(("admin",)),
    "tokens.edit": frozenset(("admin",)),
    "search.use": _EVERYONE,
    "export.download": _EVERYONE,
    "personal.show": _STAFF | {"user"},
    "self.edit": _EVERYONE,
}
"""The roles that may do each action. An action that is not here is denied to everybody, except `public`."""

SEES_STAFF = _STAFF
"""The roles that see the ids and names of the lender's staff."""


@dataclass(frozen=True)
class Resource:
    """What an action is about, if no rows of a table decide it: the kind, its id, and the ids of its owners."""

    kind: str
    resource_id: str
    branches: str | None = None
    officers: str | None = None
    portfolios: str | None = None
    investors: str | None = None
    borrower: str | None = None

    def within(self, grant: Grant) -> bool:
        """Whether the scope of a grant covers it: it has a covered owner in every restricted dimension."""
        return all(getattr(self, name) in getattr(grant.scope, name) for name in grant.scope.restricted)


@dataclass(frozen=True)
class Decision:
    """The answer: the grants by which it is allowed, or none; and why."""

    grants: tuple[Grant, ...]
    allowed: bool
    reason: str


def decide(person: Person, action: Action, resource: Resource | None = None) -> Decision:
    """Whether the person may do the action, on the resource if one is given."""
    if action == "public":
        return Decision(person.grants, True, "it needs no sign-in")
    if not person.account_id:
        return Decision((), False, "nobody is signed in")
    if person.actions is not None and action not in person.actions:
        return Decision((), False, f"the token does not allow {action}")
    roles = _ALLOWED.get(action, frozenset())
    grants = tuple(grant for grant in person.grants if grant.role in roles)
    if not grants:
        return Decision((), False, f"the role {person.role or 'none'} does not allow {action}")
    if resource is not None:
        grants = tuple(grant for grant in grants if resource.within(grant))
        if not grants:
            return Decision((), False, f"{resource.kind} {resource.resource_id} is outside the scope of {person.role}")
    return Decision(grants, True, f"the role {', '.join(grant.role for grant in grants)} allows {action}")


def allows(person: Person, action: Action) -> bool:
    """Whether the person may do the action at all, for navigation and buttons."""
    return decide(person, action).allowed
