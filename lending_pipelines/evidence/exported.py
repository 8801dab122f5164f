"""The files of tapes and reports, with the SHA-256 that was recorded when they were written.

A tape's manifest has the hashes of its files and is itself certified. The register has the hashes of reports.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import file_digest
from typing import Any

import fsspec

from lending_pipelines.evidence.inventory import EXPORTS, Places, manifests
from lending_pipelines.register import ReportRequests
from lending_pipelines.tapes import TapeError, TapeManifest


@dataclass(frozen=True)
class ExportedFile:
    """A file: its file system and path, its name in messages, and its recorded hash."""

    filesystem: Any
    path: str
    name: str
    sha256: str

    def fault(self) -> str | None:
        """What is wrong with the file; None if it is unchanged."""
        if not self.filesystem.exists(self.path):
            return f"{self.name} is missing."
        with self.filesystem.open(self.path, "rb") as file:
            same = file_digest(file, "sha256").hexdigest() == self.sha256
        return None if same else f"{self.name} was changed."


def exported_files(places: Places) -> list[ExportedFile]:
    """Every file that a manifest of a tape or a completed report names."""
    return [*_tapes(places), *_reports(places)]


def unnamed_exports(places: Places, named: list[ExportedFile]) -> list[str]:
    """The names of files of tapes and reports that no manifest and no report names."""
    filesystem, root = places.opened(EXPORTS)
    there = {path for folder in ("tapes", "reports") for path in filesystem.find(f"{root}{folder}")}
    known = {file.path for file in named} | {root + path.removeprefix(EXPORTS) for path in manifests(places)}
    return sorted(EXPORTS + path.removeprefix(root) for path in there - known)


def _tapes(places: Places) -> Iterator[ExportedFile]:
    for path in manifests(places):
        filesystem, file = places.opened(path)
        try:
            manifest = TapeManifest.from_json(filesystem.cat_file(file), path)
        except (TapeError, ValueError):
            # The manifest was changed; the comparison with its certified hash reports that.
            continue
        hashes = {manifest.file_name: manifest.sha256}
        if manifest.changes:
            hashes[manifest.changes.file_name] = manifest.changes.sha256
        for name, sha256 in hashes.items():
            yield ExportedFile(
                filesystem, f"{file.rpartition('/')[0]}/{name}", f"{path.rpartition('/')[0]}/{name}", sha256
            )


def _reports(places: Places) -> Iterator[ExportedFile]:
    _, root = places.opened(EXPORTS)
    with places.register.reading_session() as session:
        requests = [each for each in ReportRequests(session).all() if each.status == "completed"]
    for request in requests:
        if request.file_url and request.sha256:
            filesystem, path = fsspec.url_to_fs(request.file_url, use_listings_cache=False)
            name = EXPORTS + path.removeprefix(root) if path.startswith(root) else request.file_url
            yield ExportedFile(filesystem, path, name, request.sha256)
