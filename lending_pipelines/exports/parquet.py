"""Parquet: the rows as they are, typed; the cover as JSON in the file's metadata under `cover`."""

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lending_pipelines.exports.ahead import in_order
from lending_pipelines.exports.sheet import Sheet
from lending_pipelines.reports.book import Cover


def write_sheet(sheet: Sheet, cover: Cover, sink: Any) -> int:
    """Write one table, a row group per batch; the number of rows written."""
    about = json.dumps({"title": cover.title, **{name: dict(values) for name, values in cover.sections.items()}})
    schema = sheet.schema.with_metadata({"cover": about})
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:

        def write(batch: pa.RecordBatch) -> int:
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))
            return batch.num_rows

        # In a thread of its own, while the next batch is read.
        return sum(in_order(write, sheet.batches, workers=1))
