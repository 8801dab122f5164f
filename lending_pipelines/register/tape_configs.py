"""Loan tape configurations, and the export folder that each tape owns.

save_tape_config in tapes/ checks the fields and other contents of a configuration.
"""

import inspect
import re
import shlex
import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lending_pipelines.errors import did_you_mean
from lending_pipelines.register.database import RegisterError
from lending_pipelines.register.models import BusinessDayConvention, LoanTapeConfig, TapeFormat
from lending_pipelines.register.types import new_id
from lending_pipelines.settings import Settings


def tape_slug(name: str) -> str:
    """The name as used in folders and files: lower-case letters and digits of any script, joined by hyphens."""
    return re.sub(r"[\W_]+", "-", unicodedata.normalize("NFKC", name).lower()).strip("-")


class TapeConfigs:
    """The tape configurations, within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def create(
        self,
        name: str,
        portfolio_id: str,
        *,
        required_fields: list[Any] | None = None,
        tape_format: TapeFormat = "csv",
        tape_schedule: str = "daily",
        investor_id: str | None = None,
        recipient_email: str | None = None,
        delivery_url: str | None = None,
        config_id: str | None = None,
        template: str | None = None,
        template_values: dict[str, Any] | None = None,
        allow_pii: bool = False,
        business_day_convention: BusinessDayConvention = "unadjusted",
        holiday_calendar: str | None = None,
        deliver_from: date | None = None,
        late_after_hours: int = 12,
        owner_email: str | None = None,
        allow_empty: bool = False,
        approve_corrections: bool = False,
    ) -> LoanTapeConfig:
        """Add an active configuration. save_tape_config checks that the names in it exist; this method does not.

        `required_fields` are catalogue names, or {"field": name, "as": column}, in the tape's order; by default the
        catalogue's default fields, or those of the `template`. Without `deliver_from`, tapes of past days are not
        delivered. Raises RegisterError when the id, the name or the folder belongs to another tape.
        """
        config = LoanTapeConfig(
            config_id=config_id or new_id(),
            name=name,
            portfolio_id=portfolio_id,
            investor_id=investor_id,
            tape_format=tape_format,
            tape_schedule=tape_schedule,
            required_fields=required_fields or [],
            recipient_email=recipient_email,
            delivery_url=delivery_url,
            template=template,
            template_values=template_values,
            allow_pii=allow_pii,
            business_day_convention=business_day_convention,
            holiday_calendar=holiday_calendar,
            deliver_from=deliver_from or Settings.from_environment().today,
            late_after_hours=late_after_hours,
            owner_email=owner_email,
            allow_empty=allow_empty,
            approve_corrections=approve_corrections,
        )
        self._require_free(config)
        self._session.add(config)
        self._session.flush()
        return config

    def by_name(self, name: str) -> LoanTapeConfig:
        """The configuration with that name. Raises RegisterError, with similar names, when there is none."""
        if config := self._session.scalar(sa.select(LoanTapeConfig).where(LoanTapeConfig.name == name)):
            return config
        names = self._session.scalars(sa.select(LoanTapeConfig.name))
        raise RegisterError(f"there is no tape {name!r}: {did_you_mean(name, names)}")

    def in_use(self, name: str) -> LoanTapeConfig:
        """The active configuration with that name. Raises RegisterError when there is none, or it is not active."""
        config = self.by_name(name)
        self._require_in_use(config)
        if not config.active:
            raise RegisterError(f"tape {name!r} is paused: `lending tapes resume {shlex.quote(name)}` resumes it")
        return config

    def get(self, config_id: str) -> LoanTapeConfig:
        """The configuration with that id. Raises RegisterError when there is none."""
        if config := self._session.get(LoanTapeConfig, config_id):
            return config
        raise RegisterError(f"there is no tape with the id {config_id!r}")

    def _require_free(self, config: LoanTapeConfig) -> None:
        """Raise RegisterError when another tape, active or not, has the configuration's id, name or folder."""
        if self._session.get_bind().dialect.name == "postgresql":
            # One configuration is saved at a time. In SQLite every writing session holds the only write lock.
            self._session.execute(sa.text("LOCK TABLE loan_tape_configs IN SHARE ROW EXCLUSIVE MODE"))
        for other in self._session.scalars(sa.select(LoanTapeConfig)):
            if config.name == other.name or config.config_id == other.config_id:
                raise RegisterError(f"tape {other.name!r} ({other.config_id}) already exists: choose another name")
            if (slug := tape_slug(config.name)) == tape_slug(other.name):
                raise RegisterError(
                    f"tape {config.name!r}: tape {other.name!r} already uses the folder tapes/{slug}: choose another"
                    " name"
                )

    def all(self) -> list[LoanTapeConfig]:
        """Every configuration, by name."""
        return list(self._session.scalars(sa.select(LoanTapeConfig).order_by(LoanTapeConfig.name)))

    def set_active(self, name: str, active: bool) -> None:
        """Pause a tape, or resume it: a paused tape is neither made nor delivered. RegisterError if it is retired."""
        config = self.by_name(name)
        self._require_in_use(config)
        config.active = active

    def retire(self, name: str, on: date) -> None:
        """End a tape for good. Its configuration, files and deliveries stay. RegisterError if it is retired."""
        config = self.by_name(name)
        self._require_in_use(config)
        config.active, config.retired_on = False, on

    def replace(self, name: str, portfolio_id: str, settings: Mapping[str, Any]) -> LoanTapeConfig:
        """Replace a tape's settings, which are those of `create`. RegisterError if the tape is retired.

        A setting that is left out gets its default, except deliver_from, which keeps its value.
        """
        config = self.by_name(name)
        self._require_in_use(config)
        defaults = {
            name: parameter.default
            for name, parameter in inspect.signature(self.create).parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY and name not in ("config_id", "deliver_from")
        }
        for setting, value in {**defaults, "required_fields": [], **settings, "portfolio_id": portfolio_id}.items():
            setattr(config, setting, value)
        self._session.flush()
        return config

    @staticmethod
    def _require_in_use(config: LoanTapeConfig) -> None:
        if config.retired_on is not None:
            raise RegisterError(f"tape {config.name!r} was retired on {config.retired_on}: make a new one")

    def active(self) -> list[LoanTapeConfig]:
        """The active configurations, by name."""
        query = sa.select(LoanTapeConfig).where(LoanTapeConfig.active).order_by(LoanTapeConfig.name)
        return list(self._session.scalars(query))
