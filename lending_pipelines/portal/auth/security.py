"""Protection of every request: security headers, and refusal of changes that another site's page sends (CSRF)."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lending_pipelines.portal.web.pages import is_api
from lending_pipelines.portal.web.problems import problem

_CSP = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "font-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_HSTS = "max-age=63072000; includeSubDomains"
_SAFE = ("GET", "HEAD", "OPTIONS")


class SecurityHeaders:
    """Adds the security headers to every response. Caches store nothing unless a route says so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                if scope["scheme"] == "https":
                    headers.setdefault("Strict-Transport-Security", _HSTS)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class SameOriginOnly:
    """Refuses requests that change something and come from a page of another origin.

    Browsers say where a request comes from: in Sec-Fetch-Site, or, older ones, in Origin. A request with neither does
    not come from a browser, so it has no cookie that its sender did not set.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] == "http" and scope["method"] not in _SAFE and not _same_origin(Headers(scope=scope)):
            text = "This request comes from another site's page and was refused."
            api = is_api(Request(scope))
            response = problem(403, text) if api else PlainTextResponse(text, 403)
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _same_origin(headers: Headers) -> bool:
    site = headers.get("sec-fetch-site")
    if site is not None:
        # `none`: the person typed the address or opened a bookmark.
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host", "")


def address(request: Request) -> str:
    """The address of the client: behind a trusted proxy, the one that the proxy saw."""
    return request.client.host if request.client else "unknown"


def safe_path(path: str | None, default: str = "/") -> str:
    """The path if it is one of this site, for redirects after a sign-in; else the default."""
    if not path or not path.startswith("/") or path.startswith(("//", "/\\")):
        return default
    if any(ord(letter) < 33 or letter == "\\" for letter in path):
        return default
    return path
