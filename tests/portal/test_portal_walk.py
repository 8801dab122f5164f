"""Every route of the app, asked by every person: nobody gets what the policy denies, or sees what is another's."""

import re

import pytest
from fastapi import APIRouter
from people import NAMES, People

from lending_pipelines.portal import app as app_module
from lending_pipelines.portal.app import create_app, route_actions
from lending_pipelines.portal.policy import allows
from lending_pipelines.portal.scope import Grant, Person, Scope
from lending_pipelines.register import Alerts, TapeConfigs
from lending_pipelines.register.accounts import ROLES
from lending_pipelines.register.actions import ACTIONS

ROLE = {"officer": "loan_officer", "customer": "user"}


NOTHING = "0" * 32
"""An id of nothing."""


def examples(book) -> dict[str, list[str]]:
    """Values of every parameter in a path: of the person's own things, of others', and of nothing."""
    with book.home.register() as session:
        alerts = {alert.subject_id: alert.alert_id for alert in Alerts(session).listed()}
        tapes = [config.config_id for config in TapeConfigs(session).all()]
    others = [each for each in alerts if each not in (*book.team, book.officer)]
    assert tapes
    assert others
    return {
        "link": [NOTHING],
        "digest": [NOTHING],
        "token_id": [NOTHING],
        "report_id": [NOTHING],
        "config_id": [*tapes, NOTHING],
        "name": ["nothing.css", "../portal.py"],
        "loan_id": [min(book.loans(person)) for person in ("manager", "officer", "investor", "customer")],
        "chart": ["balance", "aging", "score"],
        "level": ["all", "investor", "portfolio", NOTHING],
        "manager_id": [book.leader, book.officer, "unassigned", NOTHING],
        # Of the team leader, the officer and another manager.
        "alert_id": [*(alerts[each] for each in (book.leader, book.officer, others[0]) if each in alerts), NOTHING],
        "scope_id": ["*", book.investor, NOTHING],
        "report_type": ["loan_tape", "manager_performance", "trial_balance", "nothing"],
        "day": ["2025-02-28", "2025-03-14", "1999-01-01"],
        "file_name": ["consumer-monthly_2025-02-28.csv", "nothing"],
        "account_code": ["1100", "nothing"],
        "entry_id": [book.home.rows("journal_lines")[0]["entry_id"], "nothing"],
        "control": ["principal", "nothing"],
        "currency": ["EUR", "nothing"],
        "close_id": [NOTHING],
        "username": ["admin", "customer", "nothing"],
    }


def paths(path: str, values_of: dict[str, list[str]]) -> list[str]:
    """The path with the examples of its parameters."""
    found = [path]
    for match in re.findall(r"\{(\w+)(?::\w+)?\}", path):
        values = values_of[match]
        found = [re.sub(rf"\{{{match}(:\w+)?\}}", value, each) for each in found for value in values]
    return found


def test_every_route_names_an_action_of_the_policy(app):
    actions = dict(route_actions(app))
    assert len(actions) > 5
    assert [route for route, action in actions.items() if action is None] == []


def test_an_app_with_a_route_without_a_rule_is_not_made(portal_settings, monkeypatch):
    router = APIRouter()
    router.get("/leak")(lambda: {"all": "loans"})
    monkeypatch.setattr(app_module, "ROUTERS", (*app_module.ROUTERS, router))
    with pytest.raises(RuntimeError, match="routes without a rule: GET /leak"):
        create_app(portal_settings)


@pytest.mark.parametrize("action", [each for each in ACTIONS if each != "public"])
def test_nobody_may_do_anything_without_a_sign_in(action):
    assert not allows(Person("", "", "", tuple(Grant(role, Scope()) for role in ROLES)), action)
    assert not allows(Person("1", "x", "X", ()), action)


@pytest.mark.parametrize("name", NAMES)
def test_no_answer_has_what_the_policy_denies_or_what_is_anothers(app, people: People, book, name):
    browser = people.sign_in(name)
    person = Person("1", name, name, (Grant(ROLE.get(name, name), Scope()),))
    marks = book.marks_of_others(name)
    values_of = examples(book)
    asked = 0
    for route, action in route_actions(app):
        methods, path = route.split(" ", 1)
        if "GET" not in methods.split():
            continue
        for each in paths(path, values_of):
            answer = browser.get(each, follow_redirects=True)
            asked += 1
            expected = {403} if not allows(person, action) else {200, 404}
            assert answer.status_code in expected, (each, answer.status_code, answer.text[:500])
            leaked = {mark for mark in marks if mark in answer.text}
            assert leaked == set(), (name, each)
    assert asked > 5


def test_nobody_gets_the_sign_in_page_for_every_route_that_needs_one(app, people: People, book):
    browser = people.nobody()
    values_of = examples(book)
    for route, action in route_actions(app):
        methods, path = route.split(" ", 1)
        if action == "public" or "GET" not in methods.split():
            continue
        for each in paths(path, values_of):
            answer = browser.get(each)
            assert (answer.status_code, answer.headers.get("location", "")[:8]) in ((303, "/sign-in"), (401, "")), each
