"""The files of a loan tape: written with a manifest under the exports URL, never overwritten, compared when corrected.

Unchanged content keeps its file. Changed content becomes a new version whose manifest names the superseded one.
tapes.py decides which tapes are due and handles failures.
"""

import shutil
from dataclasses import replace
from datetime import date

import fsspec

from lending_pipelines import __version__
from lending_pipelines.exports.export import export_rows
from lending_pipelines.exports.reading import read_batches
from lending_pipelines.exports.xml import XmlShape
from lending_pipelines.places import PlacedFile, placing
from lending_pipelines.processes import temporary_folder
from lending_pipelines.register import Register, TapeDeliveries, TapeFaults
from lending_pipelines.register.models import LoanTapeConfig
from lending_pipelines.reports.book import Cover, ReportColumn
from lending_pipelines.reports.columns import report_column
from lending_pipelines.resources import ExportsResource, LakeReportSource
from lending_pipelines.tapes import (
    CHANGE_COLUMNS,
    Comparison,
    ControlTotal,
    TapeChanges,
    TapeError,
    TapeField,
    TapeManifest,
    TapePlacement,
    TapeSpec,
    TemplateField,
    checked_rows,
    control_totals,
    manifests_in,
    next_tape_path,
    tape_folder,
    tape_loans,
    tape_rows,
    tape_spec,
    tape_tables,
    tape_totals,
)


class EmptyTape(TapeError):
    """A tape has no loans, and its configuration does not allow that."""


def make_tape(
    config: LoanTapeConfig, day: date, source: LakeReportSource, exports: ExportsResource, register: Register
) -> TapeManifest:
    """Write one tape and its manifest, unless the latest version has the same content.

    If the tape was delivered with other content, a correction is scheduled for delivery. If the register has a fault of
    this tape and day, it is cleared.

    Returns:
        The manifest of the latest version.

    Raises:
        EmptyTape: The tape has no loans and its configuration does not allow that.
    """
    manifest = _make(config, day, source, exports)
    with register.session() as session:
        TapeDeliveries(session).open_corrections(config.config_id, day, manifest.sha256)
        TapeFaults(session).clear(config.config_id, day)
    return manifest


def made_tape(
    config: LoanTapeConfig, day: date, source: LakeReportSource, exports: ExportsResource
) -> TapeManifest | None:
    """The latest tape of a day if the configuration and the lake have not changed since; else None."""
    spec = tape_spec(config)
    made = max(manifests_in(exports.place(tape_folder(spec, day))), key=lambda manifest: manifest.version, default=None)
    if made is None or made.config != spec.model_dump(mode="json", by_alias=True):
        return None
    for table in made.table_versions:
        source.table(table)
    current = (source.conventions.stamp(), __version__)
    unchanged = made.table_versions.items() <= source.versions().items()
    return made if unchanged and (made.conventions, made.code_version) == current else None


def require_loans(config: LoanTapeConfig, day: date, rows: int) -> None:
    """Raise EmptyTape when a tape with this number of rows is not allowed."""
    if not rows and not config.allow_empty:
        raise EmptyTape(
            f"tape {config.name!r} of {day} has no loans: add loans to its portfolio, or set allow_empty = true in its"
            f" configuration; then close the day again with `lending close --from {day} --to {day} --force`"
        )


def _make(config: LoanTapeConfig, day: date, source: LakeReportSource, exports: ExportsResource) -> TapeManifest:
    spec = tape_spec(config)
    existing = manifests_in(exports.place(tape_folder(spec, day)))
    with temporary_folder("tape") as folder:
        made, totals = write_tape(spec, day, source, f"{folder}/tape")
        require_loans(config, day, made.rows)
        placement = next_tape_path(spec, day, existing, made.sha256)
        if not placement.is_new:
            return next(tape for tape in existing if tape.file_name == placement.file_name)
        manifest = TapeManifest.of(
            spec,
            day,
            placement,
            sha256=made.sha256,
            byte_count=made.bytes,
            row_count=made.rows,
            totals=totals,
            conventions=source.conventions,
            code_version=__version__,
            table_versions={name: source.versions()[name] for name in tape_tables(spec)},
        )
        if superseded := [tape for tape in existing if tape.file_name == placement.supersedes]:
            changes = _compare(superseded[0], manifest, made.url, placement, exports, folder)
            manifest = manifest.model_copy(update={"changes": changes})
        _place(made.url, manifest, placement, exports)
    return manifest


def write_tape(
    spec: TapeSpec, day: date, source: LakeReportSource, url: str
) -> tuple[PlacedFile, tuple[ControlTotal, ...]]:
    """Write a tape's file at `url` plus the suffix of its format. Returns the file and its control totals."""
    # Computed once, so that totals and rows use the same loans and the engine joins them only once.
    with source.staged(tape_loans(spec, source.table, day)) as loans:
        totals = control_totals(tape_totals(spec, loans).to_pyarrow())
        rows = checked_rows(spec, source.batches(tape_rows(spec, loans)))
        cover = Cover(f"{spec.name} {day}", {"Conventions": source.conventions.stamp()})
        columns = [_column(output) for output in spec.outputs]
        return export_rows(rows, columns, spec.tape_format, url, cover, _shape(spec)), totals


def _column(output: TapeField | TemplateField) -> ReportColumn:
    """The column for the export. A number of a standard stays a number, although the standard's no-data
    codes are text.
    """
    column = report_column(output.column)
    return replace(column, kind="ratio") if isinstance(output, TemplateField) and output.is_number else column


def _shape(spec: TapeSpec) -> XmlShape | None:
    return XmlShape(**spec.standard.xml) if spec.standard and spec.standard.xml else None


def _compare(
    before: TapeManifest,
    after: TapeManifest,
    made: str,
    placement: TapePlacement,
    exports: ExportsResource,
    folder: str,
) -> TapeChanges | None:
    """Write the changes file next to the tape. Returns None when the earlier tape has no loan ids."""
    if before.key is None or after.key is None:
        return None
    earlier = f"{folder}/before"
    with fsspec.open(exports.place(f"{placement.folder}/{before.file_name}")) as source, open(earlier, "wb") as copy:
        shutil.copyfileobj(source, copy)
    comparison = Comparison(before.types, before.key, after.types, after.key)
    changes = comparison.rows(
        read_batches(earlier, before.file_name.rpartition(".")[2], list(before.types)),
        read_batches(made, after.file_name.rpartition(".")[2], list(after.types)),
    )
    written = export_rows(
        changes,
        [report_column(column) for column in CHANGE_COLUMNS],
        "csv",
        exports.place(f"{placement.folder}/{placement.changes_name}"),
        Cover(f"Changes to {before.file_name}", {}),
    )
    return comparison.summary(placement.changes_name, written.sha256)


def _place(made: str, manifest: TapeManifest, placement: TapePlacement, exports: ExportsResource) -> None:
    with placing(exports.place(placement.path)) as target, open(made, "rb") as tape:
        shutil.copyfileobj(tape, target, 1 << 20)
    # The manifest is written last: a tape is complete once it has a manifest.
    with placing(exports.place(placement.manifest_path)) as target:
        target.write(manifest.to_json())
