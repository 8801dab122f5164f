"""Delivery by email: the files attached, or links to them where they are large. And the mail server that sends it."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, localtime
from typing import Any
from urllib.parse import unquote, urlsplit

import fsspec

from lending_pipelines.delivery.parcel import DeliveryError, Parcel, ParcelFile, UncertainDelivery

SECONDS = 30
"""After so long without a word the mail server counts as down."""

_WRITE = "set LENDING_SMTP_URL to smtp://user:password@host:587"

LINK_DAYS = 7
"""How long a link that an object store signs is good for: no store signs for longer."""


@dataclass(frozen=True)
class MailServer:
    """An SMTP server and whose name mail goes out under.

    `url` is smtp://user:password@host:port, with TLS when the server offers it, or smtps:// with TLS from the start.
    `limit` is how many bytes of files are attached at most.
    """

    url: str
    sender: str
    limit: int

    def send(self, message: EmailMessage) -> None:
        """Send a message to its one recipient; DeliveryError, or UncertainDelivery when the last word was not heard."""
        message["From"] = self.sender
        message["Date"] = format_datetime(localtime())
        try:
            with self._connected() as server:
                server.send_message(message)
        except UncertainDelivery:
            raise
        except (OSError, smtplib.SMTPException) as error:
            raise DeliveryError(f"mail to {message['To']} by {self._name}: {_words(error)}") from error

    @property
    def _name(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port or 'its port'}"

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        parts = urlsplit(self.url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise DeliveryError(f"the mail server's URL is not understood: {_WRITE}")
        tls = ssl.create_default_context()
        server: smtplib.SMTP
        if parts.scheme == "smtps":
            server = _SecureServer(parts.hostname, parts.port or 465, timeout=SECONDS, context=tls)
        else:
            server = _Server(parts.hostname, parts.port or 25, timeout=SECONDS)
        with server:
            server.ehlo()
            secure = parts.scheme == "smtps"
            if not secure and server.has_extn("starttls"):
                server.starttls(context=tls)
                secure = True
            if parts.username:
                if not secure and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
                    raise DeliveryError(
                        f"mail server {self._name} offers no TLS: no password is sent in clear"
                    )
                server.login(unquote(parts.username), unquote(parts.password or ""))
            yield server


class EmailChannel:
    """The way to one email address."""

    def __init__(self, address: str, server: MailServer | None) -> None:
        """DeliveryError when there is no mail server."""
        if server is None:
            raise DeliveryError(f"mail to {address}: there is no mail server: {_WRITE}")
        self._address = address
        self._server = server

    def deliver(self, parcel: Parcel) -> None:
        """Send one message with the files, or with links to them where they are too large together."""
        message = EmailMessage()
        message["To"] = self._address
        what = "Correction of loan tape" if parcel.supersedes else "Loan tape"
        message["Subject"] = f"{what} {' '.join(parcel.tape.split())}, {parcel.business_date}"
        # The same for every attempt: who gets it twice can tell.
        message["Message-ID"] = f"<{parcel.delivery_id}@{self._server.sender.rpartition('@')[2].rstrip('>')}>"
        sizes = [_size(file) for file in parcel.files]
        attached = sum(sizes) <= self._server.limit
        message.set_content(_text(parcel, [] if attached else [_link(file) for file in parcel.files]))
        for file in parcel.files if attached else ():
            with fsspec.open(file.url, "rb") as content:
                message.add_attachment(content.read(), "application", "octet-stream", filename=file.name)
        self._server.send(message)


class _LastWord:
    """Says of a message whose end was sent, and for which no answer came, that it may have arrived."""

    def data(self, message: Any) -> tuple[int, bytes]:
        """Send the message's text."""
        try:
            return super().data(message)  # type: ignore[misc]
        except smtplib.SMTPResponseException:
            raise
        except OSError as error:
            raise UncertainDelivery(f"the mail server broke off as the message was sent: {_words(error)}") from error


class _Server(_LastWord, smtplib.SMTP):
    pass


class _SecureServer(_LastWord, smtplib.SMTP_SSL):
    pass


def check_address(address: str) -> None:
    """DeliveryError when that is no email address."""
    try:
        Address(addr_spec=address)
    except (ValueError, IndexError) as error:
        raise DeliveryError(f"{address!r} is not an email address: {error}") from None
    if "@" not in address:
        raise DeliveryError(f"{address!r} is not an email address: write name@example.com")


def _text(parcel: Parcel, links: list[str]) -> str:
    tape = parcel.files[0]
    lines = [
        f"Loan tape {parcel.tape} of {parcel.business_date}: {tape.name}",
        f"Loans: {parcel.rows:,}",
        f"SHA-256: {tape.sha256}",
    ]
    if parcel.supersedes:
        lines.append(f"It corrects {parcel.supersedes}; the loans and fields that changed are listed beside it.")
    if links:
        lines += ["", f"The files are too large to attach. The links are good for {LINK_DAYS} days:", *links]
    return "\n".join(lines) + "\n"


def _size(file: ParcelFile) -> int:
    fs, path = fsspec.url_to_fs(file.url)
    return fs.size(path)


def _link(file: ParcelFile) -> str:
    fs, path = fsspec.url_to_fs(file.url)
    try:
        return fs.sign(path, expiration=LINK_DAYS * 86_400)
    except NotImplementedError:
        raise DeliveryError(
            f"{file.name} is too large to attach (LENDING_MAIL_LIMIT_MB), and {fs.protocol!r} gives no links:"
            " keep the exports in an object store, or deliver the tape to a delivery_url"
        ) from None


def _words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(f"{code} {reply.decode(errors='replace')}" for code, reply in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        reply = error.smtp_error
        return f"{error.smtp_code} {reply.decode(errors='replace') if isinstance(reply, bytes) else reply}"
    return str(error) or type(error).__name__
