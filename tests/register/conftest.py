"""A register on each database that it supports."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from lending_pipelines.register import Register
from lending_pipelines.register.models import Base


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
def migrated_url(postgres_server: sa.Engine) -> str:
    """The URL of the PostgreSQL database with the register that tests use one after the other, each from empty."""
    name = "migrated"
    with postgres_server.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    return postgres_server.url.set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def register(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> Iterator[Register]:
    """An empty register, whose schema the test leaves as it is."""
    in_file = database == "sqlite"
    url = f"sqlite:///{tmp_path / 'home' / 'register.db'}" if in_file else request.getfixturevalue("migrated_url")
    register = Register(url)
    register.upgrade()
    yield register
    register.dispose()
    if not in_file:
        empty(register)


def empty(register: Register) -> None:
    """Delete all rows of a register in PostgreSQL. To make and drop a database for each test takes 0.3 seconds."""
    with register.engine.begin() as connection:
        # A test that failed can have left a transaction open.
        connection.exec_driver_sql("SET lock_timeout = '20s'")
        # No trigger refuses, and no reference needs an order.
        connection.exec_driver_sql("SET session_replication_role = replica")
        connection.exec_driver_sql(f"TRUNCATE {', '.join(Base.metadata.tables)} RESTART IDENTITY")
    register.dispose()
