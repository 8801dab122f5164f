"""A register on each database that it supports."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from lending_pipelines.register import Register


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """The kind of database."""
    return request.param


@pytest.fixture
def register_url(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> str:
    """The URL of a database without a register."""
    if database == "sqlite":
        return f"sqlite:///{tmp_path / 'home' / 'register.db'}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture(scope="session")
def migrated_database(postgres_server: sa.Engine) -> str:
    """The name of a PostgreSQL database with an empty register, of which others are copies."""
    name = "migrated"
    with postgres_server.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    register = Register(postgres_server.url.set(database=name).render_as_string(hide_password=False))
    register.upgrade()
    register.dispose()
    return name


@pytest.fixture
def register(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> Iterator[Register]:
    """An empty register."""
    if database == "sqlite":
        url = f"sqlite:///{tmp_path / 'home' / 'register.db'}"
    else:
        url = request.getfixturevalue("make_postgres_url")(request.getfixturevalue("migrated_database"))
    register = Register(url)
    register.upgrade()
    yield register
    register.dispose()
