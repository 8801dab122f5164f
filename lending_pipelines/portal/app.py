"""The application: the parts of the portal put together. Nothing is decided here."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from starlette.middleware.gzip import GZipMiddleware

from lending_pipelines.portal import warm
from lending_pipelines.portal.access import Require
from lending_pipelines.portal.auth.security import SameOriginOnly, SecurityHeaders
from lending_pipelines.portal.portal import Portal
from lending_pipelines.portal.routes import NAVIGATION, ROUTERS
from lending_pipelines.portal.web import pages
from lending_pipelines.portal.web.errors import add_error_handlers
from lending_pipelines.register.actions import ACTIONS, Action
from lending_pipelines.settings import Settings


def create_app(settings: Settings, *, check_every: float = 1.0, root_path: str = "") -> FastAPI:
    """The portal of a home.

    Args:
        settings: The settings of the home.
        check_every: The seconds between two checks whether the lake has changed.
        root_path: The path under which a proxy serves the portal.

    Raises:
        LendingError: A setting is wrong, or the register cannot be opened.
        RuntimeError: A route names no action.
    """
    portal = Portal(settings, check_every, root_path.rstrip("/"))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        warm.start(portal)
        yield
        portal.close()

    title = f"{settings.lender_name} portal" if settings.lender_name else "Lending portal"
    app = FastAPI(title=title, docs_url=None, redoc_url=None, openapi_url=None, root_path=root_path, lifespan=lifespan)
    app.state.portal = portal
    _ = portal.register, portal.formats, portal.lender, portal.oidc
    pages.SECTIONS[:] = NAVIGATION
    for router in ROUTERS:
        app.include_router(router)
    add_error_handlers(app)
    # The middleware that is added last is the outermost.
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    app.add_middleware(SameOriginOnly)
    app.add_middleware(SecurityHeaders)
    if without := [path for path, action in route_actions(app) if action is None]:
        raise RuntimeError(f"routes without a rule: {', '.join(without)}: name their action with `require`")
    return app


def route_actions(app: FastAPI) -> Iterator[tuple[str, Action | None]]:
    """The path of every route with its methods, and the action that it names; None for a route that names none."""
    for route in iter_route_contexts(app.routes):
        dependant = getattr(route, "dependant", None)
        methods = " ".join(sorted(route.methods or ()))
        yield f"{methods} {route.path}", _action(dependant) if dependant else None


def _action(dependant: Dependant) -> Action | None:
    """The action of a route: exactly one of its dependencies is a Require."""
    actions = [each.call.action for each in dependant.dependencies if isinstance(each.call, Require)]
    return actions[0] if len(actions) == 1 and actions[0] in ACTIONS else None
