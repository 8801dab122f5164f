"""Notifications: what someone should know. Sending them is another matter."""

from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.register.models import Notification, NotificationType, Priority
from lending_pipelines.register.types import new_id, utc_now

EMAILED_WITHIN = timedelta(days=1)
"""What could not be emailed for so long is only to be read here."""


class Notifications:
    """The notifications as one session sees them."""

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
        """A new notification; its notification_id. `alert_data` are plain JSON values."""
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
        """What was not emailed yet of the last day, the oldest first; of low priority and to teams nothing is."""
        query = sa.select(Notification).where(
            Notification.emailed_at.is_(None),
            Notification.priority != "low",
            Notification.recipient.contains("@"),
            Notification.created_at > utc_now() - EMAILED_WITHIN,
        )
        return list(self._session.scalars(query.order_by(Notification.created_at)))

    def emailed(self, notification_id: str) -> None:
        """It has been sent."""
        self._session.get_one(Notification, notification_id).emailed_at = utc_now()

    def recent(self, recipient: str | None = None, limit: int = 100) -> list[Notification]:
        """The latest notifications, latest first, all or those of one recipient."""
        query = sa.select(Notification).order_by(Notification.created_at.desc(), Notification.notification_id)
        if recipient is not None:
            query = query.where(Notification.recipient == recipient)
        return list(self._session.scalars(query.limit(limit)))
