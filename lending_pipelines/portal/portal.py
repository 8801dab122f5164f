"""The state of a portal process: its settings, the register, the lake's snapshots, results and limits."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from jinja2 import Environment

from lending_pipelines.conventions import Conventions
from lending_pipelines.exports.lender import Lender
from lending_pipelines.portal.auth.oidc import Provider
from lending_pipelines.portal.auth.rate_limits import RateLimits
from lending_pipelines.portal.auth.signing_keys import SigningKeys
from lending_pipelines.portal.lake.scoped_lake import Results
from lending_pipelines.portal.lake.snapshots import Snapshots
from lending_pipelines.portal.web.formats import Formats
from lending_pipelines.register import Register
from lending_pipelines.settings import Settings


@dataclass
class Portal:
    """The state of a process.

    `check_every` are the seconds between two checks whether the lake has changed. `root_path` is the path under which a
    proxy serves the portal, without a slash at the end.
    """

    settings: Settings
    check_every: float = 1.0
    root_path: str = ""
    results: Results = field(default_factory=Results)
    limits: RateLimits = field(default_factory=RateLimits)
    templates: Environment | None = None

    @cached_property
    def register(self) -> Register:
        """The register, migrated."""
        register = Register(self.settings.register_url)
        register.upgrade()
        return register

    @cached_property
    def snapshots(self) -> Snapshots:
        """The lake."""
        return Snapshots(self.settings.lake_url, check_every=self.check_every)

    @cached_property
    def keys(self) -> SigningKeys:
        """The keys that sign access tokens."""
        return SigningKeys(self.settings)

    @property
    def issuer(self) -> str:
        """The issuer of access tokens."""
        return self.settings.portal_url.rstrip("/") or "lending-portal"

    @cached_property
    def lender(self) -> Lender:
        """The lender's name and logo."""
        return Lender.of(self.settings.lender_name, self.settings.logo_file)

    @cached_property
    def oidc(self) -> Provider | None:
        """The provider of sign-ins by OpenID Connect, if the settings name one."""
        return Provider(self.settings) if self.settings.oidc_issuer else None

    @cached_property
    def conventions(self) -> Conventions:
        """The conventions of the close."""
        path = self.settings.conventions_file
        conventions = Conventions.load(path)
        return conventions.model_copy(update={"timezone": self.settings.timezone})

    @cached_property
    def formats(self) -> Formats:
        """Numbers and dates in the lender's locale."""
        return Formats(self.settings.locale, self.settings.timezone)

    def last_ended(self) -> date:
        """The last day that has ended in the lender's time zone."""
        return datetime.now(UTC).astimezone(ZoneInfo(self.settings.timezone)).date() - timedelta(days=1)

    def close(self) -> None:
        """Close the databases."""
        if "snapshots" in self.__dict__:
            self.snapshots.close()
        if "register" in self.__dict__:
            self.register.dispose()
