"""A servicing database with a loan and a few events, in SQLite, PostgreSQL or MariaDB, and an empty lake."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from fineract_tenant import Tenant
from frappe_site import Site
from servicing_database import ServicingDatabase

from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import DuckDBEngine


def transaction(number: int, type_: str = "repayment", **changes) -> dict:
    """A transaction of loan L1: 60.25 principal and 40.05 interest, effective and known on 2025-01-`number`."""
    row = {
        "transaction_id": f"T{number}",
        "loan_id": "L1",
        "type": type_,
        "effective_on": date(2025, 1, number),
        "posted_at": datetime(2025, 1, number, 10, 30, 15, 123456),
        "amount": Decimal("100.30"),
        "principal": Decimal("60.25"),
        "interest": Decimal("40.05"),
        "fees": Decimal("0.00"),
        "channel": None,
        "reverses_id": None,
    }
    return row | changes


def loan(loan_id: str = "L1", **changes) -> dict:
    """A loan of 1,000.00 at 12.5 %, known and last changed on 2025-01-01."""
    row = {
        "loan_id": loan_id,
        "borrower_id": "B1",
        "product_id": "P1",
        "branch_id": "N1",
        "officer_id": None,
        "currency": "EUR",
        "principal": Decimal("1000.00"),
        "annual_rate": Decimal("0.125000"),
        "day_count": "30/360",
        "term_count": 12,
        "payment_frequency": "monthly",
        "approved_on": date(2024, 12, 30),
        "disbursed_on": date(2025, 1, 1),
        "first_due_on": date(2025, 2, 1),
        "matures_on": date(2026, 1, 1),
        "purpose": None,
        "collateral_value": None,
        "credit_score": 700,
        "region": None,
        "posted_at": datetime(2025, 1, 1),
        "updated_at": datetime(2025, 1, 1),
    }
    return row | changes


@pytest.fixture
def sqlite_database(tmp_path: Path) -> ServicingDatabase:
    return ServicingDatabase(f"sqlite:///{tmp_path / 'servicing.db'}")


class KeptDatabase:
    """The database on a server that the tests of a module use one after the other: to make its tables takes longest.

    It has no rows when a test begins. After a test that changed its tables, the next one gets a new database.
    """

    def __init__(self, server: sa.Engine):
        self._server = server
        self._until_dropped = ExitStack()
        self._database: ServicingDatabase | None = None

    @contextmanager
    def lent(self) -> Iterator[ServicingDatabase]:
        if self._database is None:
            self._database = ServicingDatabase(self._until_dropped.enter_context(new_database(self._server)))
            self._until_dropped.callback(self._database.engine.dispose)
        yield self._database
        if self._database.reshaped:
            self.drop()
        else:
            self._database.empty()

    def drop(self) -> None:
        self._until_dropped.close()
        self._database = None


@contextmanager
def new_database(server: sa.Engine) -> Iterator[str]:
    """The SQLAlchemy URL of an empty database on a server, dropped after the block."""
    name = f"test_{uuid4().hex}"
    options, forced = {"postgresql": ("", " WITH (FORCE)"), "mysql": (" CHARACTER SET utf8mb4", "")}[server.name]
    with server.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}{options}")
    yield server.url.set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name}{forced}")


SERVERS = {"postgresql": "postgres_server", "mariadb": "mariadb_server"}
"""The fixtures of the servers by parameter."""


@pytest.fixture(scope="module", params=["sqlite", *SERVERS])
def kept_database(request: pytest.FixtureRequest) -> Iterator[KeptDatabase | None]:
    """The database on a server; None for SQLite, where each test has its own."""
    if request.param == "sqlite":
        yield None
        return
    kept = KeptDatabase(request.getfixturevalue(SERVERS[request.param]))
    yield kept
    kept.drop()


@pytest.fixture
def database(kept_database: KeptDatabase | None, request: pytest.FixtureRequest) -> Iterator[ServicingDatabase]:
    if kept_database is None:
        yield request.getfixturevalue("sqlite_database")
        return
    with kept_database.lent() as lent:
        yield lent


@pytest.fixture(scope="session")
def lake_engine() -> Iterator[DuckDBEngine]:
    """The engine of all lakes: to open and close one takes 20 CPU milliseconds."""
    engine = DuckDBEngine(threads=2)
    yield engine
    engine.close()


@pytest.fixture
def lake(tmp_path: Path, lake_engine: DuckDBEngine) -> Lake:
    """The test's own empty lake."""
    return Lake(str(tmp_path / "lake"), lake_engine)


@pytest.fixture
def make_transaction():
    return transaction


@pytest.fixture
def make_loan():
    return loan


@pytest.fixture(scope="module")
def make_frappe_site(mariadb_server: sa.Engine, shared_dir: Path) -> Iterator[Callable[[Path], Site]]:
    """Makes sites with Frappe's collation, and rows from a folder; they are dropped after the module."""
    sites: list[Site] = []

    def make(folder: Path) -> Site:
        name = f"test_{uuid4().hex}"
        with mariadb_server.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
        url = mariadb_server.url.set(database=name).render_as_string(hide_password=False)
        sites.append(Site(url, shared_dir / "data" / "frappe" / "schema.json", folder))
        return sites[-1]

    yield make
    with mariadb_server.connect() as connection:
        for site in sites:
            site.engine.dispose()
            connection.exec_driver_sql(f"DROP DATABASE {site.engine.url.database}")


@pytest.fixture(scope="module", params=list(SERVERS))
def fineract_tenant(request: pytest.FixtureRequest, shared_dir: Path) -> Iterator[Tenant]:
    """A tenant database of Fineract, which the tests of a module refill. It is dropped after the module."""
    with new_database(request.getfixturevalue(SERVERS[request.param])) as url:
        tenant = Tenant(url, shared_dir / "data" / "fineract" / "schema.json", Path("none"))
        yield tenant
        tenant.engine.dispose()


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    folder = tmp_path / "exports"
    folder.mkdir()
    return folder
