"""The JSON API under /api/v1. `tables` serves the tables of the lake, the other modules what is in the register."""

from fastapi import APIRouter

from lending_pipelines.portal.routes.api import alerts, auth, document, platform, reports, tables, tapes, tokens

PREFIX = "/api/v1"

router = APIRouter(prefix=PREFIX)
for _part in (document, auth, tokens, tables, platform, alerts, reports, tapes):
    router.include_router(_part.router)
