"""Sends notifications. Critical ones, and those not about alerts, are sent at once; the others in one mail a day.

A message is recorded as handed over immediately before the mail server gets it, and as sent when the server has
accepted it. A message that is recorded as handed over is never sent again, so that none arrives twice, even if the
process is killed. If the server does not answer, it is unknown whether the message arrived, and another mail says so.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from email.errors import InvalidHeaderDefect, MessageError
from email.message import EmailMessage
from functools import partial
from zoneinfo import ZoneInfo

from lending_pipelines.alerts.mail import alert_message, digest_message
from lending_pipelines.alerts.report_mail import report_message
from lending_pipelines.delivery import DeliveryError, MailServer, UncertainDelivery, Webhook
from lending_pipelines.register import Notifications, Register
from lending_pipelines.register.models import Notification
from lending_pipelines.register.types import utc_now


class _HandedOver(Exception):
    """Another process has recorded the message as handed over."""


@dataclass
class Sent:
    """The number of messages that were sent, and why others were not sent."""

    messages: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "; ".join([f"{self.messages} sent", *self.problems])


@dataclass(frozen=True)
class Outbox:
    """Sends notifications. `mail` and `webhook` are None if they are not configured.

    `digest_hour` is the hour of the day, in the lender's time zone, from which the daily mail is sent.
    """

    register: Register
    mail: MailServer | None
    webhook: Webhook | None
    lender: str
    timezone: str
    digest_hour: int = 0

    def send(self, now: Callable[[], datetime] = utc_now) -> Sent:
        """Send everything that is due. A message that fails does not stop the others."""
        sent = Sent()
        if self.mail is not None:
            with self.register.session() as session:
                Notifications(session).report_unanswered()
                due = Notifications(session).to_send("email")
            later = [each for each in due if each.alert_id is not None and each.priority != "critical"]
            for notification in due:
                if notification not in later:
                    self._mail([notification], partial(self._message, notification), notification.notification_id, sent)
            self._send_digests(later, now().astimezone(ZoneInfo(self.timezone)), sent)
        if self.webhook is not None:
            with self.register.session() as session:
                due = Notifications(session).to_send("webhook")
            for notification in due:
                self._post(self.webhook, notification, sent)
        return sent

    def _message(self, notification: Notification) -> EmailMessage:
        """The message of one notification. Raises DeliveryError when the file of a report cannot be attached."""
        assert self.mail is not None
        if notification.alert_id is not None and notification.alert_data is not None:
            return alert_message(notification.alert_data, self.lender)
        if notification.notification_type == "report_ready" and notification.alert_data is not None:
            return report_message(notification.alert_data, notification.body, self.lender, self.mail.limit)
        message = EmailMessage()
        message["Subject"] = " ".join(notification.subject.split())
        message.set_content(notification.body)
        return message

    def _send_digests(self, later: Sequence[Notification], now: datetime, sent: Sent) -> None:
        """Send one mail a day to each recipient."""
        if now.hour < self.digest_hour:
            return
        by_recipient: dict[str, list[Notification]] = defaultdict(list)
        for notification in later:
            by_recipient[notification.recipient].append(notification)
        for recipient, own in by_recipient.items():
            name = _digest_name(recipient, now.date())
            with self.register.session() as session:
                if Notifications(session).was_handed_over(self._message_id(name)):
                    continue
            entries = [each.alert_data for each in own if each.alert_data]
            self._mail(own, partial(digest_message, entries, now.date(), self.lender), name, sent)

    def _mail(
        self, notifications: Sequence[Notification], write: Callable[[], EmailMessage], name: str, sent: Sent
    ) -> None:
        """Send one message about notifications to the same recipient. `write` makes the message."""
        assert self.mail is not None
        ids = [each.notification_id for each in notifications]

        def starting() -> None:
            with self.register.session() as session:
                if not Notifications(session).hand_over(ids, self._message_id(name)):
                    session.rollback()
                    raise _HandedOver

        try:
            message = write()
            _address(message, notifications[0].recipient)
            message["Message-ID"] = self._message_id(name)
            self.mail.send(message, starting)
        except _HandedOver:
            return
        except UncertainDelivery as error:
            with self.register.session() as session:
                Notifications(session).mark_unconfirmed(ids, str(error))
            sent.problems.append(str(error))
            return
        except DeliveryError as error:
            with self.register.session() as session:
                Notifications(session).failed(ids, str(error))
            sent.problems.append(str(error))
            return
        with self.register.session() as session:
            Notifications(session).emailed(*ids)
        sent.messages += 1

    def _message_id(self, name: str) -> str:
        """The id of the message. It is the same for every attempt, so that a receiver can recognize a repetition."""
        domain = self.mail.sender.rpartition("@")[2].rstrip(">") if self.mail else ""
        return f"<{name}@{domain}>"

    def _post(self, webhook: Webhook, notification: Notification, sent: Sent) -> None:
        """Send by webhook.

        The receiver recognizes a repetition by its key, so a message is sent again if the answer was lost.
        """
        payload = {
            "notification_id": notification.notification_id,
            "type": notification.notification_type,
            "priority": notification.priority,
            "subject": notification.subject,
            "body": notification.body,
            "action_required": notification.action_required,
            "business_date": notification.business_date.isoformat() if notification.business_date else None,
            "alert": notification.alert_data,
        }
        try:
            webhook.post(payload, notification.notification_id)
        except DeliveryError as error:
            with self.register.session() as session:
                Notifications(session).failed([notification.notification_id], str(error))
            sent.problems.append(str(error))
            return
        with self.register.session() as session:
            Notifications(session).emailed(notification.notification_id)
        sent.messages += 1


def _address(message: EmailMessage, recipient: str) -> None:
    """Set the recipient. Raises DeliveryError for a text that the message would not reach, completely or at all."""
    try:
        message["To"] = recipient
        wrong = [str(each) for each in message["To"].defects if isinstance(each, InvalidHeaderDefect)]
    except (ValueError, IndexError, AttributeError, MessageError) as error:
        # The parser of the standard library fails with IndexError or AttributeError on some texts.
        wrong = [str(error)]
    if wrong:
        raise DeliveryError(f"mail to {recipient!r}: this is not an email address: {wrong[0]}: write name@example.com")


def _digest_name(recipient: str, day: date) -> str:
    return f"digest-{hashlib.sha256(recipient.encode()).hexdigest()[:16]}-{day}"
