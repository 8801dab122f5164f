"""What goes to the validating process and what comes back: plain data, pickled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pyarrow as pa


Severity = Literal["critical", "warning"]
"""Great Expectations' severities that are used: critical where a number would be wrong, else warning."""


@dataclass(frozen=True)
class Expectation:
    """One expectation of Great Expectations, by its class name and arguments."""

    kind: str
    arguments: Mapping[str, Any]
    severity: Severity = "critical"

    def __str__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{self.kind}({given})"


@dataclass(frozen=True)
class Suite:
    """The expectations of one table and the rows to validate, with the columns that identify a row."""

    table: str
    expectations: tuple[Expectation, ...]
    key: tuple[str, ...]
    rows: "pa.Table"


@dataclass(frozen=True)
class Failure:
    """An expectation that the rows do not meet, by its position in the suite, and the first values observed."""

    position: int
    observed: tuple[Any, ...]


@dataclass(frozen=True)
class Verdict:
    """What Great Expectations found: how many expectations it evaluated, those that failed, and its page.

    `page` is the page's path inside the Data Docs.
    """

    evaluated: int
    failures: tuple[Failure, ...]
    page: str
