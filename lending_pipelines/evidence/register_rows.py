"""The rows of the register that are certified: facts that the program never changes once they are written.

Portfolios, investors, sales, delivered tapes, completed reports and locked periods are certified here, by the columns
listed below. Assignments of loans need no hashes, because the lake has a certified copy of them (comparison.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from lending_pipelines.evidence.inventory import Rows
from lending_pipelines.places import canonical
from lending_pipelines.register import Register
from lending_pipelines.register.models import Base, Investor, Portfolio, PortfolioSale, Report, TapeDelivery
from lending_pipelines.register.period_locks import PeriodLock

_BATCH = 500


@dataclass(frozen=True)
class CertifiedRows:
    """The certified columns of a table, and the condition for its final rows."""

    model: type[Base]
    columns: tuple[str, ...]
    final: sa.ColumnElement[bool]

    @property
    def table(self) -> str:
        """The table's name."""
        return self.model.__tablename__

    @property
    def key(self) -> sa.ColumnElement[str]:
        """The column of the primary key."""
        return sa.inspect(self.model).primary_key[0]


CERTIFIED = (
    CertifiedRows(Portfolio, ("name", "description", "program_id", "opened_on"), sa.true()),
    CertifiedRows(Investor, ("name", "investor_type"), sa.true()),
    CertifiedRows(
        PortfolioSale,
        (
            "portfolio_id",
            "investor_id",
            "sale_date",
            "price",
            "currency",
            "snapshot",
            "lake_version",
            "recorded_at",
        ),
        sa.true(),
    ),
    CertifiedRows(
        TapeDelivery,
        ("config_id", "business_date", "channel", "destination", "correction", "sha256", "rows", "delivered_at"),
        TapeDelivery.status == "delivered",
    ),
    CertifiedRows(
        Report,
        ("report_type", "parameters", "report_data", "output_format", "sha256", "requested_by", "generated_at"),
        Report.status == "completed",
    ),
    CertifiedRows(PeriodLock, ("period_end", "locked_by", "locked_at"), sa.true()),
)
"""The certified tables of the register."""


def new_rows(register: Register, known: Rows) -> dict[str, dict[str, str]]:
    """The hashes of the final rows whose keys are not known, by table and key."""
    found = {}
    with register.reading() as connection:
        for rows in CERTIFIED:
            keys = set(connection.scalars(sa.select(rows.key).where(rows.final)))
            if fresh := sorted(keys.difference(known.get(rows.table, ()))):
                found[rows.table] = _hashes(connection, rows, fresh)
    return found


def changed_rows(register: Register, known: Rows) -> dict[str, list[str]]:
    """The keys of known rows that were changed or are gone, by table."""
    changed = {}
    with register.reading() as connection:
        for rows in CERTIFIED:
            certified = known.get(rows.table, {})
            now = _hashes(connection, rows, sorted(certified))
            if found := [key for key, sha256 in certified.items() if now.get(key) != sha256]:
                changed[rows.table] = found
    return changed


def _hashes(connection: sa.Connection, rows: CertifiedRows, keys: list[str]) -> dict[str, str]:
    columns = [getattr(rows.model, name) for name in rows.columns]
    found: dict[str, str] = {}
    for start in range(0, len(keys), _BATCH):
        query = sa.select(rows.key, *columns).where(rows.key.in_(keys[start : start + _BATCH]), rows.final)
        for key, *values in connection.execute(query):
            found[key] = _hash(dict(zip(rows.columns, values, strict=True)))
    return found


def _hash(row: Mapping[str, Any]) -> str:
    return sha256(canonical({name: _plain(value) for name, value in row.items()})).hexdigest()


def _plain(value: Any) -> Any:
    """The value as JSON, in the same form for every database."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value
