"""Tapes by email, through a real SMTP server: attached, or linked where they are large."""

from dataclasses import replace
from urllib.request import urlopen
from uuid import uuid4

import fsspec
import pytest
from conftest import FILES

from lending_pipelines.delivery import DeliveryError, EmailChannel, MailServer, UncertainDelivery, check_address

SENDER = "Lender <tapes@lender.example>"


def server(mailbox, limit=1_000_000):
    return MailServer(mailbox.url, SENDER, limit)


def test_the_files_arrive_byte_for_byte(mailbox, parcel):
    EmailChannel("ann@harbour.example", server(mailbox)).deliver(parcel)
    (message,) = mailbox.messages
    assert mailbox.to == ["ann@harbour.example"]
    assert (message["From"], message["To"]) == (SENDER, "ann@harbour.example")
    assert message["Subject"] == "Correction of loan tape Harbour monthly, 2025-03-31"
    assert {part.get_filename(): part.get_content() for part in message.iter_attachments()} == FILES
    text = message.get_body().get_content()
    assert parcel.files[0].sha256 in text
    assert "It corrects tape_v1.csv" in text


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
    with pytest.raises(UncertainDelivery, match="broke off as the message was sent"):
        EmailChannel("ann@harbour.example", server(mailbox)).deliver(parcel)
    assert len(mailbox.messages) == 1


def test_a_server_that_is_down_took_nothing(mailbox, parcel):
    down = replace(server(mailbox), url="smtp://127.0.0.1:1")
    with pytest.raises(DeliveryError, match="Connection refused") as refusal:
        EmailChannel("ann@harbour.example", down).deliver(parcel)
    assert not isinstance(refusal.value, UncertainDelivery)


def test_without_a_mail_server_nothing_can_be_sent(parcel):
    with pytest.raises(DeliveryError, match="set LENDING_SMTP_URL"):
        EmailChannel("ann@harbour.example", None)


def test_a_large_tape_in_a_place_without_links_is_not_sent(mailbox, parcel):
    with pytest.raises(DeliveryError, match=r"tape\.csv is too large to attach.*deliver the tape to a delivery_url"):
        EmailChannel("ann@harbour.example", server(mailbox, limit=10)).deliver(parcel)
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
