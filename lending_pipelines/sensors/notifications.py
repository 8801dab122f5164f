"""Sends notifications by email and webhook."""

import dagster as dg

from lending_pipelines.alerts.close import notify
from lending_pipelines.alerts.outbox import Outbox
from lending_pipelines.delivery import Webhook
from lending_pipelines.resources import MailResource, RegisterResource
from lending_pipelines.settings import Settings


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sends notifications by email and webhook: critical ones at once, other alerts in one mail a day.",
)
def email_notifications(
    context: dg.SensorEvaluationContext, register: RegisterResource, mail: MailResource
) -> dg.SkipReason:
    """Send what is due. What the mail server does not accept is sent again, with longer and longer waits."""
    settings = Settings.from_environment()
    url = settings.alert_webhook_url
    if mail.server is None and not url:
        return dg.SkipReason("no mail server: set LENDING_SMTP_URL")
    notify(register.register, settings)
    webhook = Webhook(url, settings.alert_webhook_secret) if url else None
    outbox = Outbox(
        register.register, mail.server, webhook, settings.lender_name, settings.timezone, settings.alert_digest_hour
    )
    return dg.SkipReason(str(outbox.send()))
