"""Column types that behave the same in SQLite and PostgreSQL, and defaults of new rows."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import sqlalchemy as sa

from lending_pipelines.errors import LendingError
from lending_pipelines.settings import Settings

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

ENCRYPTED = "fernet:"
"""The prefix of a text that is stored encrypted."""


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


class Encrypted(sa.TypeDecorator[str]):
    """A text that is stored encrypted with the first key of LENDING_REGISTER_KEYS; unencrypted if there is no key.

    Every key of the setting decrypts. A text that was stored unencrypted stays readable.
    """

    impl = sa.Text()
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """The text as stored."""
        keys = register_keys()
        if value is None or keys is None:
            return value
        return ENCRYPTED + keys.encrypt(value.encode()).decode()

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """The text. Raises LendingError when no key decrypts it."""
        from cryptography.fernet import InvalidToken

        if value is None or not value.startswith(ENCRYPTED):
            return value
        try:
            keys = register_keys()
            if keys is None:
                raise InvalidToken
            return keys.decrypt(value.removeprefix(ENCRYPTED)).decode()
        except InvalidToken:
            raise LendingError(
                "the register has personal data that no key in LENDING_REGISTER_KEYS decrypts: add the key with which"
                " it was stored"
            ) from None


def register_keys() -> "MultiFernet | None":
    """The keys of LENDING_REGISTER_KEYS; None when it is not set. Raises LendingError for a text that is not a key."""
    from cryptography.fernet import Fernet, MultiFernet

    texts = [text.strip() for text in Settings.from_environment().register_keys.split(",") if text.strip()]
    try:
        return MultiFernet([Fernet(text) for text in texts]) if texts else None
    except ValueError:
        raise LendingError(
            "LENDING_REGISTER_KEYS is not valid: write keys separated by commas; `lending investor new-key` makes one"
        ) from None


def new_id() -> str:
    """A new row's id."""
    return uuid4().hex


def utc_now() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)
