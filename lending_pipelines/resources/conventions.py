"""The conventions in force as a resource: those of LENDING_CONVENTIONS, or the defaults."""

import dagster as dg
from pydantic import Field

from lending_pipelines.conventions import Conventions
from lending_pipelines.settings import Settings


class ConventionsResource(dg.ConfigurableResource):
    """The conventions that every number of a run follows."""

    file: str = Field(default="", description="TOML file of conventions. Empty: LENDING_CONVENTIONS, or the defaults.")

    def get(self) -> Conventions:
        """The conventions; LendingError when the file cannot be read or names a setting wrongly."""
        path = self.file or Settings.from_environment().conventions_file
        return Conventions.load(path) if path else Conventions()
