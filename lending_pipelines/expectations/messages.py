"""The requests to the validating process and its answers: plain data, pickled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pyarrow as pa


Severity = Literal["critical", "warning"]
"""The severities in use: critical if a number would be wrong, else warning."""


@dataclass(frozen=True)
class Expectation:
    """One expectation, by its Great Expectations class and arguments."""

    kind: str
    arguments: Mapping[str, Any]
    severity: Severity = "critical"

    def __str__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{self.kind}({given})"


@dataclass(frozen=True)
class Suite:
    """The expectations of one table, the rows to validate, and the columns that identify a row."""

    table: str
    expectations: tuple[Expectation, ...]
    key: tuple[str, ...]
    rows: "pa.Table"


@dataclass(frozen=True)
class Failure:
    """A failed expectation, by its position in the suite, and the first values that failed."""

    position: int
    observed: tuple[Any, ...]


@dataclass(frozen=True)
class Verdict:
    """The result of a suite: the number of evaluated expectations, the failures, and its page.

    `page` is a path inside the Data Docs.
    """

    evaluated: int
    failures: tuple[Failure, ...]
    page: str
