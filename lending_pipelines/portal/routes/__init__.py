"""The routes: one file per section, thin. Each names its action by `require`, calls a query, renders a template."""

from fastapi import APIRouter

from lending_pipelines.portal.pages import Section
from lending_pipelines.portal.routes import (
    alerts,
    api,
    health,
    loans,
    managers,
    oidc,
    portfolios,
    sign_in,
    static,
    today,
)

ROUTERS: tuple[APIRouter, ...] = (
    api.router,
    health.router,
    oidc.router,
    sign_in.router,
    static.router,
    today.router,
    portfolios.router,
    loans.router,
    managers.router,
    alerts.router,
)
"""The routers of the app."""

NAVIGATION: tuple[Section, ...] = (
    today.SECTION,
    portfolios.SECTION,
    loans.SECTION,
    managers.SECTION,
    alerts.SECTION,
)
"""The sections of the navigation, in order."""
