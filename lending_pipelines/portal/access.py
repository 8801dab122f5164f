"""The dependency by which a route names its action. It gives the route the person, if allowed, and their lake.

    Reader = Annotated[Access, Depends(require("loans.read"))]

    @router.get("/loans")
    def loans(request: Request, access: Reader) -> HTMLResponse: ...

create_app fails if a route does not have it.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fastapi import Request
from sqlalchemy.orm import Session

from lending_pipelines.portal.auth.access_tokens import TokenRefused
from lending_pipelines.portal.auth.bearer import account_of, bearer_token
from lending_pipelines.portal.auth.rate_limits import EXPORTS
from lending_pipelines.portal.auth.security import address
from lending_pipelines.portal.lake.scoped_lake import ScopedLake
from lending_pipelines.portal.lake.snapshots import Snapshot
from lending_pipelines.portal.lake.table_rules import Shown
from lending_pipelines.portal.policy import SEES_STAFF, Action, Resource, decide
from lending_pipelines.portal.scope import NOBODY, Grant, Person, Scope, resolved
from lending_pipelines.portal.web.pages import is_api
from lending_pipelines.register.audit_log import AuditLog
from lending_pipelines.register.sessions import Sessions, SignedIn, signed_in
from lending_pipelines.register.types import utc_now

if TYPE_CHECKING:
    from lending_pipelines.portal.portal import Portal

LOOPBACK = ("127.0.0.1", "::1", "localhost", "testserver")


class NotSignedIn(Exception):
    """The action needs a sign-in; the message says what is wrong with a token, if one was sent."""


class Denied(Exception):
    """The person may not do the action; the message is the reason."""


@dataclass
class Access:
    """What a route may use: the person, the grants that allow the action, the lake as they see it, and the register."""

    portal: "Portal"
    request: Request
    person: Person
    action: Action
    grants: tuple[Grant, ...]
    lake: ScopedLake

    @property
    def lender_wide(self) -> bool:
        """Whether any grant has no limits. Only then are texts about the complete lender shown, such as failures."""
        return any(not grant.scope.restricted for grant in self.grants)

    def check(self, resource: Resource) -> None:
        """Raise Denied unless the action is allowed on the resource."""
        decision = decide(self.person, self.action, resource)
        if not decision.allowed:
            self.audit("denied", resource=f"{resource.kind} {resource.resource_id}", reason=decision.reason)
            raise Denied(decision.reason)

    def may(self, action: Action) -> bool:
        """Whether the person may do another action, for buttons and links."""
        return decide(self.person, action).allowed

    def require(self, action: Action) -> None:
        """Raise Denied unless another action, which the request needs too, is allowed."""
        decision = decide(self.person, action)
        if not decision.allowed:
            self.audit("denied", action=action, reason=decision.reason)
            raise Denied(decision.reason)

    def for_action(self, action: Action) -> "Access | None":
        """The access for another action, for a page with parts that need several; None if the person may not do it."""
        grants = decide(self.person, action).grants
        if not grants:
            return None
        lake = self.lake.seen_by(_scopes(grants), _shown(grants))
        return replace(self, action=action, grants=grants, lake=lake)

    @cached_property
    def lake_with_borrowers(self) -> ScopedLake:
        """The lake with the personal data of borrowers. Its use is recorded. Raises Denied when the role forbids it."""
        decision = decide(self.person, "personal.show")
        # The columns are shown in the rows of all grants, so every grant has to allow it.
        if not set(self.grants) <= set(decision.grants):
            self.audit("denied", action="personal.show", reason=decision.reason)
            raise Denied(f"personal data of borrowers: {decision.reason}")
        self.audit("allowed", action="personal.show", resource=str(self.request.url.path))
        return self.lake.with_borrowers_shown()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that only reads the register, without locks. Its rows are not scoped: filter by `grants`."""
        with self.portal.register.reading_session() as session:
            yield session

    @contextmanager
    def register(self) -> Iterator[Session]:
        """A session that changes the register, in one transaction. Keep it short: in SQLite others wait for it."""
        with self.portal.register.session() as session:
            yield session

    def count_export(self) -> None:
        """Count a download of this account and address. Raises Denied or TooOften."""
        self.require("export.download")
        self.portal.limits.hit(EXPORTS, "downloads", "account", self.person.username)
        self.portal.limits.hit(EXPORTS, "downloads", "address", address(self.request))

    def audit(
        self,
        outcome: Any,
        *,
        action: str = "",
        resource: str = "",
        reason: str = "",
        rows: int | None = None,
        sha256: str | None = None,
        session: Session | None = None,
    ) -> None:
        """Add an entry to the audit log, with the scope by which the action is allowed.

        With the `session` of a change, the change and the entry are in one transaction: both are saved, or neither.
        """
        with nullcontext(session) if session else self.register() as writing:
            AuditLog(writing).add(
                self.person.username or "nobody",
                action or self.action,
                outcome,
                address=address(self.request),
                resource=resource or self.request.url.path,
                reason=reason,
                scope=[{"role": grant.role, **grant.scope.as_json()} for grant in self.grants],
                rows=rows,
                sha256=sha256,
            )


@dataclass(frozen=True)
class Require:
    """The dependency of a route."""

    action: Action

    def __call__(self, request: Request) -> Iterator[Access]:
        """Resolve the person and decide. Raises NotSignedIn or Denied."""
        portal: Portal = request.app.state.portal
        with portal.snapshots.current() as snapshot:
            refused = ""
            try:
                person = _person(request, portal, snapshot)
            except TokenRefused as error:
                person, refused = NOBODY, str(error)
            request.state.person = person
            decision = decide(person, self.action)
            if not decision.allowed and not person.account_id:
                raise NotSignedIn(refused)
            grants = decision.grants
            lake = ScopedLake(portal.snapshots, snapshot, portal.results, _scopes(grants), _shown(grants))
            access = Access(portal, request, person, self.action, grants, lake)
            if not decision.allowed:
                access.audit("denied", reason=decision.reason)
                raise Denied(decision.reason)
            yield access


def _scopes(grants: tuple[Grant, ...]) -> tuple[Scope, ...]:
    return tuple(grant.scope for grant in grants)


def _shown(grants: tuple[Grant, ...]) -> Shown:
    """The personal columns that all grants show. The role user sees borrowers' data, because it is only their own."""
    return Shown(
        staff=bool(grants) and all(grant.role in SEES_STAFF for grant in grants),
        borrowers=bool(grants) and all(grant.role == "user" for grant in grants),
    )


def require(action: Action) -> Require:
    """The dependency that allows a route only to people who may do the action."""
    return Require(action)


def cookie_name(request: Request) -> str:
    """The name of the session's cookie. With the prefix __Host-, browsers reject a cookie that another host sets."""
    return "__Host-lending" if is_secure(request) else "lending"


def is_secure(request: Request) -> bool:
    """Whether cookies are sent by https only: always, except for plain http on this machine."""
    return request.url.scheme == "https" or request.url.hostname not in LOOPBACK


def _person(request: Request, portal: "Portal", snapshot: Snapshot) -> Person:
    """The person who sends the request: the owner of the token or session, with their current roles and scopes."""
    if is_api(request) and (token := bearer_token(request)):
        return person_of(account_of(portal, token), portal, snapshot)
    cookie = request.cookies.get(cookie_name(request))
    if not cookie:
        return NOBODY
    with portal.register.reading() as connection:
        found = signed_in(connection, cookie, utc_now())
    if found is None:
        return NOBODY
    if found.seen_long_ago:
        with portal.register.session() as session:
            Sessions(session).touch(cookie)
    return person_of(found, portal, snapshot)


def person_of(found: SignedIn, portal: "Portal", snapshot: Snapshot) -> Person:
    """The person of an account. A manager has the team that the lake has now."""
    limits = found.token_scope or {}
    grants = tuple(
        Grant(role, resolved(role, scope, lambda manager: _team(portal, snapshot, manager)).narrowed(limits))
        for role, scope in found.roles
    )
    actions = frozenset(limits["actions"]) if "actions" in limits else None
    return Person(found.account_id, found.username, found.name, grants, found.email, actions)


def _team(portal: "Portal", snapshot: Snapshot, manager: str) -> frozenset[str]:
    """The manager and the loan officers whom the manager leads."""
    if "staff" not in snapshot.tables:
        return frozenset([manager])
    with portal.snapshots.cursor(snapshot) as cursor:
        led = cursor.execute("SELECT staff_id FROM staff WHERE team_leader_id = ?", [manager]).fetchall()
    return frozenset([manager, *(staff_id for (staff_id,) in led)])
