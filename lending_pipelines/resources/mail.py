"""The mail server as a resource."""

import dagster as dg
from pydantic import Field

from lending_pipelines.delivery import MailServer
from lending_pipelines.settings import Settings


class MailResource(dg.ConfigurableResource):
    """How tapes and notifications go out by email."""

    url: str = Field(
        default="", description="smtp://user:password@host:587, or smtps://. Empty: LENDING_SMTP_URL; none: no mail."
    )
    sender: str = Field(default="", description="The address that mail is from. Empty: LENDING_MAIL_FROM.")

    @property
    def server(self) -> MailServer | None:
        """The mail server; None when there is none."""
        settings = Settings.from_environment()
        url = self.url or settings.smtp_url
        return MailServer(url, self.sender or settings.mail_from, settings.mail_limit_mb * 1_000_000) if url else None
