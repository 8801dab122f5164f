"""Period locks: the days up to a period's end are signed off, and cannot be closed again until the period is reopened.

A lock covers every day up to `period_end`. Every lock and every reopening is kept. Who may lock is decided here; which
days can be locked is decided by the command (cli/period.py).
"""

from collections.abc import Sequence
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from lending_pipelines.register.account_models import Account, Role
from lending_pipelines.register.accounts import Accounts
from lending_pipelines.register.database import RegisterError
from lending_pipelines.register.models import Base
from lending_pipelines.register.types import new_id, utc_now

MAY_LOCK: tuple[Role, ...] = ("admin", "controller")
"""The roles whose accounts may lock and reopen periods. The role must cover the complete lender."""

_LONGEST_NAME = 200


class PeriodLock(Base):
    """A lock of all days up to `period_end`. It is in force until `reopened_at`; `reason` is why it was reopened."""

    __tablename__ = "period_locks"
    __table_args__ = (
        sa.CheckConstraint(
            "(reopened_at IS NULL) = (reopened_by IS NULL) AND (reopened_at IS NULL) = (reason IS NULL)",
            name="reopened_with_reason",
        ),
        sa.Index(
            "uq_period_locks_in_force",
            "period_end",
            unique=True,
            sqlite_where=sa.text("reopened_at IS NULL"),
            postgresql_where=sa.text("reopened_at IS NULL"),
        ),
    )

    lock_id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    period_end: Mapped[date]
    locked_by: Mapped[str]
    locked_at: Mapped[datetime] = mapped_column(default=utc_now)
    reopened_by: Mapped[str | None]
    reopened_at: Mapped[datetime | None]
    reason: Mapped[str | None]


class PeriodLocked(RegisterError):
    """A day of a locked period would change."""


class PeriodLocks:
    """The locks, within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self) -> list[PeriodLock]:
        """Every lock, also those that were reopened: the latest period first, the latest lock of a period first."""
        order = (PeriodLock.period_end.desc(), PeriodLock.locked_at.desc())
        return list(self._session.scalars(sa.select(PeriodLock).order_by(*order)))

    def in_force(self) -> list[PeriodLock]:
        """The locks in force, the latest period first."""
        return [lock for lock in self.all() if lock.reopened_at is None]

    def locked_until(self) -> date | None:
        """The last locked day; None without a lock in force."""
        return max((lock.period_end for lock in self.in_force()), default=None)

    def lock(self, period_end: date, by: str) -> PeriodLock:
        """Lock the days up to `period_end`.

        Raises:
            RegisterError: `by` may not lock periods, or a lock in force covers the period already.
        """
        by = self._allowed(by)
        if (until := self.locked_until()) is not None and period_end <= until:
            raise RegisterError(
                f"period ending {period_end}: all days up to {until} are locked already; see `lending period list`"
            )
        lock = PeriodLock(period_end=period_end, locked_by=by)
        self._session.add(lock)
        self._session.flush()
        return lock

    def reopen(self, period_end: date, by: str, reason: str) -> PeriodLock:
        """End the lock of a period.

        Raises:
            RegisterError: `by` may not reopen periods, the reason is empty, the period is not locked, or a later period
                is locked: its lock covers these days too.
        """
        by = self._allowed(by)
        if not reason.strip():
            raise RegisterError(f"period ending {period_end}: write the reason for reopening it")
        locks = {lock.period_end: lock for lock in self.in_force()}
        if period_end not in locks:
            ends = ", ".join(map(str, sorted(locks))) or "none"
            raise RegisterError(f"no lock in force ends on {period_end}; locked period ends: {ends}")
        if later := sorted(end for end in locks if end > period_end):
            raise RegisterError(
                f"period ending {period_end}: the lock of the period ending {later[-1]} covers its days too: reopen"
                f" {', '.join(map(str, reversed(later)))} first"
            )
        lock = locks[period_end]
        lock.reopened_by, lock.reopened_at, lock.reason = by, utc_now(), reason.strip()
        self._session.flush()
        return lock

    def require_open(self, days: Sequence[date]) -> None:
        """Raise PeriodLocked if a lock in force covers any of the days. The error names the lock of each period."""
        locks = sorted(self.in_force(), key=lambda lock: lock.period_end)
        covering = {day: next((lock for lock in locks if day <= lock.period_end), None) for day in sorted(days)}
        locked = [day for day, lock in covering.items() if lock is not None]
        if not locked:
            return
        which = f"{locked[0]} is" if len(locked) == 1 else f"{len(locked):,} days from {locked[0]} to {locked[-1]} are"
        found = {lock.period_end: lock for lock in covering.values() if lock is not None}
        told = "; ".join(
            f"the period ending {end} was locked by {lock.locked_by} on {lock.locked_at:%Y-%m-%d %H:%M} UTC"
            for end, lock in found.items()
        )
        # The latest lock covers all earlier days, so it is reopened first.
        ends = [str(lock.period_end) for lock in reversed(locks) if lock.period_end >= min(found)]
        commands = ", then ".join(f"`lending period reopen --end {end} --by NAME --reason TEXT`" for end in ends)
        raise PeriodLocked(f"{which} locked and cannot change: {told}. To change them, run {commands}")

    def _allowed(self, name: str) -> str:
        """The name, if that person may lock periods. Raises RegisterError otherwise."""
        name = name.strip()
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            raise RegisterError(f"write the name of the person, with 1 to {_LONGEST_NAME} printable characters")
        if not self._session.scalar(sa.select(sa.exists(sa.select(Account)))):
            return name
        account = Accounts(self._session).get(name)
        roles = Accounts(self._session).roles(account.account_id)
        if not account.active or not any(each.role in MAY_LOCK and not each.scope for each in roles):
            raise RegisterError(
                f"account {account.username!r} may not lock or reopen periods: this needs an active account with the"
                f" role {' or '.join(MAY_LOCK)} for the complete lender"
            )
        return account.username
