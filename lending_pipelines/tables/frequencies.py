"""The payment frequencies of loans, and the period between two payments."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Period:
    """The time between two payments, in months, or in days if it is not a number of months."""

    payments_a_year: int
    months: int = 0
    days: int = 0


PAYMENT_FREQUENCIES: dict[str, Period | None] = {
    "weekly": Period(52, days=7),
    "biweekly": Period(26, days=14),
    "semimonthly": Period(24, days=15),
    "four_weekly": Period(13, days=28),
    "monthly": Period(12, months=1),
    "bimonthly": Period(6, months=2),
    "quarterly": Period(4, months=3),
    "semiannual": Period(2, months=6),
    "annual": Period(1, months=12),
    "bullet": None,
    "irregular": None,
}
"""Every frequency by name. Bullet loans (one payment) and irregular loans (any dates) have no period."""
