"""The files of static/, at URLs with a hash of their content, which browsers cache for good."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.web.errors import NotFound
from lending_pipelines.portal.web.static_files import static_response

router = APIRouter()


@router.get("/static/{digest}/{name:path}", include_in_schema=False)
def static(request: Request, digest: str, name: str, access: Annotated[Access, Depends(require("public"))]) -> Response:
    """A file of static/."""
    response = static_response(digest, name, request.headers.get("accept-encoding", ""))
    if response is None:
        raise NotFound
    return response
