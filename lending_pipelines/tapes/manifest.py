"""The manifest of a tape: its contents, its data versions, and the checksum and control totals of the file.

It contains no time of creation: the same configuration, day and data versions give the same bytes.
"""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import fsspec
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from lending_pipelines.conventions import Conventions
from lending_pipelines.tapes.changes import TapeChanges
from lending_pipelines.tapes.placement import TapePlacement, manifest_name
from lending_pipelines.tapes.spec import KEY, TapeError, TapeField, TapeSpec
from lending_pipelines.tapes.template import TemplateField


class ControlTotal(BaseModel):
    """The row count of one currency, and the sum of each money field by its catalogue name; null without values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: str
    row_count: int
    amounts: dict[str, Decimal | None]


class TapeColumn(BaseModel):
    """One column of the tape: its name, the catalogue field, type, unit and meaning.

    A template's column without a field has the same text, or no data, in every row.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    field: str | None
    type: str
    unit: str
    description: str
    pii: bool


class TapeManifest(BaseModel):
    """The manifest of one tape; `supersedes` is the file name of the same day's tape that this one corrects.

    `changes` summarizes the differences to that tape; null if there is none or it has no loan ids. `coverage` counts a
    template's fields by what they contain.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tape: str
    business_date: date
    version: int
    supersedes: str | None
    changes: TapeChanges | None = None
    file_name: str
    sha256: str
    byte_count: int
    row_count: int
    totals: tuple[ControlTotal, ...]
    columns: tuple[TapeColumn, ...]
    coverage: dict[str, int] | None = None
    config: dict[str, Any]
    conventions: dict[str, str]
    code_version: str
    table_versions: dict[str, int]

    @classmethod
    def of(
        cls,
        spec: TapeSpec,
        business_date: date,
        placement: TapePlacement,
        *,
        sha256: str,
        byte_count: int,
        row_count: int,
        totals: tuple[ControlTotal, ...],
        conventions: Conventions,
        code_version: str,
        table_versions: Mapping[str, int],
    ) -> "TapeManifest":
        """Create the manifest of a file.

        Args:
            spec: The tape.
            business_date: The tape's day.
            placement: The location of the file.
            sha256: The file's checksum.
            byte_count: The file's size in bytes.
            row_count: The number of loans in the file.
            totals: The control totals by currency.
            conventions: The conventions of the run.
            code_version: The version of this package.
            table_versions: The Delta versions of the tables that were read.

        Returns:
            The manifest.

        Raises:
            TapeError: The control totals count a different number of loans than the file has.
        """
        counted = sum(total.row_count for total in totals)
        if counted != row_count:
            raise TapeError(
                f"tape {spec.name!r} of {business_date} has {row_count} rows but its control totals count {counted}: "
                "the data changed while it was written; run it again"
            )
        return cls(
            tape=spec.name,
            business_date=business_date,
            version=placement.version,
            supersedes=placement.supersedes,
            file_name=placement.file_name,
            sha256=sha256,
            byte_count=byte_count,
            row_count=row_count,
            totals=totals,
            columns=tuple(map(_column, spec.outputs)),
            coverage=spec.coverage,
            config=spec.model_dump(mode="json", by_alias=True),
            conventions=conventions.stamp(),
            code_version=code_version,
            table_versions=dict(table_versions),
        )

    @property
    def own_name(self) -> str:
        """The manifest's own file name."""
        return manifest_name(self.file_name)

    @property
    def key(self) -> str | None:
        """The column with the loan id; None if the tape has none."""
        return next((column.name for column in self.columns if column.field == KEY), None)

    @property
    def types(self) -> dict[str, str]:
        """The columns' types by name, in order."""
        return {column.name: column.type for column in self.columns}

    def to_json(self) -> bytes:
        """The manifest as a JSON file with ordered keys."""
        text = json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False)
        return f"{text}\n".encode()

    @classmethod
    def from_json(cls, content: bytes, path: str) -> "TapeManifest":
        """Read a manifest from JSON. Raises TapeError that names the path when it is not valid."""
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "content"
            raise TapeError(f"tape manifest {path} cannot be read: {where}: {first['msg']}") from error


def manifests_in(folder: str) -> list[TapeManifest]:
    """The manifests of all versions in the folder of a tape's day. TapeError for one that is not valid."""
    filesystem, path = fsspec.url_to_fs(folder)
    found = [
        TapeManifest.from_json(filesystem.cat_file(each), each) for each in filesystem.glob(f"{path}/*.manifest.json")
    ]
    return sorted(found, key=lambda manifest: manifest.version)


def control_totals(totals: pa.Table) -> tuple[ControlTotal, ...]:
    """The control totals of the manifest, from the executed `tape_totals`."""
    return tuple(
        ControlTotal(currency=row.pop("currency"), row_count=row.pop("row_count"), amounts=row)
        for row in totals.to_pylist()
    )


def _column(output: TapeField | TemplateField) -> TapeColumn:
    """A column of the tape as the manifest describes it."""
    field = output.catalogued
    return TapeColumn(
        name=output.column.name,
        field=output.field,
        type=output.column.type,
        unit=field.unit if field else "",
        description=output.column.description,
        pii=bool(field and field.pii),
    )
