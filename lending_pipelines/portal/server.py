"""Serves the portal with uvicorn: the address, proxies that are trusted, and the link of the first start."""

from urllib.parse import urlsplit

import uvicorn

from lending_pipelines.errors import LendingError
from lending_pipelines.portal.app import create_app
from lending_pipelines.portal.auth.sign_in import first_admin_link
from lending_pipelines.processes import collect_rarely
from lending_pipelines.settings import Settings


def serve(host: str, port: int) -> None:
    """Serve the portal of this home until the process is stopped.

    Raises:
        LendingError: A setting is wrong, or the address is taken.
    """
    collect_rarely()
    settings = Settings.from_environment()
    address = settings.portal_url.rstrip("/") or f"http://{f'[{host}]' if ':' in host else host}:{port}"
    app = create_app(settings, root_path=urlsplit(address).path)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        server_header=False,
        date_header=True,
        proxy_headers=bool(settings.portal_proxies),
        forwarded_allow_ips=list(settings.portal_proxies),
        timeout_graceful_shutdown=5,
    )
    try:
        listener = config.bind_socket()
    except SystemExit:
        raise LendingError(f"port {port} on {host} cannot be used: choose another with --port") from None
    # Open the lake now, so that the first request does not wait for it.
    with app.state.portal.snapshots.current():
        print(f"Portal: {address}", flush=True)
    if link := first_admin_link(app.state.portal.register):
        print("There is no administrator yet. This link makes one, once, within 48 hours:")
        print(f"{address}/welcome/{link}", flush=True)
    uvicorn.Server(config).run([listener])
