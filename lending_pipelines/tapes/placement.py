"""Where a tape's file lies: one folder a tape and day, under the exports URL."""

from dataclasses import dataclass
from datetime import date

from lending_pipelines.tapes.spec import TapeSpec


@dataclass(frozen=True)
class TapePlacement:
    """Where a tape's file is, or is to be written: a folder under the exports URL, and a name in it.

    `supersedes` is the file name of the version before; `is_new` is false when the same content is there already and
    nothing is to be written.
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
        """The file name of the list of changes to the version before: beside the file."""
        return f"{self.file_name}.changes.csv"

    @property
    def manifest_path(self) -> str:
        """The manifest's path under the exports URL: beside the file. A tape is there once its manifest is."""
        return f"{self.folder}/{manifest_name(self.file_name)}"


def tape_folder(spec: TapeSpec, business_date: date) -> str:
    """The folder, under the exports URL, of the tape's versions of that day."""
    return f"tapes/{spec.slug}/{business_date}"


def tape_file_name(spec: TapeSpec, business_date: date, version: int) -> str:
    """The file name of a version, counted from 1."""
    suffix = f"_v{version}" if version > 1 else ""
    return f"{spec.slug}_{business_date}{suffix}.{spec.tape_format}"


def manifest_name(file_name: str) -> str:
    """The file name of the manifest of a tape's file."""
    return f"{file_name}.manifest.json"
