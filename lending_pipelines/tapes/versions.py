"""Versions of a tape: one that is there is never overwritten; other content for the same day is a new one beside it."""

from collections.abc import Iterable
from datetime import date

from lending_pipelines.tapes.manifest import TapeManifest
from lending_pipelines.tapes.placement import TapePlacement, tape_file_name, tape_folder
from lending_pipelines.tapes.spec import TapeError, TapeSpec


def next_tape_path(spec: TapeSpec, business_date: date, existing: Iterable[TapeManifest], sha256: str) -> TapePlacement:
    """Where content of that SHA-256 goes, given the manifests in the tape's folder of that day.

    The latest version stays as it is when its content is the same; otherwise the content becomes the next version,
    which supersedes the latest. TapeError when the folder holds another tape, whose name differs only in spelling.
    """
    folder = tape_folder(spec, business_date)
    there = sorted(existing, key=lambda tape: tape.version)
    for tape in there:
        if (tape.tape, tape.business_date) != (spec.name, business_date):
            raise TapeError(
                f"tape {spec.name!r} of {business_date}: its folder {folder} holds tape {tape.tape!r} of "
                f"{tape.business_date}; give one of them another name"
            )
    if not there:
        return TapePlacement(folder, tape_file_name(spec, business_date, 1), 1, None, is_new=True)
    latest = there[-1]
    if latest.sha256 == sha256:
        return TapePlacement(folder, latest.file_name, latest.version, latest.supersedes, is_new=False)
    version = latest.version + 1
    return TapePlacement(folder, tape_file_name(spec, business_date, version), version, latest.file_name, is_new=True)
