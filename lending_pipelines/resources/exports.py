"""The location of exports as a resource."""

import dagster as dg
from pydantic import Field

from lending_pipelines.exports.lender import Lender
from lending_pipelines.settings import Settings


class ExportsResource(dg.ConfigurableResource):
    """The location of reports and tapes, and the lender that they name."""

    url: str = Field(default="", description="fsspec URL or folder for reports and tapes. Empty: LENDING_EXPORTS.")

    def place(self, path: str) -> str:
        """The URL of a path under the exports."""
        return f"{(self.url or Settings.from_environment().exports_url).rstrip('/')}/{path}"

    def lender(self) -> Lender:
        """The lender that reports name. ExportError when its logo cannot be read."""
        settings = Settings.from_environment()
        return Lender.of(settings.lender_name, settings.logo_file)
