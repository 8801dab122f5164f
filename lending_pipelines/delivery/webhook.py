"""Delivery by webhook: a signed JSON POST.

The receiver computes HMAC-SHA256 of `timestamp.body` with the shared secret and compares it with the header
X-Lending-Signature, and rejects old timestamps. Idempotency-Key is the same for every attempt.
"""

import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from lending_pipelines.delivery.parcel import DeliveryError

SECONDS = 30
"""The time without a response after which the receiver counts as unavailable."""

_REDIRECTS = range(300, 400)
"""The status codes of answers that name another URL."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect as it is, an error: following it sends a GET without the payload."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


@dataclass(frozen=True)
class Webhook:
    """A URL that accepts POST requests, and the secret that signs them."""

    url: str
    secret: str

    def post(self, payload: dict[str, Any], key: str, now: Callable[[], float] = time.time) -> None:
        """Send a payload of JSON values. Raises DeliveryError unless the answer is 2xx.

        Args:
            payload: The body.
            key: The payload's id, by which the receiver recognizes a repetition.
            now: The clock, in seconds since 1970.
        """
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise DeliveryError("LENDING_ALERT_WEBHOOK_URL is not valid: write https://host/path")
        if not self.secret:
            raise DeliveryError("LENDING_ALERT_WEBHOOK_SECRET is not set: requests must be signed")
        body = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
        timestamp = str(int(now()))
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": key,
            "X-Lending-Timestamp": timestamp,
            "X-Lending-Signature": f"sha256={signature(self.secret, timestamp, body)}",
        }
        request = urllib.request.Request(self.url, body, headers, method="POST")
        try:
            with urllib.request.build_opener(_NoRedirects).open(request, timeout=SECONDS) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            if error.code in _REDIRECTS:
                raise DeliveryError(
                    f"webhook {self._host}: {error.code} {error.reason}: redirects are not followed, set"
                    " LENDING_ALERT_WEBHOOK_URL to the final URL"
                ) from error
            raise DeliveryError(f"webhook {self._host}: {error.code} {error.reason}") from error
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise DeliveryError(f"webhook {self._host}: {reason}") from error

    @property
    def _host(self) -> str:
        # The path may hold a secret.
        return urlsplit(self.url).hostname or "of LENDING_ALERT_WEBHOOK_URL"


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The signature of a request, in hexadecimal."""
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
