"""The mail server as a resource."""

import dagster as dg
from pydantic import Field

from lending_pipelines.delivery import MailServer
from lending_pipelines.settings import Settings


class MailResource(dg.ConfigurableResource):
    """The mail server for tapes and notifications."""

    url: str = Field(
        default="", description="smtp://user:password@host:587, or smtps://. Empty: LENDING_SMTP_URL; unset: no email."
    )
    sender: str = Field(default="", description="The sender address. Empty: LENDING_MAIL_FROM.")

    @property
    def server(self) -> MailServer | None:
        """The mail server; None if none is configured."""
        settings = Settings.from_environment()
        url = self.url or settings.smtp_url
        return MailServer(url, self.sender or settings.mail_from, settings.mail_limit_mb * 1_000_000) if url else None
