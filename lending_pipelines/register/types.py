"""Column types that mean the same in SQLite and PostgreSQL, and what new rows are stamped with."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import sqlalchemy as sa


class UtcDateTime(sa.TypeDecorator[datetime]):
    """An instant: aware on both sides, kept in UTC. A datetime without a zone is refused."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """The instant in UTC; ValueError when it has no zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone: the register keeps instants")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """The instant in UTC; SQLite returns it without the zone in which it was kept."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Money(sa.TypeDecorator[Decimal]):
    """An amount to the cent, exact: NUMERIC(18, 2), and text in SQLite, whose NUMERIC is a float."""

    impl = sa.Numeric(18, 2).with_variant(sa.Text(), "sqlite")
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: sa.Dialect) -> Any:
        """The amount as the database keeps it; ValueError when it has fractions of a cent."""
        if value is None:
            return None
        amount = Decimal(value)
        cents = amount.quantize(Decimal("0.01"))
        if cents != amount:
            raise ValueError(f"{value} has fractions of a cent")
        return str(cents) if dialect.name == "sqlite" else cents

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Decimal | None:
        """The amount as a Decimal."""
        return None if value is None else Decimal(value)


def new_id() -> str:
    """A new row's id."""
    return uuid4().hex


def utc_now() -> datetime:
    """The present instant."""
    return datetime.now(UTC)
