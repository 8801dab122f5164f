"""Tapes by email, through a real SMTP server: attached, or linked where they are large."""

import socket
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from urllib.request import urlopen
from uuid import uuid4

import fsspec
import pytest
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from parcel_files import FILES
from servers import mail_server

from lending_pipelines.delivery import DeliveryError, EmailChannel, MailServer, UncertainDelivery, check_address

SENDER = "Lender <tapes@lender.example>"
SIZE = sum(map(len, FILES.values()))


def server(mailbox, limit=1_000_000):
    return MailServer(mailbox.url, SENDER, limit)


def test_the_files_arrive_byte_for_byte(mailbox, parcel):
    EmailChannel("ann@harbour.example", server(mailbox, limit=SIZE)).deliver(parcel)
    (message,) = mailbox.messages
    assert mailbox.to == ["ann@harbour.example"]
    assert (message["From"], message["To"]) == (SENDER, "ann@harbour.example")
    assert message["Subject"] == "Correction of loan tape Harbour monthly, 2025-03-31"
    assert {part.get_filename(): part.get_content() for part in message.iter_attachments()} == FILES
    text = message.get_body().get_content()
    assert parcel.files[0].sha256 in text
    assert "It corrects tape_v1.csv" in text
    assert "too large" not in text


@pytest.mark.parametrize("limit", [1_000_000, 1])
def test_a_file_that_was_changed_after_it_was_made_is_not_sent(mailbox, parcel, monkeypatch, limit):
    monkeypatch.setattr("lending_pipelines.delivery.email.signed_link", lambda url: f"https://store.example/{url}")
    fsspec.filesystem("file").pipe_file(parcel.files[0].url, b"loan_id,balance\nL-1,90.00\n")
    with pytest.raises(DeliveryError, match=r"tape\.csv does not match its manifest: its sha256 is"):
        EmailChannel("ann@harbour.example", server(mailbox, limit)).deliver(parcel)
    assert mailbox.messages == []


def test_every_attempt_has_the_same_message_id(mailbox, parcel):
    channel = EmailChannel("ann@harbour.example", server(mailbox))
    channel.deliver(parcel)
    channel.deliver(parcel)
    first, second = mailbox.messages
    assert first["Message-ID"] == second["Message-ID"] == "<0123abcd@lender.example>"


def test_a_recipient_who_is_refused_is_an_error_that_says_why(mailbox, parcel):
    mailbox.refused.add("ann@harbour.example")
    with pytest.raises(DeliveryError, match=r"mail to ann@harbour\.example by 127\.0\.0\.1:\d+: 550 no such mailbox"):
        EmailChannel("ann@harbour.example", server(mailbox)).deliver(parcel)
    assert mailbox.messages == []


def test_a_server_that_hangs_up_after_the_message_may_have_taken_it(mailbox, parcel):
    mailbox.hangs_up = True
    with pytest.raises(UncertainDelivery, match="closed the connection while the message was sent"):
        EmailChannel("ann@harbour.example", server(mailbox)).deliver(parcel)
    assert len(mailbox.messages) == 1


def test_a_server_that_ends_badly_has_taken_the_message(mailbox, parcel):
    mailbox.goodbye = "554 never again"
    EmailChannel("ann@harbour.example", server(mailbox)).deliver(parcel)
    assert len(mailbox.messages) == 1


@pytest.fixture
def certified(tmp_path, monkeypatch):
    """A server's TLS context whose certificate this process trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (tmp_path / "cert.pem").write_bytes(certificate.public_bytes(pem))
    private = (pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "key.pem").write_bytes(key.private_bytes(*private))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context


def test_a_password_goes_over_tls(certified, parcel):
    logins = []

    def authenticate(server, session, envelope, mechanism, login):
        logins.append((login.login, login.password, server._tls_protocol is not None))
        return AuthResult(success=True)

    with mail_server(tls_context=certified, authenticator=authenticate, auth_required=True) as box:
        secured = box.url.replace("smtp://", "smtp://lender:a%2Fb%40c@")
        EmailChannel("ann@harbour.example", MailServer(secured, SENDER, 1_000_000)).deliver(parcel)
        assert len(box.messages) == 1
    assert logins == [(b"lender", b"a/b@c", True)]


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "localhost"),
        pytest.param("::1", "[::1]", marks=pytest.mark.skipif(not _has_ipv6(), reason="no IPv6 loopback")),
    ],
)
def test_a_password_may_go_in_clear_to_this_machine(address, host):
    passwords = []

    def authenticate(server, session, envelope, mechanism, login):
        passwords.append(login.password)
        return AuthResult(success=True)

    with mail_server(address, authenticator=authenticate, auth_require_tls=False) as box:
        MailServer(box.url.replace(address, f"lender:hush@{host}"), SENDER, 1_000_000).check()
    assert passwords == [b"hush"]


def test_a_password_is_not_sent_in_clear(parcel):
    with mail_server("127.0.0.2") as box:
        unsecured = box.url.replace("smtp://", "smtp://lender:hush@")
        with pytest.raises(DeliveryError, match="offers no TLS: the password is not sent unencrypted") as refusal:
            EmailChannel("ann@harbour.example", MailServer(unsecured, SENDER, 1_000_000)).deliver(parcel)
        assert box.messages == []
    assert "hush" not in str(refusal.value)


def test_a_server_that_is_down_took_nothing(mailbox, parcel):
    down = replace(server(mailbox), url="smtp://127.0.0.1:1")
    with pytest.raises(DeliveryError, match="Connection refused") as refusal:
        EmailChannel("ann@harbour.example", down).deliver(parcel)
    assert not isinstance(refusal.value, UncertainDelivery)


def test_without_a_mail_server_nothing_can_be_sent(parcel):
    with pytest.raises(DeliveryError, match="set LENDING_SMTP_URL"):
        EmailChannel("ann@harbour.example", None)


@pytest.mark.parametrize("url", ["http://127.0.0.1:25", "127.0.0.1:25", "smtp:///"])
def test_an_invalid_mail_server_url_is_refused(url):
    with pytest.raises(DeliveryError, match="is not a valid mail server URL: set LENDING_SMTP_URL"):
        MailServer(url, SENDER, 1_000_000).check()


def test_a_large_tape_in_a_place_without_links_is_not_sent(mailbox, parcel):
    with pytest.raises(DeliveryError, match=r"tape\.csv is too large to attach.*deliver the tape to a delivery_url"):
        EmailChannel("ann@harbour.example", server(mailbox, limit=SIZE - 1)).deliver(parcel)
    assert mailbox.messages == []


@pytest.mark.parametrize("address", ["ann", "ann@", "a b@harbour.example", ""])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(DeliveryError, match="is not an email address"):
        check_address(address)


def test_an_address_is_not_refused():
    check_address("ann.lee+tapes@harbour.example")


def test_a_large_tape_in_an_object_store_is_linked(mailbox, parcel, bucket):
    folder = f"{bucket}/{uuid4()}"
    stored = [replace(file, url=f"{folder}/{file.name}") for file in parcel.files]
    for before, after in zip(parcel.files, stored, strict=True):
        with fsspec.open(after.url, "wb") as target:
            target.write(FILES[before.name])
    EmailChannel("ann@harbour.example", server(mailbox, limit=10)).deliver(replace(parcel, files=tuple(stored)))
    (message,) = mailbox.messages
    links = [line for line in message.get_content().splitlines() if line.startswith("http")]
    # Whoever has a link needs nothing else.
    assert [urlopen(link).read() for link in links] == list(FILES.values())
