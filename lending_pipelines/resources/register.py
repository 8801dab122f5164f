"""The register as a resource."""

from collections.abc import Generator
from contextlib import contextmanager

import dagster as dg
from pydantic import Field, PrivateAttr

from lending_pipelines.register import Register
from lending_pipelines.settings import Settings


class RegisterResource(dg.ConfigurableResource):
    """The register, migrated to the current version when a run first uses it."""

    url: str = Field(default="", description="SQLAlchemy URL of the register. Empty: LENDING_REGISTER_URL.")

    _register: Register | None = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator["RegisterResource", None, None]:
        """The resource. Its connections are closed when the run ends."""
        try:
            yield self
        finally:
            if self._register is not None:
                self._register.dispose()

    @property
    def register(self) -> Register:
        """The register. It is opened at first use."""
        if self._register is None:
            self._register = Register(self.url or Settings.from_environment().register_url)
            self._register.upgrade()
        return self._register
