"""Versions of a tape: existing files are never overwritten; other content for the same day becomes a new version."""

from collections.abc import Iterable
from datetime import date

from lending_pipelines.tapes.manifest import TapeManifest
from lending_pipelines.tapes.placement import TapePlacement, tape_file_name, tape_folder
from lending_pipelines.tapes.spec import TapeError, TapeSpec


def next_tape_path(spec: TapeSpec, business_date: date, existing: Iterable[TapeManifest], sha256: str) -> TapePlacement:
    """The location for content with that SHA-256, given the manifests in the tape's folder of that day.

    If the latest version has the same content, it stays the latest. Otherwise the content becomes the next version and
    supersedes the latest.

    Raises:
        TapeError: The folder belongs to a tape whose name is spelled differently.
    """
    folder = tape_folder(spec, business_date)
    versions = sorted(existing, key=lambda tape: tape.version)
    for tape in versions:
        if (tape.tape, tape.business_date) != (spec.name, business_date):
            raise TapeError(
                f"tape {spec.name!r} of {business_date}: folder {folder} belongs to tape {tape.tape!r} of "
                f"{tape.business_date}: rename one of the two tapes"
            )
    if not versions:
        return TapePlacement(folder, tape_file_name(spec, business_date, 1), 1, None, is_new=True)
    latest = versions[-1]
    if latest.sha256 == sha256:
        return TapePlacement(folder, latest.file_name, latest.version, latest.supersedes, is_new=False)
    version = latest.version + 1
    return TapePlacement(folder, tape_file_name(spec, business_date, version), version, latest.file_name, is_new=True)
