"""loan_tapes: the tapes of the active configurations that are due on each day, written under the exports URL.

A tape that is there is never overwritten: the same content stays as it is, other content becomes a new version whose
manifest names what it supersedes. The blocking checks of the days must hold before anything is written.
"""

import shutil
import tempfile
from dataclasses import replace
from datetime import date, timedelta
from importlib.metadata import version
from typing import Any

import dagster as dg
import fsspec
from pydantic import Field

from lending_pipelines.assets.describe import OWNERS
from lending_pipelines.assets.reports import require_checks
from lending_pipelines.exports.export import export_rows
from lending_pipelines.exports.reading import read_batches
from lending_pipelines.exports.xml import XmlShape
from lending_pipelines.partitions import BUSINESS_DATES, first_and_last
from lending_pipelines.places import PlacedFile, placing
from lending_pipelines.register import Register, TapeConfigs, TapeDeliveries
from lending_pipelines.register.models import LoanTapeConfig
from lending_pipelines.reports.book import Cover, ReportColumn
from lending_pipelines.reports.columns import report_column
from lending_pipelines.resources import (
    ConventionsResource,
    ExportsResource,
    LakeReportSource,
    LakeResource,
    RegisterResource,
)
from lending_pipelines.tapes import (
    CHANGE_COLUMNS,
    TABLES_READ,
    Comparison,
    ControlTotal,
    TapeChanges,
    TapeField,
    TapeManifest,
    TapePlacement,
    TapeSpec,
    TemplateField,
    checked_rows,
    control_totals,
    next_tape_path,
    tape_folder,
    tape_loans,
    tape_rows,
    tape_spec,
    tape_tables,
    tape_totals,
)
from lending_pipelines.tapes.parts import POSITIONS
from lending_pipelines.tapes.schedule import due_days


class TapesConfig(dg.Config):
    """Which tapes are made."""

    tapes: list[str] = Field([], description="Names of tape configurations to make. Empty: those due on each day.")


@dg.asset(
    name="loan_tapes",
    description="Investors' loan tapes with their manifests, for every active configuration that is due on the day.",
    deps=list(TABLES_READ),
    partitions_def=BUSINESS_DATES,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="tapes",
    owners=[*OWNERS, "team:capital-markets"],
    kinds={"csv"},
)
def loan_tapes(
    context: dg.AssetExecutionContext,
    config: TapesConfig,
    lake: LakeResource,
    register: RegisterResource,
    exports: ExportsResource,
    conventions: ConventionsResource,
) -> dg.MaterializeResult:
    """Make the tapes of the run's days."""
    source = LakeReportSource(lake.lake, conventions.get())
    due = _due(register.register, config.tapes, *first_and_last(context.partition_key_range))
    if due:
        days = sorted({day for day, _ in due})
        require_checks(source, (POSITIONS,), days, "the loan tape")
    manifests = [make_tape(config, day, source, exports, register.register) for day, config in due]
    return dg.MaterializeResult(
        metadata={
            "tapes": len(manifests),
            "dagster/row_count": sum(manifest.row_count for manifest in manifests),
            "files": dg.MetadataValue.json(
                {manifest.file_name: {"sha256": manifest.sha256, "rows": manifest.row_count} for manifest in manifests}
            ),
        }
    )


def _due(register: Register, wanted: list[str], first: date, last: date) -> list[tuple[date, LoanTapeConfig]]:
    """The configurations whose tape is to be made, by day."""
    with register.session() as session:
        configs = TapeConfigs(session)
        chosen = [configs.by_name(name) for name in wanted] or configs.active()
    if wanted:
        return [(first + timedelta(days=n), config) for n in range((last - first).days + 1) for config in chosen]
    due = [(day, config) for config in chosen for day in due_days(config, first, last)]
    return sorted(due, key=lambda each: each[0])


def make_tape(
    config: LoanTapeConfig, day: date, source: LakeReportSource, exports: ExportsResource, register: Register
) -> TapeManifest:
    """Write one tape and its manifest, unless the same content is there; the manifest of what is there then.

    Where the tape was delivered with another content, this one is a correction that is to be delivered too.
    """
    manifest = _make(tape_spec(config), day, source, exports)
    with register.session() as session:
        TapeDeliveries(session).open_corrections(config.config_id, day, manifest.sha256)
    return manifest


def made_tape(
    config: LoanTapeConfig, day: date, source: LakeReportSource, exports: ExportsResource
) -> TapeManifest | None:
    """The latest tape of a day, if it is made of what the configuration and the lake are now."""
    spec = tape_spec(config)
    made = max(_manifests(spec, day, exports), key=lambda manifest: manifest.version, default=None)
    if made is None or made.config != spec.model_dump(mode="json", by_alias=True):
        return None
    for table in made.table_versions:
        source.table(table)
    current = (source.conventions.stamp(), version("lending_pipelines"))
    unchanged = made.table_versions.items() <= source.versions().items()
    return made if unchanged and (made.conventions, made.code_version) == current else None


def _make(spec: TapeSpec, day: date, source: LakeReportSource, exports: ExportsResource) -> TapeManifest:
    existing = _manifests(spec, day, exports)
    with tempfile.TemporaryDirectory(prefix="lending-tape-") as folder:
        made, totals = write_tape(spec, day, source, f"{folder}/tape")
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
            code_version=version("lending_pipelines"),
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
    """Write a tape's file at `url`, to which its format adds its suffix; the file and its control totals."""
    # Computed once: totals and rows are of the same loans, and the engine has joined them before it sorts them.
    with source.staged(tape_loans(spec, source.table, day)) as loans:
        totals = control_totals(tape_totals(spec, loans).to_pyarrow())
        rows = checked_rows(spec, source.batches(tape_rows(spec, loans)))
        cover = Cover(f"{spec.name} {day}", {"Conventions": source.conventions.stamp()})
        columns = [_column(output) for output in spec.outputs]
        return export_rows(rows, columns, spec.tape_format, url, cover, _shape(spec)), totals


def _column(output: TapeField | TemplateField) -> ReportColumn:
    """How the exports write a column: a standard's number stays one, though it is text for its no-data codes."""
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
    """Put the list of changes beside the tape; None when the tape before does not name its loans."""
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
    # The manifest last: a tape is there once its manifest is.
    with placing(exports.place(placement.manifest_path)) as target:
        target.write(manifest.to_json())


def _manifests(spec: TapeSpec, day: date, exports: ExportsResource) -> list[TapeManifest]:
    filesystem, folder = fsspec.url_to_fs(exports.place(tape_folder(spec, day)))
    paths: list[Any] = filesystem.glob(f"{folder}/*.manifest.json")
    return [TapeManifest.from_json(filesystem.cat_file(path), path) for path in paths]
