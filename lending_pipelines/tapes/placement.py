"""The location of a tape's file: one folder per tape and day, under the exports URL."""

from dataclasses import dataclass
from datetime import date

from lending_pipelines.tapes.spec import TapeSpec


@dataclass(frozen=True)
class TapePlacement:
    """The location of a tape's file: a folder under the exports URL, and a file name.

    `supersedes` is the file name of the previous version. `is_new` is false when the latest version has the same
    content and nothing needs to be written.
    """

    folder: str
    file_name: str
    version: int
    supersedes: str | None
    is_new: bool

    @property
    def path(self) -> str:
        """The file's path under the exports URL."""
        return f"{self.folder}/{self.file_name}"

    @property
    def changes_name(self) -> str:
        """The file name of the changes to the previous version, in the same folder."""
        return f"{self.file_name}.changes.csv"

    @property
    def manifest_path(self) -> str:
        """The manifest's path under the exports URL, in the same folder. A tape is complete once it has a manifest."""
        return f"{self.folder}/{manifest_name(self.file_name)}"


def tape_folder(spec: TapeSpec, business_date: date) -> str:
    """The folder of the tape's versions of that day, under the exports URL."""
    return f"tapes/{spec.slug}/{business_date}"


def tape_file_name(spec: TapeSpec, business_date: date, version: int) -> str:
    """The file name of a version, starting from 1."""
    suffix = f"_v{version}" if version > 1 else ""
    return f"{spec.slug}_{business_date}{suffix}.{spec.tape_format}"


def manifest_name(file_name: str) -> str:
    """The file name of a tape's manifest."""
    return f"{file_name}.manifest.json"
