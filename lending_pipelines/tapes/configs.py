"""From a tape's configuration in the register to what the tape is, and the one way to save a configuration checked."""

from datetime import date
from typing import Any

from sqlalchemy.orm import Session

from lending_pipelines.register import TapeConfigs
from lending_pipelines.register.models import LoanTapeConfig
from lending_pipelines.tapes.schedule import is_due
from lending_pipelines.tapes.spec import TapeSpec

_DEFAULTS = {"tape_format": "csv", "tape_schedule": "daily"}


def tape_spec(config: LoanTapeConfig) -> TapeSpec:
    """What the configured tape is; TapeError names what is wrong with it."""
    return TapeSpec.model_validate(
        {
            "name": config.name,
            "portfolio_id": config.portfolio_id,
            "investor_id": config.investor_id,
            "tape_format": config.tape_format,
            "fields": config.required_fields or (),
            "template": config.template,
            "template_values": config.template_values or {},
            "allow_pii": bool(config.allow_pii),
        }
    )


def save_tape_config(session: Session, name: str, portfolio_id: str, **settings: Any) -> LoanTapeConfig:
    """A new active configuration, with the settings that TapeConfigs.create takes.

    TapeError, before anything is kept, when there is no such field, template or schedule, when personal data is asked
    for and not allowed, or when a template lacks what its standard wants; RegisterError as in TapeConfigs.create.
    """
    config = LoanTapeConfig(**{**_DEFAULTS, **settings, "name": name, "portfolio_id": portfolio_id})
    tape_spec(config)
    is_due(config.tape_schedule, date(2000, 1, 1))
    return TapeConfigs(session).create(name, portfolio_id, **settings)
