"""A server of the portal that kills itself in its first request after SIGUSR1."""

import os
import signal

import sqlalchemy as sa
from fastapi.responses import Response

from lending_pipelines.portal import warm
from lending_pipelines.portal.server import serve


def serve_until(environment: dict[str, str], port: int, dies: str) -> None:
    """Serve the portal of the home that the environment names, until the point of a request at which it dies."""
    os.environ |= environment
    # Writes need nothing of what a server prepares for its first pages.
    warm.start = lambda portal: None
    armed = False

    def arm(*_):
        nonlocal armed
        armed = True

    def die(*_):
        if armed:
            os.kill(os.getpid(), signal.SIGKILL)

    signal.signal(signal.SIGUSR1, arm)
    match dies:
        case "before the commit":
            sa.event.listen(sa.Engine, "commit", die)
        case "before the answer":
            made = Response.init_headers
            # An answer without content is FastAPI's own, made before the route is called.
            Response.init_headers = lambda answer, *more: (answer.body and die(), made(answer, *more))[1]
    serve("127.0.0.1", port)
