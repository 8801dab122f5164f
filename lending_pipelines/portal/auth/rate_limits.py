"""How often one account or one address may sign in and export, in this process."""

import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

SIGN_INS_OF_AN_ADDRESS = parse("30/minute")
SIGN_INS_OF_AN_ACCOUNT = parse("10/minute")
EXPORTS = parse("30/minute")


class TooOften(Exception):
    """A limit is exceeded. `seconds` is the time to wait before the next try."""

    def __init__(self, what: str, seconds: int) -> None:
        super().__init__(f"Too many {what}. Try again in {seconds} s.")
        self.seconds = seconds


class RateLimits:
    """The limits of one process."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def hit(self, limit: RateLimitItem, what: str, *who: str) -> None:
        """Count an event of someone. Raises TooOften when it exceeds the limit."""
        if not self._limiter.hit(limit, what, *who):
            reset = self._limiter.get_window_stats(limit, what, *who).reset_time
            raise TooOften(what, max(1, round(reset - time.time())))

    def reset(self) -> None:
        """Reset all counts."""
        self._limiter.storage.reset()
