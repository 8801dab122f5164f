"""Notifications by webhook: a signed POST to a real server on loopback."""

import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from lending_pipelines.delivery import DeliveryError, Webhook


@pytest.fixture
def receiver():
    """A server that keeps what it is sent, and answers `status`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.requests.append((dict(self.headers), body))
            self.send_response(self.server.status)
            if self.server.status in (301, 307):
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def do_GET(self):
            self.server.requests.append((dict(self.headers), b""))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.status = [], 204
    server.url = f"http://127.0.0.1:{server.server_port}/hook/token"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_receiver_can_check_who_sent_it_and_when(receiver):
    Webhook(receiver.url, "s3cret").post({"subject": "PAR 30 ÷"}, "id-1", now=lambda: 1_700_000_000.9)
    ((headers, body),) = receiver.requests
    assert json.loads(body) == {"subject": "PAR 30 ÷"}
    assert (headers["Content-Type"], headers["Idempotency-Key"]) == ("application/json", "id-1")
    assert headers["X-Lending-Timestamp"] == "1700000000"
    expected = hmac.new(b"s3cret", b"1700000000." + body, hashlib.sha256).hexdigest()
    assert headers["X-Lending-Signature"] == f"sha256={expected}"


def test_an_answer_other_than_2xx_is_an_error_without_the_path(receiver):
    receiver.status = 503
    with pytest.raises(DeliveryError, match=r"^webhook 127\.0\.0\.1: 503 Service Unavailable$"):
        Webhook(receiver.url, "s3cret").post({}, "id-1")


@pytest.mark.parametrize("status", [301, 307])
def test_a_redirect_is_not_followed_because_its_get_has_no_payload(receiver, status):
    receiver.status = status
    with pytest.raises(DeliveryError, match=rf"^webhook 127\.0\.0\.1: {status} .*: redirects are not followed, set"):
        Webhook(receiver.url, "s3cret").post({}, "id-1")
    assert len(receiver.requests) == 1


def test_a_server_that_is_down_is_an_error():
    with pytest.raises(DeliveryError, match=r"^webhook 127\.0\.0\.1: \[Errno \d+\] Connection refused$"):
        Webhook("http://127.0.0.1:1/hook", "s3cret").post({}, "id-1")


@pytest.mark.parametrize(
    ("url", "secret", "message"),
    [
        ("127.0.0.1/hook", "s", "LENDING_ALERT_WEBHOOK_URL is not valid: write https://host/path"),
        ("https://127.0.0.1/hook", "", "LENDING_ALERT_WEBHOOK_SECRET is not set"),
    ],
)
def test_a_webhook_that_is_not_configured_sends_nothing(url, secret, message):
    with pytest.raises(DeliveryError, match=message):
        Webhook(url, secret).post({}, "id-1")
