"""The business dates that a check covers. Callers decide which."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import ibis
import ibis.expr.types as ir
import pyarrow as pa


@dataclass(frozen=True)
class Days:
    """Business dates: at least one, unique, in order."""

    dates: tuple[date, ...]

    def __post_init__(self) -> None:
        if not self.dates or list(self.dates) != sorted({*self.dates}):
            raise ValueError(f"days must be unique, in order and at least one: {self.dates}")

    @classmethod
    def between(cls, first: date, last: date) -> "Days":
        """Every day from the first to the last."""
        return cls(tuple(first + timedelta(days=n) for n in range((last - first).days + 1)))

    @property
    def first(self) -> date:
        """The first of the days."""
        return self.dates[0]

    @property
    def last(self) -> date:
        """The last of the days."""
        return self.dates[-1]

    @cached_property
    def consecutive(self) -> bool:
        """Whether the days have no gap."""
        return (self.last - self.first).days + 1 == len(self.dates)

    def rows(self, table: ir.Table) -> ir.Table:
        """The rows of a daily table on these days."""
        if self.consecutive:
            return table.filter(table.business_date.between(ibis.literal(self.first), ibis.literal(self.last)))
        return table.filter(table.business_date.isin(self.dates))

    @property
    def table(self) -> ir.Table:
        """One row per day, as business_date."""
        return ibis.memtable(pa.table({"business_date": pa.array(self.dates, pa.date32())}))
