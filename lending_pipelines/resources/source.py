"""The servicing system as a resource."""

import dagster as dg
from pydantic import Field

from lending_pipelines.settings import Settings
from lending_pipelines.sources.protocol import Source
from lending_pipelines.sources.registry import open_source


class SourceResource(dg.ConfigurableResource):
    """The servicing system and its adapter."""

    adapter: str = Field(default="", description="Adapter: a folder of sources/. Empty: LENDING_SOURCE.")
    url: str = Field(default="", description="SQLAlchemy URL or folder to read. Empty: LENDING_SERVICING_URL.")

    def open(self) -> Source:
        """Open the adapter for the URL. Raises SourceError if no adapter has that name."""
        settings = Settings.from_environment()
        return open_source(self.adapter or settings.source, self.url or settings.servicing_url)
