"""The part of the lender that a role of a person covers, and the person. policy.py decides what a role may do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from lending_pipelines.register.account_models import Role

Ids = frozenset[str] | Literal["all"]
"""The ids that a scope covers in one dimension."""


@dataclass(frozen=True)
class Scope:
    """The part of the lender that a role covers: a loan is in it if each dimension covers the loan's id.

    `officers` are staff_ids of loan officers and team leaders. `borrower` is the borrower_id of a customer.
    """

    branches: Ids = "all"
    officers: Ids = "all"
    portfolios: Ids = "all"
    investors: Ids = "all"
    borrower: Ids = "all"

    @property
    def restricted(self) -> tuple[str, ...]:
        """The dimensions that do not cover everything, in a fixed order."""
        return tuple(name for name in DIMENSIONS if getattr(self, name) != "all")

    def narrowed(self, limits: Mapping[str, Any]) -> "Scope":
        """The part of the scope that is within the limits of a token: lists of ids by dimension."""
        within = {name: frozenset(limits[name]) for name in DIMENSIONS if name in limits}
        own = {name: getattr(self, name) for name in within}
        return replace(self, **{name: ids if own[name] == "all" else own[name] & ids for name, ids in within.items()})

    def as_json(self) -> dict[str, Any]:
        """The restricted dimensions with their ids, for the audit log and the covers of exports."""
        return {name: sorted(getattr(self, name)) for name in self.restricted}


DIMENSIONS = ("branches", "officers", "portfolios", "investors", "borrower")
"""The fields of Scope."""


@dataclass(frozen=True)
class Grant:
    """A role of a person with its scope."""

    role: Role
    scope: Scope


@dataclass(frozen=True)
class Person:
    """The signed-in person and their current grants. `account_id` is empty for nobody.

    `actions` are those of a token that is limited to them; None: all that the roles allow.
    """

    account_id: str
    username: str
    name: str
    grants: tuple[Grant, ...]
    email: str | None = None
    actions: frozenset[str] | None = None

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles."""
        return tuple(grant.role for grant in self.grants)

    @property
    def role(self) -> str:
        """The roles in words, for the page's head."""
        return ", ".join(role.replace("_", " ") for role in self.roles)

    @property
    def initials(self) -> str:
        """One or two letters of the name."""
        words = self.name.split()
        return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()


NOBODY = Person("", "", "", ())
"""The person of a request without a sign-in."""


def resolved(role: Role, scope: dict[str, Any], team: Callable[[str], frozenset[str]]) -> Scope:
    """The scope of a role as it is stored (register/accounts.py), with the manager's current team from `team`.

    If a role must be restricted and the stored scope lacks the restriction, it covers nothing.
    """
    lists: dict[str, Ids] = {
        name: frozenset(scope[name]) for name in ("branches", "officers", "portfolios", "investors") if name in scope
    }
    match role:
        case "manager":
            lists["officers"] = team(scope["manager"]) if "manager" in scope else frozenset()
        case "loan_officer":
            lists["officers"] = frozenset([scope["officer"]]) if "officer" in scope else frozenset()
        case "investor":
            lists.setdefault("investors", frozenset())
        case "user":
            lists["borrower"] = frozenset([scope["borrower"]]) if "borrower" in scope else frozenset()
    return Scope(**lists)
