"""The routes: one file per section, thin. Each names its action by `require`, calls a query, renders a template."""

from fastapi import APIRouter

from lending_pipelines.portal.routes import (
    account,
    alerts,
    api,
    data_health,
    generate,
    health,
    ledger,
    loans,
    managers,
    me,
    oidc,
    people,
    platform,
    portfolios,
    reports,
    search,
    sign_in,
    static,
    tapes,
    today,
)
from lending_pipelines.portal.web.pages import Section

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
    reports.router,
    tapes.router,
    ledger.router,
    data_health.router,
    platform.router,
    account.router,
    generate.router,
    people.router,
    me.router,
    search.router,
)
"""The routers of the app."""

NAVIGATION: tuple[Section, ...] = (
    today.SECTION,
    account.SECTION,
    portfolios.SECTION,
    loans.SECTION,
    managers.SECTION,
    alerts.SECTION,
    reports.SECTION,
    tapes.SECTION,
    ledger.SECTION,
    data_health.SECTION,
    platform.SECTION,
    generate.SECTION,
    people.SECTION,
)
"""The sections of the navigation, in order."""
