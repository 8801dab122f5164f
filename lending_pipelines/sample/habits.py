"""The random behavior of a chunk's borrowers: when and how much each pays, and who defaults.

life.py computes the resulting events.
"""

from dataclasses import dataclass

import numpy as np

from lending_pipelines.sample.columns import NO_DAY, Ints, pick
from lending_pipelines.sample.lender import Lender
from lending_pipelines.sample.loans import Loans

STEADY, SLOW, STRUGGLING, DEFAULTER, PREPAYER = range(5)
_SHARES = {"mixed": (0.62, 0.19, 0.09, 0.05, 0.05), "healthy": (0.908, 0.035, 0.005, 0.002, 0.05)}
"""The share of each profile, by the book of the sample."""

_WEAK_SCORE_DEFAULTS = {"mixed": 0.15, "healthy": 0.002}
"""The share of steady borrowers with a low score who default."""

_UNPAID, _DEFAULTED = (0.35, 35, 95), (0.13, 100, 200)
"""For each loan officer in trouble: the share of borrowers who stop paying, and the latest and the earliest day of it,
in days before the last day."""

MISS, PART, FULL, AHEAD = range(4)
"""The actions of a borrower at a due date."""

NEVER = 1 << 20
"""A period, or a number of days, that never happens."""

# By profile, the probability of: missing when current, missing when past due, a partial payment, paying ahead.
_CHANCES = np.array([
    [0.005, 0.10, 0.004, 0.010],
    [0.040, 0.25, 0.050, 0.004],
    [0.110, 0.50, 0.120, 0.000],
    [0.010, 0.10, 0.020, 0.000],
    [0.002, 0.05, 0.000, 0.020],
])  # fmt: skip
_MISSED = {"mixed": 1.0, "healthy": 0.1}
"""The chance of missing a payment when current, as a multiple of the one above, by the book of the sample."""
# By profile, the cumulative probabilities of paying early, on the day, and a few days late. Others pay later still.
_PUNCTUALITY = np.array([
    [0.12, 0.84, 0.97],
    [0.04, 0.42, 0.74],
    [0.02, 0.28, 0.58],
    [0.05, 0.60, 0.85],
    [0.25, 0.93, 0.99],
])  # fmt: skip
_CATCH_UP = np.array([0.85, 0.55, 0.40, 0.50, 0.90])
"""The probability by profile that a full payment also settles the arrears."""

MODIFICATIONS = (
    "rate_reduction",
    "term_extension",
    "deferral",
    "forbearance",
    "capitalization",
    "principal_forgiveness",
    "reage",
)
(RATE_REDUCTION, TERM_EXTENSION, DEFERRAL, FORBEARANCE, CAPITALIZATION, FORGIVENESS, REAGE) = range(len(MODIFICATIONS))
_CURES_ARREARS = np.array([False, False, False, False, True, True, True])
"""Whether a modification cures arrears. Its borrower misses the two payments before it."""


@dataclass(frozen=True)
class Habits:
    """Random draws per loan, and per loan and period (matrices).

    Periods count from 0. They are NEVER if an event does not happen. `missed` multiplies the chance to miss a payment.
    """

    missed: float
    profile: Ints
    default_period: Ints
    prepay_period: Ints
    modified_after: Ints
    modification: Ints
    charge_off_days: Ints
    action: np.ndarray
    timing: np.ndarray
    amount: np.ndarray
    incident: np.ndarray

    def actions(self, rows: Ints, period: int, behind: np.ndarray) -> Ints:
        """The action of each loan's borrower at a due date, depending on arrears."""
        miss_clear, miss_behind, part, ahead = _CHANCES[self.profile[rows]].T
        draw = self.action[rows, period]
        miss = np.where(behind, miss_behind, miss_clear * self.missed)
        chosen = np.where(draw < miss, MISS, np.where(draw < miss + part, PART, FULL))
        chosen = np.where(draw > 1 - ahead, AHEAD, chosen)
        after, kind = self.modified_after[rows], self.modification[rows]
        arrears_before = _CURES_ARREARS[kind] & (period >= after - 2) & (period < after)
        return np.where((period >= self.default_period[rows]) | arrears_before, MISS, chosen)

    def days_late(self, rows: Ints, period: int, period_days: Ints) -> Ints:
        """Days from the due date to the payment; negative for an early payment."""
        early, on_time, bit_late = _PUNCTUALITY[self.profile[rows]].T
        draw = self.timing[rows, period]
        share = self.amount[rows, period]
        longest = np.minimum(0.9 * period_days, 45)
        few = np.minimum(1 + share * 8, longest)
        days = np.where(draw < on_time, 0, np.where(draw < bit_late, few, few + share * (longest - few)))
        early_days = -np.minimum(1 + share * 6, longest)
        return np.where(draw < early, early_days, days).astype(np.int64)

    def catches_up(self, rows: Ints, period: int) -> np.ndarray:
        """Whether a full payment also settles the arrears."""
        return self.incident[rows, period] < _CATCH_UP[self.profile[rows]]


def draw_habits(lender: Lender, loans: Loans, due: Ints, random: np.random.Generator) -> Habits:
    """Draw the habits of the loans over the periods of `due`, their due dates."""
    size, width = due.shape
    book = lender.spec.book
    profile = pick(random, size, _SHARES[book])
    weak = (profile == STEADY) & (loans.score < 600) & (random.random(size) < _WEAK_SCORE_DEFAULTS[book])
    profile = np.where(weak, DEFAULTER, profile)
    default = np.where(profile == DEFAULTER, (random.random(size) * loans.count).astype(np.int64), NEVER)
    share = random.uniform(0.3, 0.95, size)
    prepay = np.where((profile == PREPAYER) & (loans.count >= 4), (share * loans.count).astype(np.int64), NEVER)
    modified = np.where(profile == STRUGGLING, 0.45, np.where(profile == SLOW, 0.12, 0.01)) > random.random(size)
    modified &= (loans.count >= 6) & (default == NEVER) & (prepay == NEVER)
    after = np.where(modified, (random.uniform(0.4, 0.8, size) * loans.count).astype(np.int64), NEVER)
    fails_again = modified & (random.random(size) < 0.2)
    never_charged_off = random.random(size) < 0.06
    default = np.where(fails_again, after + random.integers(1, 8, size), default)
    charge_off_days = np.where(never_charged_off, NEVER, random.integers(120, 181, size))
    matrices = {
        name: random.random((size, width), dtype=np.float32) for name in ("action", "timing", "amount", "incident")
    }
    stops = _stops_paying(lender, loans, due)
    default = np.where(stops < NEVER, stops, default)
    prepay, after = (np.where(stops < NEVER, NEVER, period) for period in (prepay, after))
    return Habits(
        missed=_MISSED[book],
        profile=profile,
        default_period=default,
        prepay_period=prepay,
        modified_after=after,
        modification=(np.cumsum(modified) + int(loans.number[0])) % len(MODIFICATIONS),
        charge_off_days=charge_off_days,
        **matrices,
    )


def _stops_paying(lender: Lender, loans: Loans, due: Ints) -> Ints:
    """The first unpaid period of the borrowers of officers in trouble; NEVER for the others."""
    random = lender.spec.random("trouble", int(loans.number[0]) if len(loans.number) else 0)
    size = len(loans.number)
    chance, place = random.random(size), random.random(size)
    stops = np.full(size, NEVER)
    for seat, (share, latest, earliest) in ((lender.unpaid_seat, _UNPAID), (lender.defaulted_seat, _DEFAULTED)):
        concerned = (loans.branch == seat[0]) & (loans.seat == seat[1]) & (chance < share)
        since = lender.spec.last_day - (latest + place * (earliest - latest))
        unpaid = (due > since[:, None]) & (due < NO_DAY)
        concerned &= unpaid.any(axis=1)
        stops = np.where(concerned, unpaid.argmax(axis=1), stops)
    return stops
