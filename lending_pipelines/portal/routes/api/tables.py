"""The table resources: one endpoint serves all of RESOURCES, in pages; in CSV and Arrow also all rows at once."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response, StreamingResponse

from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.lake.scoped_lake import ScopedLake
from lending_pipelines.portal.queries.resources import RESOURCES, TableResource, conditioned, ordered
from lending_pipelines.portal.routes.api.documented import answers, rows_answer
from lending_pipelines.portal.routes.api.negotiation import format_of
from lending_pipelines.portal.routes.api.parameters import (
    PAGE_ROWS,
    PageParameters,
    conditions_of,
    has_borrowers,
    parameters_of,
)
from lending_pipelines.portal.routes.api.rows import CHUNKS, page_answer
from lending_pipelines.portal.web.encoded import (
    MEDIA_TYPES,
    Format,
)

router = APIRouter()


def _add(resource: TableResource) -> None:
    """Add the endpoint of a resource."""
    model = parameters_of(resource)

    def rows(
        request: Request,
        access: Annotated[Access, Depends(require(resource.action))],
        parameters: Annotated[Any, Query()],
    ) -> Response:
        return _answer(request, access, resource, parameters)

    rows.__annotations__["parameters"] = Annotated[model, Query()]
    router.add_api_route(
        f"/{resource.path}",
        rows,
        methods=["GET"],
        operation_id=resource.path.replace("/", "_").replace("-", "_"),
        tags=[resource.path.split("/")[0]],
        summary=resource.summary,
        description=resource.description,
        response_class=Response,
        responses=answers(
            rows_answer(resource.shown, resource.json), *(400, 401, 403, 404, 406, 422, 429), unchanged=True
        ),
    )


for _each in RESOURCES:
    _add(_each)


def _answer(request: Request, access: Access, resource: TableResource, given: PageParameters) -> Response:
    """A page of the rows, or all of them in a table format."""
    format_ = format_of(request, given.format)
    lake = access.lake
    if has_borrowers(resource) and getattr(given, "personal", False):
        lake = access.lake_with_borrowers
    if format_ != "json" and given.limit is None and given.cursor is None:
        return _download(access, resource, given, lake, format_)
    conditions, values = conditions_of(resource, given, lake)
    page = lake.page(
        conditioned,
        resource,
        conditions,
        sort=resource.sort(given.sort),  # type: ignore[attr-defined]
        cursor=given.cursor,
        size=given.limit or PAGE_ROWS,
        **values,
    )
    return page_answer(request, page, lake.etag(), format_, resource.json)


def _download(
    access: Access, resource: TableResource, given: PageParameters, lake: ScopedLake, format_: Format
) -> Response:
    """All rows, sent while they are read. The number of downloads is limited, and each is recorded when it ends."""
    access.count_export()
    conditions, values = conditions_of(resource, given, lake)
    order: str = given.sort  # type: ignore[attr-defined]
    stack = ExitStack()
    reader = stack.enter_context(lake.batches(ordered, resource, conditions, order, **values))
    name = f"{resource.path.replace('/', '-')}.{format_}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Vary": "Accept"}
    sent = _recorded(access, resource, reader, format_, stack)
    return StreamingResponse(sent, headers=headers, media_type=MEDIA_TYPES[format_])


def _recorded(
    access: Access, resource: TableResource, reader: pa.RecordBatchReader, format_: Format, stack: ExitStack
) -> Iterator[bytes]:
    """The chunks of a download. How many rows were sent is recorded, also when the client leaves before the end."""
    digest, rows, complete = hashlib.sha256(), 0, False

    def counted() -> Iterator[pa.RecordBatch]:
        nonlocal rows
        for batch in reader:
            rows += batch.num_rows
            yield batch

    try:
        with stack:
            for chunk in CHUNKS[format_](reader.schema, counted()):
                digest.update(chunk)
                yield chunk
        complete = True
    finally:
        access.audit(
            "allowed" if complete else "failed",
            action="export.download",
            resource=f"{resource.path} {format_}",
            reason="" if complete else "the download did not end",
            rows=rows,
            sha256=digest.hexdigest(),
        )
