"""An error in a column of a servicing table, as conversion and rules report it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SHOWN = 5
"""The number of rows that a finding lists."""


@dataclass(frozen=True)
class Finding:
    """An error in a column: the problem, the number of rows, and the first few rows."""

    column: str
    problem: str
    """The problem, worded to follow the number of rows: `are negative`."""
    rows: int = 0
    """0 for an error of the column itself."""
    examples: tuple[str, ...] = ()
    """The first few rows, each by its key and the value of the column."""
    at_least: bool = False
    """Whether there can be more rows than `rows`."""

    def __str__(self) -> str:
        if not self.rows:
            return f"{self.column}: {self.problem}"
        more = " or more" if self.at_least else ""
        return f"{self.column}: {self.rows}{more} rows {self.problem} ({'; '.join(self.examples)})"


def example(key: Mapping[str, Any], *value: Any) -> str:
    """One row of a finding: its key and the value of the column."""
    content = f" has {shown(value[0])}" if value else ""
    return ", ".join(f"{name}={cell}" for name, cell in key.items()) + content


def shown(value: Any) -> str:
    """A value as printed. Text is in quotes, to tell `'7'` from `7`."""
    return repr(value) if isinstance(value, str | bytes) else str(value)
