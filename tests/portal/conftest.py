"""The portal of a closed home, and people of every role who sign in to it."""

import shutil
from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from argon2 import PasswordHasher
from fastapi import FastAPI
from homes import Home
from people import Book, People, add_people, book_of

from lending_pipelines.portal.app import create_app
from lending_pipelines.register import passwords
from lending_pipelines.settings import Settings


@pytest.fixture(scope="session", autouse=True)
def cheap_hashes() -> Iterator[None]:
    """Hashes of passwords that are cheap to verify: a real one takes 0.2 CPU seconds, and each test signs people in."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1, type=passwords._HASHER.type)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(passwords, "_HASHER", hasher)
        monkeypatch.setattr(passwords, "_OF_NOBODY", hasher.hash("the hash of nobody"))
        yield


@pytest.fixture(scope="session")
def portal_home(untouched_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A copy of the closed home with an account of every role.

    Tests add sessions, audit entries, alert steps and report requests to its register.
    """
    home = Home(tmp_path_factory.mktemp("portal") / "home")
    shutil.copytree(untouched_home.folder, home.folder)
    add_people(home)
    return home


@pytest.fixture(scope="session")
def book(portal_home: Home) -> Book:
    """Whose everything in the home is, read without the portal."""
    return book_of(portal_home)


@pytest.fixture(scope="session")
def portal_settings(portal_home: Home) -> Settings:
    return Settings.from_environment({"LENDING_HOME": str(portal_home.folder), "LENDING_NAME": "Harbour & Sons"})


@pytest.fixture(scope="session")
def app(portal_settings: Settings) -> Iterator[FastAPI]:
    app = create_app(portal_settings)
    yield app
    app.state.portal.close()


@pytest.fixture(scope="session")
def event_loop() -> Iterator[BlockingPortal]:
    """The event loop, in a thread of its own, in which the requests of all browsers run."""
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture
def people(app: FastAPI, event_loop: BlockingPortal) -> Iterator[People]:
    """Signs people in, each with a browser of their own."""
    people = People(app, event_loop)
    yield people
    people.leave()


@pytest.fixture(scope="module")
def own_home(portal_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A copy of the portal's home for the tests of one file, which change it."""
    home = Home(tmp_path_factory.mktemp("own") / "home")
    shutil.copytree(portal_home.folder, home.folder)
    return home


@pytest.fixture(scope="module")
def own_app(own_home: Home) -> Iterator[FastAPI]:
    app = create_app(Settings.from_environment({"LENDING_HOME": str(own_home.folder)}), check_every=0)
    yield app
    app.state.portal.close()


@pytest.fixture
def own_people(own_app: FastAPI, event_loop: BlockingPortal) -> Iterator[People]:
    """Signs people in to the portal of `own_home`."""
    people = People(own_app, event_loop)
    yield people
    people.leave()
