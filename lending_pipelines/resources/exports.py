"""The location of exports as a resource."""

import dagster as dg
from pydantic import Field

from lending_pipelines.settings import Settings


class ExportsResource(dg.ConfigurableResource):
    """The location of reports and tapes."""

    url: str = Field(default="", description="fsspec URL or folder for reports and tapes. Empty: LENDING_EXPORTS.")

    def place(self, path: str) -> str:
        """The URL of a path under the exports."""
        return f"{(self.url or Settings.from_environment().exports_url).rstrip('/')}/{path}"
