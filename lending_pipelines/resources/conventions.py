"""The conventions as a resource: from the file LENDING_CONVENTIONS, or the defaults, with LENDING_TIMEZONE."""

import dagster as dg
from pydantic import Field

from lending_pipelines.conventions import Conventions
from lending_pipelines.settings import Settings


class ConventionsResource(dg.ConfigurableResource):
    """The conventions for all numbers of a run."""

    file: str = Field(default="", description="TOML file of conventions. Empty: LENDING_CONVENTIONS, or the defaults.")

    def get(self) -> Conventions:
        """The conventions. Raises LendingError when the file cannot be read or is not valid."""
        settings = Settings.from_environment()
        path = self.file or settings.conventions_file
        conventions = Conventions.load(path)
        return conventions.model_copy(update={"timezone": settings.timezone})
