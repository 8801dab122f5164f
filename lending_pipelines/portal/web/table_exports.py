"""Downloads of rows as CSV or an Excel workbook, with the scope of the person in the file, recorded in the audit log.

A workbook has a cover. A CSV file has none: its last column names the scope, so that the scope stays with the rows.
"""

import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
from fastapi.responses import Response

from lending_pipelines.exports.export import export_rows
from lending_pipelines.portal.access import Access
from lending_pipelines.portal.scope import Grant
from lending_pipelines.reports.book import Cover, ReportColumn

FORMATS = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""The formats with their media types."""

SCOPE = ReportColumn("export_scope", "Scope of the export", "text")


def scope_in_words(grants: Sequence[Grant]) -> str:
    """What the grants cover: `all loans`, or `officers S000012, S000013`."""
    parts = []
    for grant in grants:
        restricted = grant.scope.as_json()
        parts.append(
            " and ".join(f"{name} {', '.join(ids) or 'none'}" for name, ids in restricted.items()) or "all loans"
        )
    return "; or ".join(dict.fromkeys(parts))


def rows_as_file(
    access: Access,
    reader: pa.RecordBatchReader,
    columns: Sequence[ReportColumn],
    output_format: str,
    name: str,
    title: str,
    about: Mapping[str, str],
) -> Response:
    """The answer with the rows as a file, which is recorded in the audit log.

    Args:
        access: Who downloads it.
        reader: The rows; its columns are those of `columns`, in order.
        columns: The columns.
        output_format: One of FORMATS.
        name: The file's name without suffix.
        title: The title on the cover.
        about: Names and values on the cover, such as the range of days.

    Raises:
        Denied: The role may not download.
        TooOften: The person has downloaded too many files.
    """
    access.count_export()
    scope = scope_in_words(access.grants)
    made = {"Exported by": access.person.username, "Exported at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"}
    cover = Cover(title, {"Contents": dict(about), "Export": {**made, "Scope": scope}})
    if output_format == "csv":
        reader, columns = _with_scope(reader, scope), (*columns, SCOPE)
    with tempfile.TemporaryDirectory() as folder:
        file = export_rows(reader, columns, output_format, f"{folder}/export", cover)
        content = Path(file.url).read_bytes()
    access.audit(
        "allowed", action="export.download", resource=f"{name}.{output_format}", rows=file.rows, sha256=file.sha256
    )
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}.{output_format}",
        "X-Content-SHA256": file.sha256,
    }
    return Response(content, headers=headers, media_type=FORMATS[output_format])


def _with_scope(reader: pa.RecordBatchReader, scope: str) -> pa.RecordBatchReader:
    """The rows with the column SCOPE."""
    schema = reader.schema.append(pa.field(SCOPE.name, pa.string()))

    def batches() -> Any:
        for batch in reader:
            yield pa.RecordBatch.from_arrays([*batch.columns, pa.repeat(scope, batch.num_rows)], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())
