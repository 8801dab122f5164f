"""Every route of the app, requested by every person: nobody gets what the policy denies, or sees rows of others.

The texts of the servicing tables are hostile, and each has the mark of its owner (planted.py).
"""

import csv
import hashlib
import re
import shutil
from collections.abc import Iterator
from datetime import date
from html import unescape
from io import BytesIO, StringIO

import openpyxl
import pytest
from anyio.from_thread import BlockingPortal
from deliveries import deliver, file_of
from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts
from homes import LAST, MONTHLY_TAPE, YEARLY_TAPE, Home
from people import NAMES, Book, People, book_of
from planted import foreign_marks, marks_in, plant

from lending_pipelines.portal import app as app_module
from lending_pipelines.portal.app import create_app, route_actions
from lending_pipelines.portal.policy import allows
from lending_pipelines.portal.scope import Grant, Person, Scope
from lending_pipelines.register import Alerts, TapeConfigs, TapeDeliveries
from lending_pipelines.register.accounts import ROLES
from lending_pipelines.register.actions import ACTIONS
from lending_pipelines.settings import Settings

ROLE = {"officer": "loan_officer", "customer": "user"}


MONTH_END = date(2025, 2, 28)

NOTHING = "0" * 32
"""An id of nothing."""


@pytest.fixture(scope="module")
def planted_home(portal_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("planted") / "home")
    shutil.copytree(portal_home.folder, home.folder)
    plant(home)
    for name, slug, day in ((MONTHLY_TAPE, "consumer-monthly", MONTH_END), (YEARLY_TAPE, "fund-yearly", LAST)):
        with home.register() as session:
            config_id = next(each.config_id for each in TapeConfigs(session).all() if each.name == name)
        deliver(home, config_id, day, hashlib.sha256(file_of(home, slug, day).read_bytes()).hexdigest(), 20)
    return home


@pytest.fixture(scope="module")
def book(planted_home: Home) -> Book:
    return book_of(planted_home)


@pytest.fixture(scope="module")
def app(planted_home: Home) -> Iterator[FastAPI]:
    app = create_app(Settings.from_environment({"LENDING_HOME": str(planted_home.folder)}))
    yield app
    app.state.portal.close()


@pytest.fixture
def people(app: FastAPI, event_loop: BlockingPortal) -> Iterator[People]:
    people = People(app, event_loop)
    yield people
    people.leave()


def check_answer(answer, book: Book, name: str, marks: set[str], where: str) -> None:
    """Nothing in an answer is another's, and hostile text is text."""
    text = answer.text
    assert {mark for mark in marks if mark in text} == set(), (name, where)
    assert foreign_marks(unescape(text), book, name) == set(), (name, where)
    kind = answer.headers.get("content-type", "")
    if "html" in kind:
        assert "<img src=x" not in text, where
        assert "<script>alert" not in text, where
    elif "csv" in kind:
        rows = csv.reader(StringIO(text))
        assert [cell for row in rows for cell in row if cell[:1] in ("=", "+", "@", "\t")] == [], where


def parameters_of(app: FastAPI) -> dict[str, set[str]]:
    """The names of the query parameters of every route, by its path."""
    found: dict[str, set[str]] = {}
    for route in iter_route_contexts(app.routes):
        names = found.setdefault(route.path, set())
        for each in getattr(getattr(route, "dependant", None), "query_params", ()):
            model = getattr(each.field_info.annotation, "model_fields", None)
            names |= set(model) if model else {each.alias}
    return found


def foreign_values(book: Book, name: str) -> dict[str, list[str]]:
    """Values of query parameters: ids of rows of others, formats and views."""
    others = [row for row in book.last if not book.owns(name, row)]
    row = others[0]
    return {
        "loan_id": [row["loan_id"]],
        "q": [row["loan_id"], "s0"],
        "borrower_id": [row["borrower_id"]],
        "branch": [row["branch_id"]],
        "branch_id": [row["branch_id"]],
        "officer": [row["officer_id"] or "none"],
        "officer_id": [row["officer_id"] or "none"],
        "manager_id": [row["officer_id"] or "none"],
        "portfolio": [next(each["portfolio_id"] for each in book.last if each["portfolio_id"])],
        "investor": [book.investor],
        "scope": ["all", "branch"],
        "scope_id": ["*", row["branch_id"]],
        "level": ["branch"],
        "format": ["csv", "arrow", "xlsx"],
        "personal": ["true"],
        "tab": ["payments", "changes", "tapes", "known", "history"],
        "limit": ["1000"],
    }


@pytest.fixture(scope="module")
def values_of(book: Book) -> dict[str, list[str]]:
    """Values of every parameter in a path: of the person's own things, of others', and of nothing."""
    with book.home.register() as session:
        alerts = {alert.subject_id: alert.alert_id for alert in Alerts(session).listed()}
        tapes = [config.config_id for config in TapeConfigs(session).all()]
        delivered = [each.delivery_id for each in TapeDeliveries(session).all()]
    others = [each for each in alerts if each not in (*book.team, book.officer)]
    assert tapes
    assert delivered
    assert others
    return {
        "link": [NOTHING],
        "digest": [NOTHING],
        "token_id": [NOTHING],
        "report_id": [NOTHING],
        "delivery_id": [*delivered, NOTHING],
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
def test_no_answer_has_what_the_policy_denies_or_what_is_anothers(app, people: People, book, values_of, name):
    browser = people.sign_in(name)
    person = Person("1", name, name, (Grant(ROLE.get(name, name), Scope()),))
    marks = book.marks_of_others(name)
    asked, seen = 0, set()
    for route, action in route_actions(app):
        methods, path = route.split(" ", 1)
        if "GET" not in methods.split():
            continue
        for each in paths(path, values_of):
            answer = browser.get(each, follow_redirects=True)
            asked += 1
            expected = {403} if not allows(person, action) else {200, 404}
            assert answer.status_code in expected, (each, answer.status_code, answer.text[:500])
            check_answer(answer, book, name, marks, each)
            seen |= {kind for kind, _ in marks_in(unescape(answer.text))}
    assert asked > 5
    # The marks are shown, where they are the person's own.
    assert seen >= ({"loan", "everybody"} if name != "investor" else {"everybody", "investor"})


def test_nobody_gets_the_sign_in_page_for_every_route_that_needs_one(app, people: People, values_of):
    browser = people.nobody()
    for route, action in route_actions(app):
        methods, path = route.split(" ", 1)
        if action == "public" or "GET" not in methods.split():
            continue
        for each in paths(path, values_of):
            answer = browser.get(each)
            assert (answer.status_code, answer.headers.get("location", "")[:8]) in ((303, "/sign-in"), (401, "")), each


@pytest.mark.parametrize("name", ["manager", "investor"])
def test_no_parameter_shows_what_is_anothers(app, people: People, book, values_of, name):
    browser = people.sign_in(name)
    values, known, marks = foreign_values(book, name), parameters_of(app), book.marks_of_others(name)
    first_of = {key: each[:1] for key, each in values_of.items()}
    asked = 0
    for route, _ in route_actions(app):
        methods, path = route.split(" ", 1)
        if "GET" not in methods.split():
            continue
        own = paths(path, first_of)[0]
        for parameter in sorted(known.get(path, set()) & set(values)):
            for value in values[parameter]:
                app.state.portal.limits.reset()
                answer = browser.get(own, params={parameter: value}, follow_redirects=True)
                assert answer.status_code < 500, (own, parameter, value)
                # The page says again what was asked for.
                said = {value, value.lower()} if answer.status_code in (200, 400, 404, 422) else set()
                check_answer(answer, book, name, marks - said, f"{own}?{parameter}={value}")
                asked += 1
    assert asked > 50


def test_cursors_and_etags_of_another_person_show_nothing_of_theirs(people: People, book):
    admin = people.sign_in("admin")
    found = {}
    for path in ("/api/v1/positions?limit=5", "/api/v1/managers?limit=5", "/api/v1/snapshots?limit=5"):
        answer = admin.get(path)
        found[path] = (answer.json()["next"], answer.headers["etag"])
    for name in ("manager", "officer", "investor", "customer"):
        browser, marks = people.sign_in(name), book.marks_of_others(name)
        for path, (cursor, etag) in found.items():
            answer = browser.get(path, params={"cursor": cursor})
            check_answer(answer, book, name, marks, path)
            # An answer that has not changed would say that it is the same as the admin's.
            assert browser.get(path, headers={"if-none-match": etag}).status_code in (200, 403)


def test_hostile_texts_are_text_in_a_workbook(people: People, app):
    app.state.portal.limits.reset()
    answer = people.sign_in("admin").get("/managers/export", params={"format": "xlsx"})
    assert answer.status_code == 200
    book = openpyxl.load_workbook(BytesIO(answer.content))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if "planted" in str(cell.value)]
    assert cells
    assert {cell.data_type for cell in cells} == {"s"}
