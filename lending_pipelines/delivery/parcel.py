"""What is delivered: a tape's files, and what their receiver is told of them."""

from dataclasses import dataclass
from datetime import date
from typing import Protocol

from lending_pipelines.errors import LendingError


class DeliveryError(LendingError):
    """A parcel did not arrive; nothing of it can be seen at its destination as if it had."""


class UncertainDelivery(DeliveryError):
    """A parcel may have arrived or not, and there is no way to find out but to ask."""


@dataclass(frozen=True)
class ParcelFile:
    """A file: its name at the destination, where it is, and its SHA-256."""

    name: str
    url: str
    sha256: str


@dataclass(frozen=True)
class Parcel:
    """A tape of a business date with its `rows` loans, the manifest and, of a correction, the changes.

    The tape is the first of the `files`, the manifest the last: where it is, the tape is whole. `supersedes` is the
    file name of the tape that it corrects.
    """

    delivery_id: str
    tape: str
    business_date: date
    rows: int
    supersedes: str | None
    files: tuple[ParcelFile, ...]


class Channel(Protocol):
    """A way to one destination."""

    def deliver(self, parcel: Parcel) -> None:
        """Deliver all files, or raise DeliveryError; what is there already, byte for byte, is delivered."""
