"""The mail server: sends one message to one recipient. Callers write the message."""

import smtplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, localtime
from typing import Any
from urllib.parse import unquote, urlsplit

from lending_pipelines.delivery.parcel import DeliveryError, UncertainDelivery

SECONDS = 30
"""The time without a response after which the mail server counts as unavailable."""

WRITE = "set LENDING_SMTP_URL to smtp://user:password@host:587"
"""How to configure a mail server."""


@dataclass(frozen=True)
class MailServer:
    """An SMTP server and the sender's address.

    `url` is smtp://user:password@host:port, with TLS when the server offers it, or smtps:// with TLS from the start.
    `limit` is the maximum total size of attachments, in bytes.
    """

    url: str
    sender: str
    limit: int

    def send(self, message: EmailMessage, starting: Callable[[], None] = lambda: None) -> None:
        """Send a message to one recipient. Raises DeliveryError, or UncertainDelivery if the final reply is missing.

        `starting` is called when the server has accepted the recipient, immediately before the message is handed over.
        """
        message["From"] = self.sender
        message["Date"] = format_datetime(localtime())
        try:
            with self._connected() as server:
                server.starting = starting
                server.send_message(message)
        except UncertainDelivery:
            raise
        except (OSError, smtplib.SMTPException) as error:
            raise DeliveryError(f"mail to {message['To']} by {self._name}: {_words(error)}") from error

    def check(self) -> None:
        """Connect and sign in, and send nothing; DeliveryError when that is not possible."""
        try:
            with self._connected():
                pass
        except (OSError, smtplib.SMTPException) as error:
            raise DeliveryError(f"mail server {self._name}: {_words(error)}") from error

    @property
    def _name(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port or 'its port'}"

    @contextmanager
    def _connected(self) -> "Iterator[_Server | _SecureServer]":
        """A connection, signed in if the URL has a user. A password is sent only with TLS or to this machine."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise DeliveryError(f"LENDING_SMTP_URL is not a valid mail server URL: {WRITE}")
        server: _Server | _SecureServer
        if parts.scheme == "smtps":
            server = _SecureServer(
                parts.hostname, parts.port or 465, timeout=SECONDS, context=ssl.create_default_context()
            )
        else:
            server = _Server(parts.hostname, parts.port or 25, timeout=SECONDS)
        try:
            server.ehlo()
            secure = parts.scheme == "smtps"
            if not secure and server.has_extn("starttls"):
                server.starttls(context=ssl.create_default_context())
                secure = True
            if parts.username:
                if not secure and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
                    raise DeliveryError(f"mail server {self._name} offers no TLS: the password is not sent unencrypted")
                server.login(unquote(parts.username), unquote(parts.password or ""))
            yield server
            # The server has accepted the message; an error while closing does not matter.
            with suppress(OSError):
                server.quit()
        finally:
            server.close()


class _UncertainAfterData:
    """Raises UncertainDelivery when the connection breaks after the message was sent and before the server's reply."""

    starting: Callable[[], None] = staticmethod(lambda: None)

    def data(self, message: Any) -> tuple[int, bytes]:
        """Send the message's text."""
        self.starting()
        try:
            return super().data(message)  # type: ignore[misc]
        except smtplib.SMTPResponseException:
            raise
        except OSError as error:
            reason = f"the mail server closed the connection while the message was sent: {_words(error)}"
            raise UncertainDelivery(reason) from error


class _Server(_UncertainAfterData, smtplib.SMTP):
    pass


class _SecureServer(_UncertainAfterData, smtplib.SMTP_SSL):
    pass


def _words(error: Exception) -> str:
    """The server's reply, or the error, as text."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(f"{code} {reply.decode(errors='replace')}" for code, reply in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        reply = error.smtp_error
        return f"{error.smtp_code} {reply.decode(errors='replace') if isinstance(reply, bytes) else reply}"
    return str(error) or type(error).__name__
