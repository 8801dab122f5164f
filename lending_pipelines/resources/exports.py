"""The location of exports as a resource."""

from urllib.parse import quote

import dagster as dg
from pydantic import Field

from lending_pipelines.exports.lender import Lender
from lending_pipelines.places import signed_link
from lending_pipelines.settings import Settings

EXPORTS_PATH = "/exports"
"""The path at which the web server serves the files of local exports."""


class ExportsResource(dg.ConfigurableResource):
    """The location of reports and tapes, and the lender that they name."""

    url: str = Field(default="", description="fsspec URL or folder for reports and tapes. Empty: LENDING_EXPORTS.")

    def place(self, path: str) -> str:
        """The URL of a path under the exports."""
        return f"{(self.url or Settings.from_environment().exports_url).rstrip('/')}/{path}"

    def link(self, place: str) -> str:
        """A link that a browser opens from the UI to a file under the exports.

        Args:
            place: The file's URL, as from `place`.

        Returns:
            For a local folder, a path of the web server of `lending ui`. For an object store, a signed URL that is
            valid for seven days. If neither is possible, the place itself.
        """
        if "://" not in place:
            shared = Settings.from_environment().exports_url.rstrip("/") + "/"
            return f"{EXPORTS_PATH}/{quote(place.removeprefix(shared))}" if place.startswith(shared) else place
        return signed_link(place) or place

    def lender(self) -> Lender:
        """The lender that reports name. Raises ExportError when its logo cannot be read."""
        settings = Settings.from_environment()
        return Lender.of(settings.lender_name, settings.logo_file)
