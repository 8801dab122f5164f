"""What the policy decides, personal data that is shown and recorded, and which alerts a scope covers."""

from types import SimpleNamespace

import pytest
from fastapi import APIRouter, Depends, FastAPI
from people import People

from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.policy import Resource, decide
from lending_pipelines.portal.scope import Grant, Person, Scope
from lending_pipelines.portal.scoped_register import alert_is_covered
from lending_pipelines.register import AuditLog
from lending_pipelines.register.actions import ACTIONS


def person(*grants: Grant) -> Person:
    return Person("1", "erin", "Erin Holt", grants)


OFFICER = Grant("loan_officer", Scope(officers=frozenset(["S8"])))
INVESTOR = Grant("investor", Scope(investors=frozenset(["F"])))


def test_only_the_grants_that_allow_an_action_are_used():
    both = person(OFFICER, INVESTOR)
    assert decide(both, "tapes.read").grants == (INVESTOR,)
    assert decide(both, "alerts.act").grants == (OFFICER,)
    assert decide(both, "loans.read").grants == (OFFICER, INVESTOR)
    denied = decide(both, "people.edit")
    assert (denied.allowed, denied.grants) == (False, ())
    assert denied.reason == "the role loan officer, investor does not allow people.edit"


def test_an_auditor_changes_nothing():
    writes = {
        "alerts.act",
        "reports.request",
        "reports.schedule",
        "tapes.edit",
        "generate.run",
        "people.edit",
        "tokens.edit",
    }
    auditor = person(Grant("auditor", Scope()))
    assert {action for action in ACTIONS if not decide(auditor, action).allowed} == writes | {"account.read"}


def test_a_resource_is_allowed_within_the_scope_only():
    own, others = Resource("tape", "T1", investors="F"), Resource("tape", "T2", investors="G")
    nobodys = Resource("tape", "T3")
    assert decide(person(INVESTOR), "tapes.read", own).allowed
    assert decide(person(INVESTOR), "tapes.read", others).reason == "tape T2 is outside the scope of investor"
    assert not decide(person(INVESTOR), "tapes.read", nobodys).allowed
    assert decide(person(Grant("admin", Scope())), "tapes.read", nobodys).allowed


@pytest.mark.parametrize(
    ("kind", "subject", "scope", "covered"),
    [
        ("manager", "S8", Scope(officers=frozenset(["S8"])), True),
        ("officer", "S9", Scope(officers=frozenset(["S8"])), False),
        ("branch", "S8", Scope(officers=frozenset(["S8"])), False),
        ("portfolio", "P", Scope(portfolios=frozenset(["P"])), True),
        ("portfolio", "P", Scope(portfolios=frozenset(["P"]), branches=frozenset(["B"])), False),
        ("table", "transactions", Scope(officers=frozenset(["S8"])), False),
        ("table", "transactions", Scope(), True),
        ("all", "*", Scope(branches=frozenset(["B"])), False),
    ],
)
def test_an_alert_is_covered_as_sums_of_its_subject_are(kind, subject, scope, covered):
    alert = SimpleNamespace(subject_kind=kind, subject_id=subject)
    assert alert_is_covered(alert, [Grant("manager", scope)]) is covered


def borrowers(lake, shown):
    return lake.table("loans").select("loan_id", "borrower_id", "credit_score")


@pytest.fixture
def masked_app(app: FastAPI):
    """The app with a route that shows borrowers, masked or not."""
    router = APIRouter()

    @router.get("/test/borrowers")
    def listed(shown: bool, access: Access = Depends(require("loans.read"))) -> list[dict]:  # noqa: B008
        lake = access.lake_with_borrowers if shown else access.lake
        return [dict(row) for row in lake.rows(borrowers, shown)]

    before = list(app.router.routes)
    app.include_router(router)
    yield app
    app.router.routes[:] = before


@pytest.mark.parametrize("name", ["admin", "auditor", "manager", "officer"])
def test_personal_data_is_shown_to_who_asks_and_may_and_that_is_recorded(masked_app, people: People, portal_home, name):
    browser = people.sign_in(name)
    masked = browser.get("/test/borrowers", params={"shown": False}).json()
    assert masked
    assert {row["borrower_id"] for row in masked} == {row["credit_score"] for row in masked} == {None}
    assert None not in {row["borrower_id"] for row in browser.get("/test/borrowers", params={"shown": True}).json()}
    with portal_home.register() as session:
        (entry,) = AuditLog(session).recent(account=name, action="personal.show", limit=1)
    assert (entry.outcome, entry.resource) == ("allowed", "/test/borrowers")


def test_an_investor_is_never_shown_personal_data(masked_app, people: People, portal_home):
    browser = people.sign_in("investor")
    assert browser.get("/test/borrowers", params={"shown": True}).status_code == 403
    with portal_home.register() as session:
        (entry,) = AuditLog(session).recent(account="investor", action="personal.show", limit=1)
    assert entry.outcome == "denied"


def test_a_customer_sees_the_own_data(masked_app, people: People, book):
    rows = people.sign_in("customer").get("/test/borrowers", params={"shown": False}).json()
    assert {row["borrower_id"] for row in rows} == {book.customer}
