"""A chore: what can be removed from one place, how much that is, and why the rest is kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lending_pipelines.errors import LendingError


@dataclass(frozen=True)
class Chore:
    """Something that housekeeping removes.

    `rows`, `files` and `bytes` count what is removed. `detail` describes it, and `kept` says why other things of the
    same kind are kept. `do` removes it; a second call does no harm.
    """

    subject: str
    do: Callable[[], None]
    rows: int = 0
    files: int = 0
    bytes: int = 0
    detail: str = ""
    kept: str = ""

    @property
    def is_due(self) -> bool:
        """Whether there is anything to remove."""
        return bool(self.rows or self.files)


class ChoreFailed(LendingError):
    """Some chores failed; the others are done."""


def do_all(chores: Sequence[Chore]) -> None:
    """Do the chores that are due, one after the other. Raises ChoreFailed at the end, which names those that failed."""
    failed = []
    for chore in chores:
        if chore.is_due:
            try:
                chore.do()
            except Exception as error:
                failed.append(f"{chore.subject}: {error or type(error).__name__}")
    if failed:
        raise ChoreFailed(f"housekeeping: {len(failed)} of {len(chores)} chores failed: {'; '.join(failed)}")


def counted(reasons: dict[str, int], noun: str) -> str:
    """How many things are kept for each reason: `12 days: month ends; 1 day: a sale`."""
    return "; ".join(f"{number:,} {noun}{'s' * (number != 1)}: {why}" for why, number in reasons.items() if number)
