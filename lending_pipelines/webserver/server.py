"""The web server's own routes and the bar at the top of its pages."""

from html import escape

import dagster_webserver.app
import dagster_webserver.cli
from dagster_graphql.schema.pipelines import pipeline
from dagster_webserver.webserver import DagsterWebserver
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from lending_pipelines.processes import restrict_files
from lending_pipelines.resources.exports import EXPORTS_PATH
from lending_pipelines.settings import Settings
from lending_pipelines.webserver.launchpad import run_config_yaml

_BAR_PIXELS = 24
_STYLE = f"""<style>
#lending-home {{ position: fixed; top: 0; left: 0; right: 0; height: {_BAR_PIXELS}px; line-height: {_BAR_PIXELS}px;
  padding: 0 16px; font: 600 12px/{_BAR_PIXELS}px system-ui, sans-serif; color: #fff; background: #1b3a57;
  white-space: nowrap; overflow: hidden; text-overflow: ellipsis; z-index: 1000; }}
#lending-home span {{ font-weight: 400; opacity: .8; margin-left: 12px; }}
body {{ padding-top: {_BAR_PIXELS}px; }}
#root {{ height: calc(100vh - {_BAR_PIXELS}px) !important; }}
</style>"""

# Data Docs pages have values of the servicing database. They may run scripts, but not with the origin of the UI.
_SANDBOX = {"Content-Security-Policy": "sandbox allow-scripts allow-popups allow-downloads"}


class LendingWebserver(DagsterWebserver):
    """Dagster's web server for one home."""

    def index_html_endpoint(self, request: Request) -> HTMLResponse:
        """The page of Dagster's UI, with a bar that names the lender and the home."""
        page = super().index_html_endpoint(request)
        content = bytes(page.body).decode().replace("<body>", f"<body>{_bar(Settings.from_environment())}", 1)
        headers = {name: value for name, value in page.headers.items() if name != "content-length"}
        return HTMLResponse(content, headers=headers)

    def build_routes(self) -> list[BaseRoute]:
        """Dagster's routes, and the exports if they are a folder of this machine."""
        exports = Settings.from_environment().exports_url
        if "://" in exports:
            return super().build_routes()
        files = Mount(f"{self._app_path_prefix}{EXPORTS_PATH}", _ExportedFiles(directory=exports, check_dir=False))
        return [files, *super().build_routes()]


class _ExportedFiles(StaticFiles):
    """The files of the exports."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if response.media_type == "text/html":
            response.headers.update(_SANDBOX)
        return response


def main() -> None:
    """Run the web server with the options of `dagster-webserver`."""
    restrict_files(Settings.from_environment().umask)
    pipeline.dump_run_config_yaml = run_config_yaml
    dagster_webserver.app.DagsterWebserver = LendingWebserver  # type: ignore[misc]
    dagster_webserver.cli.main()


def _bar(settings: Settings) -> str:
    name = escape(settings.lender_name or "LENDING_NAME is not set")
    return f'{_STYLE}<div id="lending-home">{name}<span>{escape(str(settings.home))}</span></div>'
