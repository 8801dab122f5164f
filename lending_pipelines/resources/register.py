"""The register as a resource."""

from collections.abc import Generator
from contextlib import contextmanager

import dagster as dg
from pydantic import Field, PrivateAttr

from lending_pipelines.register import Register
from lending_pipelines.settings import Settings


class RegisterResource(dg.ConfigurableResource):
    """The register, migrated to this version's tables when a run first needs it."""

    url: str = Field(default="", description="SQLAlchemy URL of the register. Empty: LENDING_REGISTER_URL.")

    _register: Register | None = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator["RegisterResource", None, None]:
        """The resource, its connections closed when the run ends."""
        try:
            yield self
        finally:
            if self._register is not None:
                self._register.dispose()

    @property
    def register(self) -> Register:
        """The register, opened when first asked for."""
        if self._register is None:
            self._register = Register(self.url or Settings.from_environment().register_url)
            self._register.upgrade()
        return self._register
