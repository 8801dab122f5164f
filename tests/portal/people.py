"""People of every role in a closed home, and the rows that each may see, computed without the portal."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from anyio.from_thread import BlockingPortal
from fastapi import FastAPI
from fastapi.testclient import TestClient
from homes import LAST, Home

PASSWORD = "a sentence that nobody guesses"
NAMES = ("admin", "auditor", "controller", "manager", "officer", "investor", "customer")


@dataclass(frozen=True)
class Book:
    """The home's rows, and who the people are: `leader` leads a team, `officer` is a loan officer outside of it."""

    home: Home
    leader: str
    team: frozenset[str]
    officer: str
    investor: str
    customer: str

    @cached_property
    def positions(self) -> list[dict[str, Any]]:
        return self.home.rows("loan_positions")

    @cached_property
    def last(self) -> list[dict[str, Any]]:
        """The positions of the last closed day."""
        return [row for row in self.positions if row["business_date"] == LAST]

    @cached_property
    def own(self) -> dict[str, list[dict[str, Any]]]:
        """The positions of each person on all days."""
        return {name: [row for row in self.positions if self.owns(name, row)] for name in NAMES}

    @cached_property
    def users(self) -> list[dict[str, Any]]:
        return self.home.rows("users")

    @cached_property
    def _marked(self) -> dict[str, list[dict[str, Any]]]:
        """The rows of loans, borrowers and staff, whose ids and names show whose they are."""
        return {name: self.home.rows(name) for name in ("loans", "borrowers", "staff")}

    def owns(self, person: str, row: dict[str, Any]) -> bool:
        """Whether a position is the person's by the columns of its day."""
        return {
            "manager": row["officer_id"] in self.team,
            "officer": row["officer_id"] == self.officer,
            "investor": row["investor_id"] == self.investor,
            "customer": row["borrower_id"] == self.customer,
        }.get(person, True)

    def loans(self, person: str) -> set[str]:
        """The loans that are the person's on some closed day."""
        return {row["loan_id"] for row in self.own[person]}

    def marks_of_others(self, person: str) -> set[str]:
        """What must not be in any answer to the person: ids and names of loans, borrowers and staff of others."""
        if person in ("admin", "auditor", "controller"):
            return set()
        own = self.own[person]
        marks = {row["loan_id"] for row in self._marked["loans"]} - {row["loan_id"] for row in own}
        borrowers = {row["borrower_id"] for row in self._marked["borrowers"]}
        marks |= borrowers - ({self.customer} if person == "customer" else {row["borrower_id"] for row in own})
        if person == "investor":
            # No personal data of borrowers, of the own loans neither.
            marks |= borrowers
        colleagues = {"manager": self.team, "officer": {self.officer}}.get(person, set())
        staff = self._marked["staff"]
        # Some of the staff have the same name.
        names = {row["full_name"] for row in staff if row["staff_id"] in colleagues}
        for row in staff:
            if row["staff_id"] not in colleagues:
                marks |= {row["staff_id"], row["full_name"], row["email"]} - {None, *names}
        for row in self.users:
            if person != "customer" or row["borrower_id"] != self.customer:
                marks.add(row["user_id"])
        return marks


def book_of(home: Home) -> Book:
    """The book of a home and its people."""
    staff = home.rows("staff")
    last = [row for row in home.rows("loan_positions") if row["business_date"] == LAST]
    loans = Counter(row["officer_id"] for row in last)
    leaders = Counter(row["team_leader_id"] for row in staff if loans[row["staff_id"]] and row["team_leader_id"])
    leader = min(leaders)
    team = frozenset([leader, *(row["staff_id"] for row in staff if row["team_leader_id"] == leader)])
    officer = max((each for each in loans if each and each not in team), key=lambda each: (loans[each], each))
    users = {row["borrower_id"] for row in home.rows("users")}
    customer = min(row["borrower_id"] for row in last if row["borrower_id"] in users)
    (investor,) = {row["investor_id"] for row in home.rows("loan_ownership")}
    return Book(home, leader, team, officer, investor, customer)


def add_people(home: Home) -> None:
    """Add an account of every role, all with the same password."""
    from lending_pipelines.register import Accounts, RoleGiven
    from lending_pipelines.register.passwords import hash_password

    book = book_of(home)
    roles: dict[str, tuple[str, dict[str, Any]]] = {
        "admin": ("admin", {}),
        "auditor": ("auditor", {}),
        "controller": ("controller", {}),
        "manager": ("manager", {"manager": book.leader}),
        "officer": ("loan_officer", {"officer": book.officer}),
        "investor": ("investor", {"investors": [book.investor]}),
        "customer": ("user", {"borrower": book.customer}),
    }
    password_hash = hash_password(PASSWORD)
    with home.register() as session:
        for name, (role, scope) in roles.items():
            given = [RoleGiven.checked(role, scope)]
            Accounts(session).create(
                name, name.title(), given, email=f"{name}@example.com", password_hash=password_hash
            )


class People:
    """Browsers of people, whose requests run in one event loop."""

    def __init__(self, app: FastAPI, event_loop: BlockingPortal) -> None:
        self._app = app
        self._event_loop = event_loop
        self._browsers: list[TestClient] = []

    def nobody(self) -> TestClient:
        """A browser in which nobody is signed in."""
        browser = TestClient(self._app, follow_redirects=False, raise_server_exceptions=False)
        browser.portal = self._event_loop
        self._browsers.append(browser)
        return browser

    def sign_in(self, name: str, password: str = PASSWORD) -> TestClient:
        """A browser in which that person is signed in."""
        browser = self.nobody()
        # Limits count per process: the tests sign in more often than people do.
        self._app.state.portal.limits.reset()
        answer = browser.post("/sign-in", data={"name": name, "password": password})
        assert answer.status_code == 303, answer.text
        return browser

    def leave(self) -> None:
        """Close all browsers."""
        for browser in self._browsers:
            browser.close()
