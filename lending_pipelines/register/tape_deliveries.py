"""Tape deliveries: pending → delivering → delivered; pending again after a failed attempt, failed after the last one.

Every status change is one statement: if two runs try at the same time, only one succeeds. tapes/ decides which tapes
are due; delivery/ sends the files.
"""

import shlex
from collections.abc import Sequence
from datetime import date, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.register.database import RegisterError
from lending_pipelines.register.models import (
    DeliveryChannel,
    DeliveryStatus,
    LoanTapeConfig,
    NotificationType,
    Priority,
    TapeDelivery,
)
from lending_pipelines.register.notifications import Notifications
from lending_pipelines.register.types import utc_now

OWNER = "team:capital-markets"
"""The recipient of notifications on a tape whose configuration has no owner_email."""

ATTEMPTS = 24
"""The number of automatic attempts. With the waits between them they take 18 hours."""

FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
"""The wait after the first attempt, which doubles with each attempt up to the longest wait."""


def destinations(config: LoanTapeConfig) -> list[tuple[DeliveryChannel, str]]:
    """The destinations of a tape: its delivery_url and each email address."""
    place: list[tuple[DeliveryChannel, str]] = [("place", config.delivery_url)] if config.delivery_url else []
    addresses = [address.strip() for address in (config.recipient_email or "").split(",")]
    return [*place, *(("email", address) for address in addresses if address)]


_MAY_BE_SENT = sa.or_(sa.not_(TapeDelivery.needs_approval), TapeDelivery.approved_at.is_not(None))
"""The deliveries that may be sent: a correction that needs approval only after its approval."""


def wait_after(attempts: int) -> timedelta:
    """The wait after this number of attempts."""
    return min(FIRST_WAIT * 2 ** min(attempts - 1, 10), LONGEST_WAIT)


class TapeDeliveries:
    """The deliveries, within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def open(self, config: LoanTapeConfig, business_date: date) -> list[TapeDelivery]:
        """The deliveries of a tape's day; adds a pending one for each destination that has none.

        Unfinished deliveries follow the configuration: those to removed destinations are deleted, new destinations are
        added. A day that has deliveries, none of them pending or failed, does not change.
        """
        latest = self._latest(config.config_id, business_date)
        if not latest or any(delivery.status in ("pending", "failed") for delivery in latest.values()):
            wanted = destinations(config)
            for destination, delivery in latest.items():
                if destination not in wanted and delivery.status in ("pending", "failed"):
                    self._session.delete(delivery)
            for destination in wanted:
                if destination not in latest:
                    self._add(config.config_id, business_date, *destination)
            self._session.flush()
        return self.of_day(config.config_id, business_date)

    def open_corrections(self, config_id: str, business_date: date, sha256: str) -> int:
        """Add pending deliveries where an earlier tape with other content was delivered. Returns how many."""
        config = self._session.get_one(LoanTapeConfig, config_id)
        latest = self._latest(config_id, business_date).values()
        stale = [delivery for delivery in latest if delivery.status == "delivered" and delivery.sha256 != sha256]
        for delivery in stale:
            self._add(config_id, business_date, delivery.channel, delivery.destination, delivery)
        self._session.flush()
        if config.approve_corrections:
            for correction in self.of_day(config_id, business_date):
                if correction.correction and correction.status == "pending" and correction.approved_at is None:
                    correction.needs_approval = True
                    command = f"lending approve-correction {shlex.quote(config.name)} {business_date} --by NAME"
                    correction.error_message = f"waits for approval: `{command}`"
        self._session.flush()
        return len(stale)

    def of_day(self, config_id: str, business_date: date) -> list[TapeDelivery]:
        """The deliveries of a tape's day, corrections last."""
        query = sa.select(TapeDelivery).where(
            TapeDelivery.config_id == config_id, TapeDelivery.business_date == business_date
        )
        order = (TapeDelivery.correction, TapeDelivery.channel, TapeDelivery.destination)
        return list(self._session.scalars(query.order_by(*order)))

    def of_tape(self, config_id: str, first: date | None = None, last: date | None = None) -> list[TapeDelivery]:
        """The deliveries of a tape, of all days or of first..last: the latest day first, corrections first."""
        query = sa.select(TapeDelivery).where(TapeDelivery.config_id == config_id)
        if first is not None:
            query = query.where(TapeDelivery.business_date >= first)
        if last is not None:
            query = query.where(TapeDelivery.business_date <= last)
        order = (TapeDelivery.business_date.desc(), TapeDelivery.correction.desc(), TapeDelivery.destination)
        return list(self._session.scalars(query.order_by(*order)))

    def days(self, config_id: str) -> set[date]:
        """The business dates for which the tape has deliveries."""
        query = sa.select(TapeDelivery.business_date).where(TapeDelivery.config_id == config_id).distinct()
        return set(self._session.scalars(query))

    def all(self) -> list[TapeDelivery]:
        """Every delivery, oldest day first."""
        return list(self._session.scalars(sa.select(TapeDelivery).order_by(TapeDelivery.business_date)))

    def unfinished(self) -> list[TapeDelivery]:
        """The pending and delivering deliveries, oldest day first, without those that wait for approval."""
        still = TapeDelivery.status.in_(("pending", "delivering"))
        order = (TapeDelivery.business_date, TapeDelivery.config_id, TapeDelivery.correction, TapeDelivery.delivery_id)
        return list(self._session.scalars(sa.select(TapeDelivery).where(still, _MAY_BE_SENT).order_by(*order)))

    def waiting(self) -> list[TapeDelivery]:
        """The corrections that wait for approval, oldest day first."""
        query = sa.select(TapeDelivery).where(sa.not_(_MAY_BE_SENT)).order_by(TapeDelivery.business_date)
        return list(self._session.scalars(query))

    def approve(self, config: LoanTapeConfig, business_date: date, by: str) -> list[TapeDelivery]:
        """Approve the corrections of a tape's day that wait for approval. Returns them.

        Raises RegisterError when none waits, or `by` is empty.
        """
        if not by.strip():
            raise RegisterError("write the name of the person who approves")
        here = (TapeDelivery.config_id == config.config_id, TapeDelivery.business_date == business_date)
        waiting = list(self._session.scalars(sa.select(TapeDelivery).where(*here, sa.not_(_MAY_BE_SENT))))
        if not waiting:
            raise RegisterError(
                f"tape {config.name!r} of {business_date}: no correction waits for approval; see `lending deliveries`"
            )
        for correction in waiting:
            correction.approved_by, correction.approved_at, correction.error_message = by.strip(), utc_now(), None
        self._session.flush()
        return waiting

    def recent(self, status: DeliveryStatus | None = None, limit: int = 100) -> list[TapeDelivery]:
        """The deliveries of the latest days first, of all statuses or of one."""
        order = (TapeDelivery.business_date.desc(), TapeDelivery.config_id, TapeDelivery.correction.desc())
        query = sa.select(TapeDelivery).order_by(*order).limit(limit)
        if status is not None:
            query = query.where(TapeDelivery.status == status)
        return list(self._session.scalars(query))

    def delivered_on(self, business_date: date) -> int:
        """The number of completed deliveries of a day, one for each destination, with corrections."""
        delivered = TapeDelivery.status == "delivered", TapeDelivery.business_date == business_date
        return self._session.scalar(sa.select(sa.func.count()).select_from(TapeDelivery).where(*delivered)) or 0

    def claim(self, config_id: str, business_date: date, run_id: str, *, failed: bool = False) -> list[TapeDelivery]:
        """Reserve the deliveries of a tape's day for this run. Returns an empty list when there is nothing to do.

        With `failed`, failed deliveries are reserved too.
        """
        here = sa.and_(
            TapeDelivery.config_id == config_id,
            TapeDelivery.business_date == business_date,
            TapeDelivery.status.in_(("pending", "failed") if failed else ("pending",)),
            _MAY_BE_SENT,
        )
        change = (
            sa.update(TapeDelivery)
            .where(here)
            .values(status="delivering", run_id=run_id, attempts=TapeDelivery.attempts + 1)
            .returning(TapeDelivery)
            .execution_options(synchronize_session="fetch")
        )
        return sorted(self._session.scalars(change), key=lambda each: (each.channel, each.destination))

    def send(self, delivery_id: str, sha256: str, rows: int) -> None:
        """Record that sending starts: a file with `rows` loans and that SHA-256."""
        self._move(delivery_id, "delivering", sha256=sha256, rows=rows)

    def complete(self, delivery_id: str) -> None:
        """Record the delivery as delivered and notify the tape's owner."""
        arrived = self._move(delivery_id, "delivered", error_message=None, delivered_at=utc_now())
        body = f"{arrived.rows:,} loans, sha256 {arrived.sha256}, to {arrived.destination}"
        self._notify([arrived], "tape_delivered", "low", "delivered", body)

    def schedule_retry(self, delivery_id: str, reason: str, *, waits: bool = False) -> None:
        """Record a failed attempt and schedule the next one.

        After the last attempt the delivery is marked failed, unless it `waits` for a tape that cannot be sent yet.
        """
        attempts = self.get(delivery_id).attempts
        if waits or attempts < ATTEMPTS:
            again = utc_now() + wait_after(attempts)
            self._move(delivery_id, "pending", error_message=reason, next_attempt_at=again, sha256=None, rows=None)
        else:
            self.give_up(delivery_id, f"{reason} ({attempts} attempts)")

    def give_up(self, delivery_id: str, reason: str) -> None:
        """Mark the delivery failed, without further automatic attempts, and notify the tape's owner."""
        failed = self._move(delivery_id, "failed", error_message=reason)
        body = f"To {failed.destination}: {reason}. Launch deliver_tape, or run `lending deliver`, to send it again."
        self._notify([failed], "tape_delayed", "critical", "not delivered", body)

    def run_ended(self, delivery_ids: Sequence[str], run_id: str, reason: str) -> int:
        """Reschedule deliveries left unfinished by an ended run. Returns how many.

        Emails that may have been sent are marked failed, not resent.
        """
        left = [delivery for delivery in map(self.get, delivery_ids) if _is_left(delivery, run_id)]
        for delivery in left:
            if delivery.status == "pending":
                delivery.status, delivery.run_id, delivery.attempts = "delivering", run_id, delivery.attempts + 1
                self._session.flush()
                self.schedule_retry(delivery.delivery_id, reason)
            elif delivery.channel == "email" and delivery.sha256 is not None:
                self.give_up(delivery.delivery_id, f"it may have arrived: {reason}")
            else:
                self.schedule_retry(delivery.delivery_id, reason)
        return len(left)

    def delay(self, delivery_ids: Sequence[str], reason: str) -> None:
        """Record that the tape of a day is late and notify its owner of the reason."""
        deliveries = [self.get(delivery_id) for delivery_id in delivery_ids]
        for delivery in deliveries:
            delivery.delayed_at = utc_now()
        self._notify(deliveries, "tape_delayed", "high", "delayed", f"{reason}. It is sent as soon as possible.")

    def wait(self, delivery_ids: Sequence[str], reason: str) -> None:
        """Record what the deliveries wait for before their first attempt."""
        for delivery_id in delivery_ids:
            self.get(delivery_id).error_message = reason

    def get(self, delivery_id: str) -> TapeDelivery:
        """The delivery with that id. Raises RegisterError when there is none."""
        if delivery := self._session.get(TapeDelivery, delivery_id, populate_existing=True):
            return delivery
        raise RegisterError(f"there is no delivery {delivery_id!r}: `lending deliveries` lists them")

    def _notify(
        self,
        deliveries: Sequence[TapeDelivery],
        notification_type: NotificationType,
        priority: Priority,
        what: str,
        body: str,
    ) -> None:
        """Notify the tape's owner."""
        first = deliveries[0]
        config = self._session.get_one(LoanTapeConfig, first.config_id)
        Notifications(self._session).create(
            notification_type,
            priority,
            recipient=config.owner_email or OWNER,
            subject=f"Loan tape {config.name} of {first.business_date} {what}",
            body=body,
            action_required=notification_type == "tape_delayed",
            alert_data={"config_id": config.config_id, "delivery_ids": [each.delivery_id for each in deliveries]},
            business_date=first.business_date,
        )

    def _latest(self, config_id: str, business_date: date) -> dict[tuple[DeliveryChannel, str], TapeDelivery]:
        """The latest delivery of a tape's day to each destination."""
        return {(each.channel, each.destination): each for each in self.of_day(config_id, business_date)}

    def _add(
        self,
        config_id: str,
        business_date: date,
        channel: DeliveryChannel,
        destination: str,
        before: TapeDelivery | None = None,
    ) -> None:
        """Add a pending delivery; with `before`, a correction of that delivery."""
        self._session.add(
            TapeDelivery(
                config_id=config_id,
                business_date=business_date,
                channel=channel,
                destination=destination,
                correction=before.correction + 1 if before else 0,
                supersedes_id=before.delivery_id if before else None,
            )
        )

    def _move(self, delivery_id: str, after: DeliveryStatus, **values: object) -> TapeDelivery:
        """Change the status of a delivery in progress. Returns the changed delivery."""
        here = sa.and_(TapeDelivery.delivery_id == delivery_id, TapeDelivery.status == "delivering")
        cleared = {"next_attempt_at": None, **values}
        change = sa.update(TapeDelivery).where(here).values(status=after, **cleared).returning(TapeDelivery.delivery_id)
        if self._session.execute(change).first() is None:
            now = self.get(delivery_id).status
            raise RegisterError(f"delivery {delivery_id} is {now}: only delivering ones can become {after}")
        return self.get(delivery_id)


def _is_left(delivery: TapeDelivery, run_id: str) -> bool:
    """Whether an ended run left the delivery unfinished: delivering by this run, or pending and not tried by it."""
    if delivery.status == "delivering":
        return delivery.run_id == run_id
    return delivery.status == "pending" and delivery.run_id != run_id
