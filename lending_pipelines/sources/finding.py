"""What is wrong with a column of a servicing table: the form in which conversion and rules report faults."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SHOWN = 5
"""How many offending rows a finding names."""


@dataclass(frozen=True)
class Finding:
    """A fault of a column: what is wrong, the number of rows that have it, and the first few of them."""

    column: str
    problem: str
    """What is wrong, to be read after the number of rows: `are negative`."""
    rows: int = 0
    """0 for a fault of the column itself."""
    examples: tuple[str, ...] = ()
    """The key of each row, with the value found."""
    at_least: bool = False
    """Whether there may be more rows than were counted."""

    def __str__(self) -> str:
        if not self.rows:
            return f"{self.column}: {self.problem}"
        more = " or more" if self.at_least else ""
        return f"{self.column}: {self.rows}{more} rows {self.problem} ({'; '.join(self.examples)})"


def example(key: Mapping[str, Any], *value: Any) -> str:
    """One row as a finding names it: its key, and the value found in the column."""
    found = f" has {shown(value[0])}" if value else ""
    return ", ".join(f"{name}={cell}" for name, cell in key.items()) + found


def shown(value: Any) -> str:
    """A value as it is printed: text in quotes, so that `'7'` and `7` are told apart."""
    return repr(value) if isinstance(value, str | bytes) else str(value)
