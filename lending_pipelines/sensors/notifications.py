"""Emails notifications whose recipient is an email address."""

from email.message import EmailMessage

import dagster as dg

from lending_pipelines.delivery import DeliveryError
from lending_pipelines.register import Notifications
from lending_pipelines.resources import MailResource, RegisterResource


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Emails notifications to recipients with an email address, except those of low priority.",
)
def email_notifications(
    context: dg.SensorEvaluationContext, register: RegisterResource, mail: MailResource
) -> dg.SkipReason:
    """Send new notifications. Those that the mail server rejects are retried for a day."""
    server = mail.server
    if server is None:
        return dg.SkipReason("no mail server: set LENDING_SMTP_URL")
    with register.register.session() as session:
        unsent = Notifications(session).to_email()
    refused = []
    for notification in unsent:
        message = EmailMessage()
        message["To"] = notification.recipient
        message["Subject"] = " ".join(notification.subject.split())
        message.set_content(notification.body)
        try:
            server.send(message)
        except DeliveryError as error:
            refused.append(str(error))
            continue
        with register.register.session() as session:
            Notifications(session).emailed(notification.notification_id)
    return dg.SkipReason("; ".join([f"{len(unsent) - len(refused)} sent", *refused]))
