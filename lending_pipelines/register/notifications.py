"""Notifications to staff and teams, as rows: what is to be sent, what was handed over, read and acted on.

Which alerts are notified is in alerts/notices.py; messages are written and sent by alerts/outbox.py.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.register.alert_models import Alert
from lending_pipelines.register.database import RegisterError
from lending_pipelines.register.models import Notification, NotificationChannel, NotificationType, Priority
from lending_pipelines.register.types import new_id, utc_now

EMAILED_WITHIN = timedelta(days=7)
"""A notification not emailed within this time is no longer emailed, unless it is about an alert. It stays readable."""

HANDED_OVER_WITHIN = timedelta(minutes=10)
"""The time after which a message that was handed over without an answer may or may not have arrived."""

LONGEST_WAIT = timedelta(hours=1)
"""The longest wait between two attempts. The first repetition does not wait; then it is 1, 2, 4, … minutes."""

_STAYS = sa.or_(
    sa.and_(Notification.action_required, Notification.read_at.is_(None), Notification.acted_at.is_(None)),
    # Notifications about alerts are the record of what their recipients know.
    sa.func.coalesce(Notification.alert_id, "").in_(sa.select(Alert.alert_id)),
)
"""The notifications that are never deleted."""


class Notifications:
    """The notifications, within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def create(
        self,
        notification_type: NotificationType,
        priority: Priority,
        *,
        recipient: str,
        subject: str,
        body: str,
        action_required: bool = False,
        alert_data: dict[str, Any] | None = None,
        business_date: date | None = None,
        notification_id: str = "",
    ) -> str:
        """Add a notification and return its notification_id. `alert_data` holds plain JSON values."""
        notification = Notification(
            notification_id=notification_id or new_id(),
            notification_type=notification_type,
            priority=priority,
            recipient=recipient,
            subject=subject,
            body=body,
            action_required=action_required,
            alert_data=alert_data,
            business_date=business_date,
        )
        self._session.add(notification)
        self._session.flush()
        return notification.notification_id

    def create_once(
        self, key: Sequence[str], notification_type: NotificationType, priority: Priority, **values: Any
    ) -> bool:
        """Add a notification with the values of `create`, unless one with the same key was added before.

        Returns:
            Whether it was added.
        """
        notification_id = sha256("\n".join(key).encode()).hexdigest()[:32]
        if self._session.get(Notification, notification_id) is not None:
            return False
        self.create(notification_type, priority, notification_id=notification_id, **values)
        return True

    def to_send(self, channel: NotificationChannel) -> list[Notification]:
        """The notifications to send now, oldest first; none of low priority, and no emails to teams.

        After a failed attempt, a notification waits for its next attempt. Notifications that are not about an alert are
        sent only within EMAILED_WITHIN.
        """
        now = utc_now()
        query = sa.select(Notification).where(
            Notification.channel == channel,
            Notification.emailed_at.is_(None),
            Notification.sending_at.is_(None),
            Notification.read_at.is_(None),
            Notification.priority != "low",
            sa.or_(Notification.next_attempt_at.is_(None), Notification.next_attempt_at <= now),
            sa.or_(Notification.alert_id.is_not(None), Notification.created_at > now - EMAILED_WITHIN),
        )
        if channel == "email":
            query = query.where(Notification.recipient.contains("@"))
        return list(self._session.scalars(query.order_by(Notification.created_at, Notification.notification_id)))

    def report_unanswered(self) -> None:
        """Notify the recipients of emails that were handed over more than HANDED_OVER_WITHIN ago without an answer.

        It is not known whether they arrived: the sender's process was ended before the answer was recorded.
        """
        query = sa.select(Notification).where(
            Notification.channel == "email",
            Notification.emailed_at.is_(None),
            Notification.error_message.is_(None),
            Notification.sending_at < utc_now() - HANDED_OVER_WITHIN,
        )
        messages: dict[str, list[Notification]] = {}
        for notification in self._session.scalars(query.order_by(Notification.sending_at)):
            messages.setdefault(str(notification.message_id), []).append(notification)
        for own in messages.values():
            ids = [each.notification_id for each in own]
            self.mark_unconfirmed(ids, "no answer of the mail server was recorded")

    def was_handed_over(self, message_id: str) -> bool:
        """Whether a message with that id was handed over."""
        here = sa.and_(Notification.message_id == message_id, Notification.sending_at.is_not(None))
        return self._session.scalar(sa.select(sa.exists().where(here))) or False

    def hand_over(self, notification_ids: Sequence[str], message_id: str) -> bool:
        """Record that a message with these notifications is handed over now. False if any of them already was."""
        change = (
            sa.update(Notification)
            .where(
                Notification.notification_id.in_(notification_ids),
                Notification.sending_at.is_(None),
                Notification.emailed_at.is_(None),
            )
            .values(sending_at=utc_now(), message_id=message_id)
            .returning(Notification.notification_id)
        )
        return len(self._session.scalars(change).all()) == len(notification_ids)

    def emailed(self, *notification_ids: str) -> None:
        """Record that the message of these notifications was accepted."""
        here = Notification.notification_id.in_(notification_ids)
        self._session.execute(sa.update(Notification).where(here).values(emailed_at=utc_now(), error_message=None))

    def failed(self, notification_ids: Sequence[str], reason: str) -> None:
        """Record a failed attempt, and the time of the next attempt."""
        for notification_id in notification_ids:
            notification = self._session.get_one(Notification, notification_id)
            notification.attempts += 1
            wait = timedelta(minutes=2 ** min(notification.attempts - 2, 10)) if notification.attempts > 1 else None
            notification.next_attempt_at = utc_now() + min(wait, LONGEST_WAIT) if wait else None
            notification.sending_at, notification.message_id = None, None
            notification.error_message = reason

    def mark_unconfirmed(self, notification_ids: Sequence[str], reason: str) -> None:
        """Record that it is not known whether a message arrived, and notify its recipient of that.

        The message is not sent again.
        """
        lost = [self._session.get_one(Notification, notification_id) for notification_id in notification_ids]
        for notification in lost:
            notification.error_message = f"it may have arrived: {reason}"
        first = lost[0]
        subjects = "\n".join(f"- {notification.subject}" for notification in lost)
        self.create(
            first.notification_type,
            "critical" if any(each.priority == "critical" for each in lost) else "normal",
            recipient=first.recipient,
            subject=f"A mail of {first.sending_at:%Y-%m-%d %H:%M} UTC may not have arrived",
            body=f"It is not known whether the mail arrived, and it is not sent again. It was about:\n\n{subjects}\n\n"
            f"Reason: {reason}. `lending notifications` lists everything.\n",
            action_required=any(each.action_required for each in lost),
            business_date=first.business_date,
        )

    def about_run(self, run_id: str) -> bool:
        """Whether there is a notification that a run failed."""
        here = sa.and_(
            Notification.notification_type == "run_failed", Notification.alert_data["run_id"].as_string() == run_id
        )
        return self._session.scalar(sa.select(sa.exists().where(here))) or False

    def get(self, notification_id: str) -> Notification:
        """The notification whose id begins with the text. Raises RegisterError when none does, or several do."""
        here = Notification.notification_id.startswith(notification_id, autoescape=True)
        found = list(self._session.scalars(sa.select(Notification).where(here).limit(2)))
        if len(found) != 1 or not notification_id:
            what = "several notifications begin with" if len(found) > 1 else "there is no notification"
            raise RegisterError(f"{what} {notification_id!r}: `lending notifications` lists them")
        return found[0]

    def read(self, notification_id: str) -> Notification:
        """Record that the notification was read."""
        notification = self.get(notification_id)
        notification.read_at = notification.read_at or utc_now()
        return notification

    def act(self, notification_id: str) -> Notification:
        """Record that the action that a notification requires was taken. Raises RegisterError if it requires none."""
        notification = self.read(notification_id)
        if not notification.action_required:
            raise RegisterError(f"notification {notification.notification_id} requires no action")
        notification.acted_at = notification.acted_at or utc_now()
        return notification

    def recent(
        self,
        recipient: str | None = None,
        limit: int = 100,
        *,
        priority: str | None = None,
        notification_type: str | None = None,
        unread: bool = False,
    ) -> list[Notification]:
        """The latest notifications first: of a recipient, priority or type, or only those that are not read."""
        query = sa.select(Notification).order_by(Notification.created_at.desc(), Notification.notification_id)
        if recipient is not None:
            query = query.where(Notification.recipient == recipient)
        if priority is not None:
            query = query.where(Notification.priority == priority)
        if notification_type is not None:
            query = query.where(Notification.notification_type == notification_type)
        if unread:
            query = query.where(Notification.read_at.is_(None))
        return list(self._session.scalars(query.limit(limit)))

    def older_than(self, before: datetime) -> tuple[int, int]:
        """How many notifications created before that instant `delete_older_than` deletes, and how many it keeps."""
        older = sa.select(sa.func.count()).where(Notification.created_at < before)
        gone = self._session.scalar(older.where(~_STAYS)) or 0
        return gone, (self._session.scalar(older) or 0) - gone

    def delete_older_than(self, before: datetime) -> None:
        """Delete notifications created before that instant, except of alerts and unread ones that require an action."""
        self._session.execute(sa.delete(Notification).where(Notification.created_at < before, ~_STAYS))
