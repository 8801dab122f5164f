"""Deliveries of tapes: pending, delivering, delivered; pending again when an attempt fails, failed in the end.

Every change of status is one statement, so that of two runs that try only one succeeds. Which tapes are due, and how a
file gets to its destination, is known elsewhere.
"""

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
"""Who is told of a tape whose configuration names no owner."""

ATTEMPTS = 24
"""So many attempts a delivery gets by itself: with the waits between them, 19 hours."""

FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
"""The wait after the first attempt, which doubles with each, and what it ends at."""


def destinations(config: LoanTapeConfig) -> list[tuple[DeliveryChannel, str]]:
    """Where a tape goes: its place, and each of its email addresses."""
    place: list[tuple[DeliveryChannel, str]] = [("place", config.delivery_url)] if config.delivery_url else []
    addresses = [address.strip() for address in (config.recipient_email or "").split(",")]
    return [*place, *(("email", address) for address in addresses if address)]


def wait_after(attempts: int) -> timedelta:
    """How long to wait after so many attempts."""
    return min(FIRST_WAIT * 2 ** min(attempts - 1, 10), LONGEST_WAIT)


class TapeDeliveries:
    """The deliveries as one session sees them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def open(self, config: LoanTapeConfig, business_date: date) -> list[TapeDelivery]:
        """The deliveries of a tape's day, made pending for each destination when there is none yet.

        One that has not arrived follows the configuration: it is dropped when its destination is no longer there, and
        a destination that is new takes its place. Days whose tape has arrived everywhere stay as they are.
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
        """Make a tape of another content pending where the one before has arrived; how many it is now to go to."""
        latest = self._latest(config_id, business_date).values()
        stale = [delivery for delivery in latest if delivery.status == "delivered" and delivery.sha256 != sha256]
        for delivery in stale:
            self._add(config_id, business_date, delivery.channel, delivery.destination, delivery)
        self._session.flush()
        return len(stale)

    def of_day(self, config_id: str, business_date: date) -> list[TapeDelivery]:
        """The deliveries of a tape's day, corrections last."""
        query = sa.select(TapeDelivery).where(
            TapeDelivery.config_id == config_id, TapeDelivery.business_date == business_date
        )
        order = (TapeDelivery.correction, TapeDelivery.channel, TapeDelivery.destination)
        return list(self._session.scalars(query.order_by(*order)))

    def days(self, config_id: str) -> set[date]:
        """The business dates of a tape that were ever opened."""
        query = sa.select(TapeDelivery.business_date).where(TapeDelivery.config_id == config_id).distinct()
        return set(self._session.scalars(query))

    def unfinished(self) -> list[TapeDelivery]:
        """The deliveries that are still to arrive by themselves, the oldest day first."""
        still = TapeDelivery.status.in_(("pending", "delivering"))
        order = (TapeDelivery.business_date, TapeDelivery.config_id, TapeDelivery.correction, TapeDelivery.delivery_id)
        return list(self._session.scalars(sa.select(TapeDelivery).where(still).order_by(*order)))

    def recent(self, status: DeliveryStatus | None = None, limit: int = 100) -> list[TapeDelivery]:
        """The deliveries of the latest days, latest first, all or those of one status."""
        order = (TapeDelivery.business_date.desc(), TapeDelivery.config_id, TapeDelivery.correction.desc())
        query = sa.select(TapeDelivery).order_by(*order).limit(limit)
        if status is not None:
            query = query.where(TapeDelivery.status == status)
        return list(self._session.scalars(query))

    def claim(self, config_id: str, business_date: date, run_id: str, *, failed: bool = False) -> list[TapeDelivery]:
        """The deliveries of a tape's day that this run alone is now to make; none when there is nothing to do.

        With `failed` those too that are not tried again by themselves.
        """
        here = sa.and_(
            TapeDelivery.config_id == config_id,
            TapeDelivery.business_date == business_date,
            TapeDelivery.status.in_(("pending", "failed") if failed else ("pending",)),
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
        """It leaves now: `rows` loans in a file of that SHA-256."""
        self._move(delivery_id, "delivering", sha256=sha256, rows=rows)

    def complete(self, delivery_id: str) -> None:
        """What was sent has arrived. The tape's owner is told."""
        arrived = self._move(delivery_id, "delivered", error_message=None, delivered_at=utc_now())
        body = f"{arrived.rows:,} loans, sha256 {arrived.sha256}, to {arrived.destination}"
        self._tell([arrived], "tape_delivered", "low", "delivered", body)

    def put_off(self, delivery_id: str, reason: str, *, waits: bool = False) -> None:
        """An attempt failed: the next one is made later.

        It is given up after the last attempt, unless it `waits` for a tape that may leave.
        """
        attempts = self.get(delivery_id).attempts
        if waits or attempts < ATTEMPTS:
            again = utc_now() + wait_after(attempts)
            self._move(delivery_id, "pending", error_message=reason, next_attempt_at=again, sha256=None, rows=None)
        else:
            self.give_up(delivery_id, f"{reason} ({attempts} attempts)")

    def give_up(self, delivery_id: str, reason: str) -> None:
        """It is not tried again by itself, and the tape's owner is told."""
        failed = self._move(delivery_id, "failed", error_message=reason)
        body = f"To {failed.destination}: {reason}. Launch deliver_tape, or run `lending deliver`, to send it again."
        self._tell([failed], "tape_delayed", "critical", "not delivered", body)

    def run_ended(self, delivery_ids: Sequence[str], run_id: str, reason: str) -> int:
        """Settle what a run left that has ended: what it had in hand, and what it had not come to; how many there are.

        A mail that had left may have gone out: that is given up, not sent twice.
        """
        left = [delivery for delivery in map(self.get, delivery_ids) if _is_left(delivery, run_id)]
        for delivery in left:
            if delivery.status == "pending":
                delivery.status, delivery.run_id, delivery.attempts = "delivering", run_id, delivery.attempts + 1
                self._session.flush()
                self.put_off(delivery.delivery_id, reason)
            elif delivery.channel == "email" and delivery.sha256 is not None:
                self.give_up(delivery.delivery_id, f"it may have arrived: {reason}")
            else:
                self.put_off(delivery.delivery_id, reason)
        return len(left)

    def delay(self, delivery_ids: Sequence[str], reason: str) -> None:
        """The tape of a day is late, or will not come by itself: its owner is told why."""
        deliveries = [self.get(delivery_id) for delivery_id in delivery_ids]
        for delivery in deliveries:
            delivery.delayed_at = utc_now()
        self._tell(deliveries, "tape_delayed", "high", "delayed", f"{reason}. It is sent as soon as it can be.")

    def wait(self, delivery_ids: Sequence[str], reason: str) -> None:
        """What deliveries wait for before they are attempted."""
        for delivery_id in delivery_ids:
            self.get(delivery_id).error_message = reason

    def get(self, delivery_id: str) -> TapeDelivery:
        """The delivery of that id; RegisterError when there is none."""
        if delivery := self._session.get(TapeDelivery, delivery_id, populate_existing=True):
            return delivery
        raise RegisterError(f"there is no delivery {delivery_id!r}: `lending deliveries` lists them")

    def _tell(
        self,
        deliveries: Sequence[TapeDelivery],
        notification_type: NotificationType,
        priority: Priority,
        what: str,
        body: str,
    ) -> None:
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
        """The last delivery of a tape's day to each destination."""
        return {(each.channel, each.destination): each for each in self.of_day(config_id, business_date)}

    def _add(
        self,
        config_id: str,
        business_date: date,
        channel: DeliveryChannel,
        destination: str,
        before: TapeDelivery | None = None,
    ) -> None:
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
        """Settle what is being delivered; the delivery as it is then."""
        here = sa.and_(TapeDelivery.delivery_id == delivery_id, TapeDelivery.status == "delivering")
        cleared = {"next_attempt_at": None, **values}
        change = sa.update(TapeDelivery).where(here).values(status=after, **cleared).returning(TapeDelivery.delivery_id)
        if self._session.execute(change).first() is None:
            now = self.get(delivery_id).status
            raise RegisterError(f"delivery {delivery_id} is {now}: only one being delivered can become {after}")
        return self.get(delivery_id)


def _is_left(delivery: TapeDelivery, run_id: str) -> bool:
    if delivery.status == "delivering":
        return delivery.run_id == run_id
    return delivery.status == "pending" and delivery.run_id != run_id
