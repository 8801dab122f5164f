"""The parcel to deliver: a tape's files, and the facts about them that a receiver needs."""

from dataclasses import dataclass
from datetime import date
from typing import Protocol

from lending_pipelines.errors import LendingError


class DeliveryError(LendingError):
    """A parcel was not delivered; the destination shows no sign of a complete delivery."""


class UncertainDelivery(DeliveryError):
    """A parcel may or may not have been delivered, and only the receiver can tell."""


@dataclass(frozen=True)
class ParcelFile:
    """A file: its name at the destination, its URL, and its SHA-256."""

    name: str
    url: str
    sha256: str

    def require_unchanged(self, found: str) -> None:
        """Raise DeliveryError when the SHA-256 of the file's bytes, `found`, is another one."""
        if found != self.sha256:
            raise DeliveryError(f"{self.url} does not match its manifest: its sha256 is {found}: restore the file")


@dataclass(frozen=True)
class Parcel:
    """A tape of a business date with `rows` loans, the changes files if it is a correction, and the manifest.

    The tape is the first of the `files`, the manifest the last: when the manifest is present, the tape is complete.
    `supersedes` is the file name of the tape that it corrects, the last one that the destination got. There is a
    changes file for each version since then, the latest one first.
    """

    delivery_id: str
    tape: str
    business_date: date
    rows: int
    supersedes: str | None
    files: tuple[ParcelFile, ...]


class Channel(Protocol):
    """Delivers parcels to one destination."""

    def deliver(self, parcel: Parcel) -> None:
        """Deliver all files or raise DeliveryError. Identical files that exist already count as delivered."""
