"""Notifications to staff and teams, as rows. Sending them by email is done by sensors/."""

from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.register.alert_models import Alert
from lending_pipelines.register.models import Notification, NotificationType, Priority
from lending_pipelines.register.types import new_id, utc_now

EMAILED_WITHIN = timedelta(days=1)
"""A notification not emailed within this time is no longer emailed; it stays readable in the register."""

_STAYS = sa.or_(
    sa.and_(Notification.action_required, Notification.read_at.is_(None), Notification.acted_at.is_(None)),
    # It is what the alert's recipients were told.
    sa.func.coalesce(Notification.alert_id, "").in_(sa.select(Alert.alert_id)),
)


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
    ) -> str:
        """Add a notification and return its notification_id. `alert_data` holds plain JSON values."""
        notification = Notification(
            notification_id=new_id(),
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

    def to_email(self) -> list[Notification]:
        """Notifications of the last day still to email, oldest first, without low priority and team recipients."""
        query = sa.select(Notification).where(
            Notification.emailed_at.is_(None),
            Notification.priority != "low",
            Notification.recipient.contains("@"),
            Notification.created_at > utc_now() - EMAILED_WITHIN,
        )
        return list(self._session.scalars(query.order_by(Notification.created_at)))

    def emailed(self, notification_id: str) -> None:
        """Record that the notification was emailed."""
        self._session.get_one(Notification, notification_id).emailed_at = utc_now()

    def recent(self, recipient: str | None = None, limit: int = 100) -> list[Notification]:
        """The latest notifications first, of all recipients or of one."""
        query = sa.select(Notification).order_by(Notification.created_at.desc(), Notification.notification_id)
        if recipient is not None:
            query = query.where(Notification.recipient == recipient)
        return list(self._session.scalars(query.limit(limit)))

    def older_than(self, before: datetime) -> tuple[int, int]:
        """How many notifications created before that instant `delete_older_than` deletes, and how many it leaves."""
        older = sa.select(sa.func.count()).where(Notification.created_at < before)
        gone = self._session.scalar(older.where(~_STAYS)) or 0
        return gone, (self._session.scalar(older) or 0) - gone

    def delete_older_than(self, before: datetime) -> None:
        """Delete notifications created before that instant, except of alerts and unread ones that require an action."""
        self._session.execute(sa.delete(Notification).where(Notification.created_at < before, ~_STAYS))
