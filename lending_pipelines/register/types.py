"""Column types that behave the same in SQLite and PostgreSQL, and defaults of new rows."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import sqlalchemy as sa


class UtcDateTime(sa.TypeDecorator[datetime]):
    """A timestamp: timezone-aware in Python, stored in UTC. Naive datetimes are rejected."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """The timestamp in UTC. Raises ValueError when it has no time zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone: the register stores timestamps in UTC")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """The timestamp in UTC; SQLite returns it without a time zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Money(sa.TypeDecorator[Decimal]):
    """An exact amount with two decimals: NUMERIC(18, 2), or text in SQLite, whose NUMERIC is a float."""

    impl = sa.Numeric(18, 2).with_variant(sa.Text(), "sqlite")
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: sa.Dialect) -> Any:
        """The amount as stored. Raises ValueError when it has more than two decimals."""
        if value is None:
            return None
        amount = Decimal(value)
        cents = amount.quantize(Decimal("0.01"))
        if cents != amount:
            raise ValueError(f"{value} has more than two decimals")
        return str(cents) if dialect.name == "sqlite" else cents

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Decimal | None:
        """The amount as a Decimal."""
        return None if value is None else Decimal(value)


def new_id() -> str:
    """A new row's id."""
    return uuid4().hex


def utc_now() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)
