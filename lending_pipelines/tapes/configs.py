"""From a tape's configuration in the register to what the tape is, and the one way to save a configuration checked."""

import inspect
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from lending_pipelines.errors import did_you_mean
from lending_pipelines.register import Investors, Portfolios, TapeConfigs
from lending_pipelines.register.models import LoanTapeConfig
from lending_pipelines.tapes.schedule import is_due
from lending_pipelines.tapes.spec import TapeError, TapeSpec

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


def load_tape_config(session: Session, path: str | Path) -> LoanTapeConfig:
    """Save the configuration that a TOML file describes.

    Its keys are the settings of save_tape_config; `portfolio` and `investor` name theirs. TapeError when the file
    cannot be read or has another key, and as there; RegisterError when there is no such portfolio or investor.
    """
    try:
        settings = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TapeError(f"tape configuration {path} cannot be read: {error}") from error
    known = {"portfolio", "investor", *inspect.signature(TapeConfigs.create).parameters} - {"self", "portfolio_id"}
    for name in settings:
        if name not in known:
            raise TapeError(f"tape configuration {path}: there is no setting {name!r}: {did_you_mean(name, known)}")
    for name in ("name", "portfolio"):
        if not isinstance(settings.get(name), str):
            raise TapeError(f'tape configuration {path}: write {name} = "…"')
    portfolio = Portfolios(session).by_name(settings.pop("portfolio"))
    if investor := settings.pop("investor", None):
        settings["investor_id"] = Investors(session).by_name(investor).investor_id
    return save_tape_config(session, settings.pop("name"), portfolio.portfolio_id, **settings)
