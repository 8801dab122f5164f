"""Whether this process can answer, for containers and load balancers."""

from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Depends
from fastapi.responses import PlainTextResponse

from lending_pipelines.portal.access import Access, require

router = APIRouter(include_in_schema=False)


@router.get("/health")
def health(access: Annotated[Access, Depends(require("public"))]) -> PlainTextResponse:
    """`ok` if the register answers. `require` has opened the lake before this is called."""
    with access.portal.register.reading() as connection:
        connection.execute(sa.select(1))
    return PlainTextResponse("ok")
