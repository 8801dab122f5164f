"""The manifest beside a tape: what it is, what it was made from, and what vouches for it.

There is no clock in it: the same config, day and data versions give the same bytes.
"""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from lending_pipelines.conventions import Conventions
from lending_pipelines.tapes.changes import TapeChanges
from lending_pipelines.tapes.placement import TapePlacement, manifest_name
from lending_pipelines.tapes.spec import KEY, TapeError, TapeField, TapeSpec
from lending_pipelines.tapes.template import TemplateField


class ControlTotal(BaseModel):
    """One currency's row count, and the sum of each money field by its catalogue name; null when no loan has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: str
    row_count: int
    amounts: dict[str, Decimal | None]


class TapeColumn(BaseModel):
    """One column of the tape: its name there, and the field's in the catalogue, with type, unit and meaning.

    A template's column without a field holds the same text, or no data, in every row.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    field: str | None
    type: str
    unit: str
    description: str
    pii: bool


class TapeManifest(BaseModel):
    """One tape's manifest; `supersedes` is the file name of the tape of the same day that this one corrects.

    `changes` says how it differs from that one; null where there is none, or where that one does not name its loans.
    `coverage` counts a template's fields by what they hold.
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
        """The manifest of a file of `byte_count` bytes and `row_count` loans, read from Delta tables at these versions.

        TapeError when the control totals count other loans than the file has.
        """
        counted = sum(total.row_count for total in totals)
        if counted != row_count:
            raise TapeError(
                f"tape {spec.name!r} of {business_date} has {row_count} rows and its control totals count {counted}: "
                "the data changed meanwhile; make it again"
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
        """The column that holds the loan's id; None in a tape that has none."""
        return next((column.name for column in self.columns if column.field == KEY), None)

    @property
    def types(self) -> dict[str, str]:
        """The columns' types by name, in order."""
        return {column.name: column.type for column in self.columns}

    def to_json(self) -> bytes:
        """The manifest as a JSON file, keys in order."""
        text = json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False)
        return f"{text}\n".encode()

    @classmethod
    def from_json(cls, content: bytes, path: str) -> "TapeManifest":
        """The manifest in a JSON file's content; TapeError, naming the path, when it is none."""
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "content"
            raise TapeError(f"tape manifest {path} cannot be read: {where}: {first['msg']}") from error


def control_totals(totals: pa.Table) -> tuple[ControlTotal, ...]:
    """The executed `tape_totals` as the manifest has them."""
    return tuple(
        ControlTotal(currency=row.pop("currency"), row_count=row.pop("row_count"), amounts=row)
        for row in totals.to_pylist()
    )


def _column(output: TapeField | TemplateField) -> TapeColumn:
    field = output.catalogued
    return TapeColumn(
        name=output.column.name,
        field=output.field,
        type=output.column.type,
        unit=field.unit if field else "",
        description=output.column.description,
        pii=bool(field and field.pii),
    )
