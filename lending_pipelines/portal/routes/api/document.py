"""The OpenAPI document, at /api/v1/openapi.json."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts

from lending_pipelines.portal.access import Access, require
from lending_pipelines.portal.routes.api.documented import PROBLEM

router = APIRouter()

_ABOUT = """
Reads what the close has made, within the scope of the account: the same rows as the pages of the portal.

Send `Authorization: Bearer …` with a token of an integration, or with an access token from `POST /api/v1/auth/token`.
Amounts are text, and exact. Dates are business dates; times are in UTC. Lists are in pages: `next` is the cursor of the
next page. Send the ETag of an answer as `If-None-Match`: the answer is 304 as long as its rows are the same. Errors are
problem+json. A write with an `Idempotency-Key` can be repeated: it takes effect once.
"""

_SECURITY: dict[str, Any] = {
    "token": {"type": "http", "scheme": "bearer", "description": "A token of an integration, or an access token."}
}


@router.get("/openapi.json", include_in_schema=False)
def document(request: Request, access: Annotated[Access, Depends(require("public"))]) -> JSONResponse:
    """The document, made once."""
    app = request.app
    if app.openapi_schema is None:
        app.openapi_schema = _document(app)
    servers = [{"url": access.portal.root_path}] if access.portal.root_path else []
    return JSONResponse(app.openapi_schema | ({"servers": servers} if servers else {}))


def _document(app: Any) -> dict[str, Any]:
    """The OpenAPI document of the endpoints under /api/v1."""
    routes = [each for each in iter_route_contexts(app.routes) if str(each.path).startswith("/api/v1/")]
    made = get_openapi(title=f"{app.title} API", version="1", description=_ABOUT.strip(), routes=routes)
    made.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
    made["components"]["securitySchemes"] = _SECURITY
    for path, operations in made["paths"].items():
        for operation in operations.values():
            operation["security"] = [] if path.startswith("/api/v1/auth/") else [{"token": []}]
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _without_null(parameter["schema"])
    return made


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of an optional parameter: it can be left out, but a query has no null."""
    kinds = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    return {name: value for name, value in schema.items() if name != "anyOf"} | kinds[0]
