"""The files of static/, at addresses with their hash, which browsers keep for good."""

from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse

from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.errors import NotFound
from lending_pipelines.portal.pages import asset_path

router = APIRouter()

_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_FILES = files("lending_pipelines.portal") / "static"


@router.get("/static/{digest}/{name:path}", include_in_schema=False)
def static(digest: str, name: str, access: Annotated[Access, Depends(require("public"))]) -> FileResponse:
    """A file of static/."""
    known = {str(each.name) for each in _FILES.iterdir() if each.is_file()}
    if name not in known or asset_path(name) != f"/static/{digest}/{name}":
        raise NotFound
    return FileResponse(str(_FILES / name), headers=_FOREVER)
