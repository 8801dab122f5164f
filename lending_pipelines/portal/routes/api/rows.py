"""Answers with rows: a page in any format, with its ETag and the addresses of the pages beside it."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import ibis
import pyarrow as pa
from fastapi import Request
from fastapi.responses import Response

from lending_pipelines.portal.access import Access
from lending_pipelines.portal.lake.keyset import Page, Sort, in_order, listed
from lending_pipelines.portal.routes.api.negotiation import format_of
from lending_pipelines.portal.routes.api.parameters import PAGE_ROWS, PageParameters
from lending_pipelines.portal.web.encoded import MEDIA_TYPES, Format, arrow_chunks, csv_chunks, json_bytes, json_rows
from lending_pipelines.portal.web.pages import cached, not_modified, url
from lending_pipelines.tables.schema import Column

CHUNKS: Mapping[Format, Callable[[pa.Schema, Iterator[pa.RecordBatch]], Iterator[bytes]]] = {
    "csv": csv_chunks,
    "arrow": arrow_chunks,
}
"""How the rows of a table format are sent."""


def page_answer(
    request: Request, page: Page, rows_etag: str, format_: Format, embedded: tuple[str, ...] = ()
) -> Response:
    """The answer with a page, or 304. `rows_etag` identifies its rows; `embedded` are columns with JSON text."""
    # Pages of other sizes share `rendered`, because they begin with the same rows: the key has the number of rows.
    kept = f"{format_} {len(page.rows)}"
    etag = f"{rows_etag}-{format_}-{len(page.rows)}"
    if unchanged := not_modified(request, etag):
        return unchanged
    if kept not in page.rendered:
        page.rendered[kept] = _content(page, embedded, format_)
    headers = cached(etag) | {"Vary": "Accept", **_links(request, page)}
    return Response(page.rendered[kept], headers=headers, media_type=MEDIA_TYPES[format_])


def list_answer(
    request: Request,
    access: Access,
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[Column],
    given: PageParameters,
    key: str,
) -> Response:
    """The answer with a page of rows that are all in memory, in the order `given.sort`."""
    order: str = given.sort  # type: ignore[attr-defined]
    sort = Sort(order.removeprefix("-"), (key,), order.startswith("-"))
    schema = ibis.schema({column.name: column.type for column in columns})
    format_ = format_of(request, given.format)
    if format_ == "json" or given.limit is not None or given.cursor is not None:
        page = listed(rows, sort, given.limit or PAGE_ROWS, given.cursor, dict(schema.items()))
    else:
        page = Page(in_order(rows, sort), None, None)
    if format_ != "json":
        access.count_export()
        access.audit("allowed", action="export.download", resource=f"{request.url.path} {format_}", rows=len(page.rows))
    etag = hashlib.sha256(json_bytes([json_rows(page.rows), page.next, page.previous])).hexdigest()[:32]
    return page_answer(request, Page(page.rows, page.next, page.previous, schema.to_pyarrow()), etag, format_)


def register_values(found: Any, columns: Sequence[Column]) -> dict[str, Any]:
    """The columns of a row of the register; times as in the lake, in UTC without a time zone."""
    values = {column.name: getattr(found, column.name) for column in columns}
    return {name: value.replace(tzinfo=None) if hasattr(value, "tzinfo") else value for name, value in values.items()}


def _content(page: Page, embedded: tuple[str, ...], format_: Format) -> bytes:
    if format_ == "json":
        return json_bytes({"data": json_rows(page.rows, embedded), "next": page.next, "previous": page.previous})
    table = pa.Table.from_pylist(list(page.rows), page.schema)
    return b"".join(CHUNKS[format_](page.schema, iter(table.to_batches())))


def _links(request: Request, page: Page) -> dict[str, str]:
    """The header with the addresses of the pages beside this one."""
    others = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    here = url(request, f"/api/v1{request.scope['path'].partition('/api/v1')[2]}")
    links = [
        f'<{here}?{urlencode([*others, ("cursor", cursor)])}>; rel="{name}"'
        for name, cursor in (("next", page.next), ("prev", page.previous))
        if cursor
    ]
    return {"Link": ", ".join(links)} if links else {}
