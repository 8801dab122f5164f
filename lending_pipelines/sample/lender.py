"""The sample lender itself: programs, products, branches and staff. Its loans and its books are not here."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lending_pipelines.sample.columns import NO_DAY, days, ids, labels, table
from lending_pipelines.sample.spec import SampleSpec

CURRENCIES = ("USD", "EUR")
FREQUENCIES = ("weekly", "biweekly", "monthly", "quarterly", "bullet")
DAY_COUNTS = ("30/360", "actual/365", "actual/360")
ROLES = ("loan_officer", "team_leader", "collector", "admin")
OFFICER, LEADER, COLLECTOR, ADMIN = range(4)

PROGRAMS = (("PRG-SME", "Small business lending"), ("PRG-CONS", "Consumer lending"), ("PRG-RURAL", "Rural inclusion"))


@dataclass(frozen=True)
class Product:
    """One product: what its loans look like. Amounts are whole units; `terms` are payments, for bullet loans months."""

    product_id: str
    program: int
    name: str
    product_type: str
    share: float
    frequencies: tuple[str, ...]
    terms: tuple[int, ...]
    amounts: tuple[int, int]
    rates: tuple[float, float]
    day_count: str
    processing_fee: float = 0.0
    origination_fee: float = 0.0
    servicing_fee: int = 0
    secured: bool = False


PRODUCTS = (
    Product("P-SME", 0, "Working capital loan", "working_capital", 0.24, ("monthly",), (12, 18, 24, 36),
            (2_000, 60_000), (0.14, 0.28), "actual/365", processing_fee=0.01),
    Product("P-BRIDGE", 0, "Bridge loan", "bullet", 0.05, ("bullet",), (3, 6, 9, 12),
            (5_000, 80_000), (0.12, 0.2), "actual/360", origination_fee=0.015, secured=True),
    Product("P-PERS", 1, "Personal loan", "installment", 0.28, ("monthly",), (12, 24, 36),
            (1_000, 20_000), (0.1, 0.24), "30/360", processing_fee=0.015),
    Product("P-AUTO", 1, "Vehicle loan", "auto", 0.16, ("monthly",), (24, 36, 48, 60),
            (6_000, 45_000), (0.06, 0.13), "actual/365", origination_fee=0.01, servicing_fee=25, secured=True),
    Product("P-GROUP", 2, "Group microloan", "microloan", 0.18, ("weekly", "biweekly"), (20, 26, 40, 52),
            (300, 2_500), (0.24, 0.36), "actual/365", processing_fee=0.02),
    Product("P-AGRI", 2, "Harvest loan", "agricultural", 0.09, ("quarterly",), (4, 6, 8, 12),
            (1_500, 25_000), (0.12, 0.22), "30/360", processing_fee=0.01, secured=True),
)  # fmt: skip

_DOLLAR_BRANCHES = (
    ("Springfield", "North"), ("Riverside", "North"), ("Fairview", "South"), ("Georgetown", "South"),
    ("Salem", "East"), ("Madison", "East"), ("Clinton", "West"), ("Arlington", "West"), ("Ashland", "North"),
    ("Dover", "East"), ("Hudson", "East"), ("Kingston", "North"), ("Milton", "South"), ("Newport", "West"),
    ("Oxford", "South"), ("Burlington", "North"), ("Auburn", "West"), ("Dayton", "East"), ("Lexington", "South"),
)  # fmt: skip
_EURO_BRANCH = ("Lisbon", "Iberia")
EURO_SHARE = 0.05

_FIRST_NAMES = [
    "Ana",
    "Ben",
    "Carla",
    "David",
    "Elena",
    "Farid",
    "Grace",
    "Hugo",
    "Ines",
    "Jonas",
    "Karin",
    "Liam",
    "Maya",
    "Noah",
    "Olga",
    "Paulo",
    "Quinn",
    "Rosa",
]
_LAST_NAMES = [
    "Abara",
    "Berg",
    "Costa",
    "Diaz",
    "Eze",
    "Fischer",
    "Garcia",
    "Haddad",
    "Jensen",
    "Kim",
    "Lopez",
    "Mensah",
    "Novak",
    "Okafor",
    "Rossi",
    "Weber",
]


class Lender:
    """Branches and staff for a spec.

    Loans belong to officer seats: seat (branch, seat) is held by `officers[branch, seat, 0]` until
    `handovers[branch, seat]`, and by `officers[branch, seat, 1]` from then on. In a healthy book, the borrowers of two
    seats stop paying: those of `unpaid_seat` in the last months, those of `defaulted_seat` before them.
    """

    def __init__(self, spec: SampleSpec) -> None:
        self.spec = spec
        random = spec.random("lender")
        dollar_branches = int(np.clip(spec.loans // 600, 4, len(_DOLLAR_BRANCHES)))
        self.branches = (*_DOLLAR_BRANCHES[:dollar_branches], _EURO_BRANCH)
        count = len(self.branches)
        self.branch_currency = np.array([0] * dollar_branches + [1])
        weights = random.uniform(0.6, 1.6, dollar_branches)
        self.branch_shares = np.append(weights / weights.sum() * (1 - EURO_SHARE), EURO_SHARE)
        self.seats = max(3, round(spec.loans / count / 120))
        self.collectors_each = max(2, round(spec.loans / count / 800))
        moved = random.random((count, self.seats)) < 0.35
        on = random.integers(spec.first_day - 700, spec.last_day + 1, (count, self.seats))
        self.unpaid_seat = self.defaulted_seat = (-1, -1)
        if spec.book == "healthy":
            # The seats are in different branches, and each has one officer all the time.
            largest, second = np.argsort(-weights)[:2]
            self.unpaid_seat, self.defaulted_seat = (int(largest), 0), (int(second), 1)
            moved[self.unpaid_seat] = moved[self.defaulted_seat] = False
        self.handovers = np.where(moved, on, NO_DAY)
        self.officers = np.zeros((count, self.seats, 2), dtype=np.int64)
        self.collectors = np.zeros((count, self.collectors_each), dtype=np.int64)
        self._staff: list[tuple[int, int, int, int, int]] = []
        for branch in range(count):
            self._hire(branch)

    def tables(self) -> Iterator[tuple[str, pa.Table]]:
        """branches, staff, programs and products."""
        branch_ids = ids("B", np.arange(len(self.branches)) + 1, 3)
        names, regions = zip(*self.branches, strict=True)
        yield "branches", table("branches", branch_id=branch_ids, name=list(names), region=list(regions))
        yield "staff", self._staff_table()
        program_ids = [program for program, _ in PROGRAMS]
        yield "programs", table("programs", program_id=program_ids, name=[name for _, name in PROGRAMS])
        yield (
            "products",
            table(
                "products",
                product_id=[p.product_id for p in PRODUCTS],
                program_id=[program_ids[p.program] for p in PRODUCTS],
                name=[p.name for p in PRODUCTS],
                product_type=[p.product_type for p in PRODUCTS],
            ),
        )

    def _hire(self, branch: int) -> None:
        """Add the staff of a branch: an admin, collectors, team leaders, and the officers of each seat."""
        since = self.spec.history_day - 60
        self._hired(ADMIN, branch, -1, since, NO_DAY)
        for collector in range(self.collectors_each):
            self.collectors[branch, collector] = self._hired(COLLECTOR, branch, -1, since, NO_DAY)
        leader = -1
        for seat in range(self.seats):
            if seat % 8 == 0:
                leader = self._hired(LEADER, branch, -1, since, NO_DAY)
            handover = int(self.handovers[branch, seat])
            self.officers[branch, seat, :] = self._hired(OFFICER, branch, leader, since, handover)
            if handover < NO_DAY:
                self.officers[branch, seat, 1] = self._hired(OFFICER, branch, leader, handover - 14, NO_DAY)

    def _hired(self, role: int, branch: int, leader: int, active_from: int, active_to: int) -> int:
        """Add a member of staff. Returns their number."""
        self._staff.append((role, branch, leader, active_from, active_to))
        return len(self._staff)

    def _staff_table(self) -> pa.Table:
        role, branch, leader, active_from, active_to = np.array(self._staff, dtype=np.int64).T
        random = self.spec.random("names")
        first = random.choice(_FIRST_NAMES, len(role)).tolist()
        family = random.choice(_LAST_NAMES, len(role)).tolist()
        numbers = np.arange(len(role)) + 1
        people = list(zip(first, family, numbers.tolist(), strict=True))
        return table(
            "staff",
            staff_id=staff_ids(numbers),
            full_name=[f"{given} {name}" for given, name, _ in people],
            email=[f"{given}.{name}.{number}@lender.example".lower() for given, name, number in people],
            role=labels(ROLES, role),
            branch_id=ids("B", branch + 1, 3),
            team_leader_id=staff_ids(leader),
            active_from=days(active_from),
            active_to=days(active_to),
        )


def officers_in_trouble(spec: SampleSpec) -> tuple[str, str]:
    """The staff ids of the two loan officers of a healthy book whose borrowers stop paying: recently, and earlier."""
    lender = Lender(spec)
    numbers = np.array([lender.officers[seat][0] for seat in (lender.unpaid_seat, lender.defaulted_seat)])
    unpaid, defaulted = staff_ids(numbers).to_pylist()
    return unpaid, defaulted


def staff_ids(numbers: np.ndarray) -> pa.Array:
    """staff_id by number; null for a negative one."""
    return ids("S", numbers, 6)
