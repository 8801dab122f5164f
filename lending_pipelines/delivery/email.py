"""Delivery by email: files are attached, or linked when they are too large."""

import hashlib
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage

import fsspec

from lending_pipelines.delivery.mail_server import WRITE, MailServer
from lending_pipelines.delivery.parcel import DeliveryError, Parcel, ParcelFile
from lending_pipelines.places import LINK_DAYS, hash_of, signed_link


class EmailChannel:
    """Sends parcels to one email address."""

    def __init__(self, address: str, server: MailServer | None) -> None:
        """Raises DeliveryError when there is no mail server."""
        if server is None:
            raise DeliveryError(f"mail to {address}: no mail server is configured: {WRITE}")
        self._address = address
        self._server = server

    def deliver(self, parcel: Parcel) -> None:
        """Send one message with the files attached, or with links when they exceed the size limit."""
        message = EmailMessage()
        message["To"] = self._address
        what = "Correction of loan tape" if parcel.supersedes else "Loan tape"
        message["Subject"] = f"{what} {' '.join(parcel.tape.split())}, {parcel.business_date}"
        # The same for every attempt, so that a receiver can recognize a duplicate.
        message["Message-ID"] = f"<{parcel.delivery_id}@{self._server.sender.rpartition('@')[2].rstrip('>')}>"
        sizes = [_size(file) for file in parcel.files]
        attached = sum(sizes) <= self._server.limit
        message.set_content(_text(parcel, [] if attached else [_link(file) for file in parcel.files]))
        for file in parcel.files if attached else ():
            message.add_attachment(_read(file), "application", "octet-stream", filename=file.name)
        self._server.send(message)


def check_address(address: str) -> None:
    """Raise DeliveryError when the text is not an email address."""
    try:
        Address(addr_spec=address)
    except (ValueError, IndexError, AttributeError, MessageError) as error:
        # The parser of the standard library fails with IndexError or AttributeError on some texts.
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
        lines.append(f"It corrects {parcel.supersedes}. The changed loans and fields are listed in the changes files.")
    if links:
        lines += ["", f"The files are too large to attach. The links are valid for {LINK_DAYS} days:", *links]
    return "\n".join(lines) + "\n"


def _read(file: ParcelFile) -> bytes:
    """The file's bytes. Raises DeliveryError when they are not those of its manifest."""
    with fsspec.open(file.url, "rb") as opened:
        content: bytes = opened.read()
    file.require_unchanged(hashlib.sha256(content).hexdigest())
    return content


def _size(file: ParcelFile) -> int:
    fs, path = fsspec.url_to_fs(file.url)
    return fs.size(path)


def _link(file: ParcelFile) -> str:
    if link := signed_link(file.url):
        file.require_unchanged(hash_of(file.url))
        return link
    fs, _ = fsspec.url_to_fs(file.url)
    raise DeliveryError(
        f"{file.name} is too large to attach (LENDING_MAIL_LIMIT_MB), and {fs.protocol!r} cannot create links:"
        " keep the exports in an object store, or deliver the tape to a delivery_url"
    )
