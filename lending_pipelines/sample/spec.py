"""The specification of a sample: its size, its dates and its seed. How a lender behaves is not here."""

import zlib
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np

from lending_pipelines.errors import LendingError
from lending_pipelines.sample.columns import DAY_MICROSECONDS

EPOCH = date(1970, 1, 1)
EARLIEST = date(1980, 1, 1)
MOST_LOANS = 10_000_000
MOST_YEARS = 30
SEASONING_DAYS = 1278
"""The days from the oldest disbursement to the first day: three and a half years."""

Book = Literal["mixed", "healthy"]


class SampleError(LendingError):
    """A sample cannot be made as specified."""


@dataclass(frozen=True)
class SampleSpec:
    """A sample of `loans` loans whose ledger ties out on every day of [first, last]; the same spec gives the same rows.

    The data is as of the end of `last`, in UTC. SampleError says which value cannot be used. `book` is `mixed`:
    borrowers of every kind, with many defaults; or `healthy`: most borrowers pay, except those of two loan officers.
    """

    loans: int
    first: date
    last: date
    seed: int = 1
    book: Book = "mixed"

    def __post_init__(self) -> None:
        if not 1 <= self.loans <= MOST_LOANS:
            raise SampleError(f"sample of {self.loans} loans: write a number from 1 to {MOST_LOANS}")
        if self.first < EARLIEST:
            raise SampleError(f"sample from {self.first}: write a first day from {EARLIEST} on")
        if self.last < self.first:
            raise SampleError(f"sample from {self.first} to {self.last}: the last day is before the first")
        if (self.last - self.first).days > 366 * MOST_YEARS:
            raise SampleError(f"sample from {self.first} to {self.last}: write at most {MOST_YEARS} years")
        if self.seed < 0:
            raise SampleError(f"sample seed {self.seed}: write 0 or a positive number")

    @property
    def first_day(self) -> int:
        """The first day, in days since 1970."""
        return (self.first - EPOCH).days

    @property
    def last_day(self) -> int:
        """The last day, in days since 1970."""
        return (self.last - EPOCH).days

    @property
    def last_moment(self) -> int:
        """The last second of the last day, in microseconds since 1970: nothing is known later."""
        return (self.last_day + 1) * DAY_MICROSECONDS - 1_000_000

    @property
    def history_day(self) -> int:
        """The day of the oldest disbursement, in days since 1970."""
        return self.first_day - SEASONING_DAYS

    def random(self, purpose: str, chunk: int = 0) -> np.random.Generator:
        """A separate generator for each purpose and chunk, so that a change in one does not change the others."""
        return np.random.default_rng([self.seed, zlib.crc32(purpose.encode()), chunk])
