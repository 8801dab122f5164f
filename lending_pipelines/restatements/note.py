"""The note that a detection stores with its commit: what it compared, so that the next one continues from there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from lending_pipelines import __version__
from lending_pipelines.conventions import Conventions
from lending_pipelines.lake import Lake


@dataclass(frozen=True)
class Note:
    """What a detection compared.

    Attributes:
        versions: The Delta version of each table; empty if unknown, as before the first detection.
        compared_from: Days closed by other program versions are compared with the results of `program` under
            `conventions` from this day on; None if no such day is compared yet.
        program: The version of the program that made the detection.
        conventions: The conventions of the detection, as Conventions.stamp returns them.
    """

    versions: Mapping[str, int] = field(default_factory=dict)
    compared_from: date | None = None
    program: str | None = None
    conventions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_latest(cls, lake: Lake) -> "Note":
        """The note of the latest detection; an empty one before the first detection."""
        text = lake.note("restatements") if lake.has("restatements") else ""
        written = json.loads(text) if text else {}
        if "versions" not in written:
            return cls()
        compared_from = written["compared_from"]
        return cls(
            written["versions"],
            date.fromisoformat(compared_from) if compared_from else None,
            written["program"],
            written["conventions"],
        )

    @classmethod
    def of_detection(cls, versions: Mapping[str, int], compared_from: date | None, conventions: Conventions) -> "Note":
        """The note of a detection by this version of the program."""
        return cls(versions, compared_from, __version__, conventions.stamp())

    def compared_by_this_version(self, conventions: Conventions) -> date | None:
        """`compared_from`, if this version of the program compared the days under these conventions; else None."""
        same = (self.program, self.conventions) == (__version__, conventions.stamp())
        return self.compared_from if same else None

    def as_text(self) -> str:
        """The note as it is stored."""
        compared_from = self.compared_from.isoformat() if self.compared_from else None
        return json.dumps(vars(self) | {"compared_from": compared_from}, sort_keys=True)
