"""Converts a tape configuration of the register to a tape specification, and validates configurations when saved."""

import inspect
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy.orm import Session

from lending_pipelines.bounds import FIRST_DAY, LAST_DAY, MOST_HOURS, Day, Hours, Name, Text, read_toml
from lending_pipelines.delivery import DeliveryError, check_address, check_place
from lending_pipelines.errors import did_you_mean
from lending_pipelines.register import Investors, Portfolios, RegisterError, TapeConfigs, destinations
from lending_pipelines.register.models import BusinessDayConvention, LoanTapeConfig
from lending_pipelines.settings_file import toml_value
from lending_pipelines.tapes.schedule import SCHEDULES, ScheduleError, due_days
from lending_pipelines.tapes.spec import TapeError, TapeSpec

_DEFAULTS = {"tape_format": "csv", "tape_schedule": "daily", "business_day_convention": "unadjusted"}


def tape_spec(config: LoanTapeConfig) -> TapeSpec:
    """The specification of a configured tape. Raises TapeError that names every error in the configuration."""
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
    """Validate and add an active tape configuration. Nothing is saved on an error.

    Args:
        session: A session of the register.
        name: The tape's name.
        portfolio_id: The portfolio whose loans the tape lists.
        **settings: The other settings of TapeConfigs.create.

    Returns:
        The saved configuration.

    Raises:
        TapeError: A field, template, schedule or calendar does not exist, a field is personal without allow_pii, the
            template lacks a required value, or a destination is not valid.
        RegisterError: The id, name or folder is taken.
    """
    _require_sound(session, LoanTapeConfig(**{**_DEFAULTS, **settings, "name": name, "portfolio_id": portfolio_id}))
    return TapeConfigs(session).create(name, portfolio_id, **settings)


def edit_tape_config(session: Session, name: str, path: str | Path) -> LoanTapeConfig:
    """Replace a tape's settings with those of a TOML file, read as in `load_tape_config`.

    A setting that is not in the file gets its default. Exceptions: the name cannot change, because it is also the
    tape's folder, and deliver_from keeps its value.

    Raises:
        TapeError: As in load_tape_config, or the file has another name.
        RegisterError: The tape does not exist, or is retired.
    """
    TapeConfigs(session).by_name(name)
    portfolio_id, settings = _read_tape_config(session, path)
    if (named := settings.pop("name")) != name:
        raise TapeError(f"tape configuration {path}: name is {named!r}: a tape keeps its name, write name = {name!r}")
    settings.pop("config_id", None)
    return change_tape_config(session, name, portfolio_id, settings)


def change_tape_config(session: Session, name: str, portfolio_id: str, settings: Mapping[str, Any]) -> LoanTapeConfig:
    """Check the settings, which are those of TapeConfigs.create, and replace a tape's settings with them.

    A setting that is left out gets its default, except deliver_from, which keeps its value.

    Raises:
        TapeError: As in save_tape_config.
        RegisterError: The tape does not exist, or is retired.
    """
    _require_sound(session, LoanTapeConfig(**{**_DEFAULTS, **settings, "name": name, "portfolio_id": portfolio_id}))
    return TapeConfigs(session).replace(name, portfolio_id, settings)


def tape_config_as_toml(session: Session, config: LoanTapeConfig) -> str:
    """The configuration as TOML for `edit_tape_config`, without settings that have their default."""
    portfolio = Portfolios(session).get(config.portfolio_id).name
    settings: dict[str, Any] = {"name": config.name, "portfolio": portfolio}
    if config.investor_id is not None:
        settings["investor"] = Investors(session).get(config.investor_id).name
    for name, parameter in inspect.signature(TapeConfigs.create).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and name not in ("config_id", "investor_id"):
            value = getattr(config, name)
            if value != parameter.default and value not in (None, []):
                settings[name] = value
    return "".join(f"{name} = {toml_value(value)}\n" for name, value in settings.items())


def _require_sound(session: Session, config: LoanTapeConfig) -> None:
    """Raise TapeError with every error of a configuration, or RegisterError for an id that does not exist."""
    faults = []
    for check in (tape_spec, _check_delivery):
        try:
            check(config)
        except TapeError as error:
            faults.append(str(error))
    if faults:
        raise TapeError("; ".join(faults))
    Portfolios(session).get(config.portfolio_id)
    if config.investor_id is not None:
        Investors(session).get(config.investor_id)


class _Delivery(BaseModel):
    """The types and limits of the settings about due dates and delivery, as they are saved."""

    model_config = ConfigDict(strict=True)

    config_id: Name | None
    tape_schedule: Name
    holiday_calendar: Name | None
    business_day_convention: Name
    deliver_from: Day | None
    late_after_hours: Hours | None
    delivery_url: Text | None
    recipient_email: Text | None
    owner_email: Name | None
    allow_pii: bool | None
    allow_empty: bool | None
    approve_corrections: bool | None


_WRITE = {
    "tape_schedule": f"{', '.join(SCHEDULES)} or a cron expression",
    "deliver_from": f"a date from {FIRST_DAY} to {LAST_DAY}, without quotes",
    "late_after_hours": f"a whole number of hours from 0 to {MOST_HOURS:,}",
    "allow_pii": "true or false, without quotes",
    "allow_empty": "true or false, without quotes",
    "approve_corrections": "true or false, without quotes",
}
"""What to write for a setting, for error messages."""


def _check_delivery(config: LoanTapeConfig) -> None:
    """Raise TapeError if a setting about due dates or delivery is not valid."""
    given = {name: getattr(config, name) for name in _Delivery.model_fields}
    try:
        _Delivery.model_validate(given)
    except ValidationError as error:
        wrong = dict.fromkeys(str(fault["loc"][0]) for fault in error.errors())
        faults = [f"{name} is {given[name]!r}: write {_WRITE.get(name, 'a text')}" for name in wrong]
        raise TapeError(f"tape {config.name!r}: {'; '.join(faults)}") from error
    if config.business_day_convention not in get_args(BusinessDayConvention):
        near = did_you_mean(config.business_day_convention, get_args(BusinessDayConvention))
        raise TapeError(
            f"tape {config.name!r}: unknown business_day_convention {config.business_day_convention!r}: {near}"
        )
    if config.holiday_calendar is not None and config.business_day_convention == "unadjusted":
        raise TapeError(f"tape {config.name!r}: holiday_calendar needs a business_day_convention: add it")
    try:
        # Every schedule has a date within a year, so this also validates the calendar.
        due_days(config, date(2024, 1, 1), date(2024, 12, 31))
        for channel, destination in destinations(config):
            (check_place if channel == "place" else check_address)(destination)
        if config.owner_email is not None:
            check_address(config.owner_email)
    except (ScheduleError, DeliveryError) as error:
        raise TapeError(f"tape {config.name!r}: {error}") from error


def load_tape_config(session: Session, path: str | Path) -> LoanTapeConfig:
    """Read a configuration from a TOML file and save it.

    The keys are the settings of save_tape_config; `portfolio` and `investor` are names.

    Raises:
        TapeError: As in save_tape_config, or the file cannot be read, has an unknown key, or names an unknown portfolio
            or investor. The message has every error.
    """
    portfolio_id, settings = _read_tape_config(session, path)
    return save_tape_config(session, settings.pop("name"), portfolio_id, **settings)


def _read_tape_config(session: Session, path: str | Path) -> tuple[str, dict[str, Any]]:
    """The portfolio_id and the settings, `name` among them, of a TOML file."""
    settings = read_toml(path, "tape configuration", TapeError)
    known = {"portfolio", "investor", *inspect.signature(TapeConfigs.create).parameters} - {"self", "portfolio_id"}
    faults = [f"unknown setting {name!r}: {did_you_mean(name, known)}" for name in settings if name not in known]
    faults += [f'add {name} = "…"' for name in ("name", "portfolio") if not isinstance(settings.get(name), str)]
    portfolio_id = ""
    try:
        if isinstance(portfolio := settings.pop("portfolio", None), str):
            portfolio_id = Portfolios(session).by_name(portfolio).portfolio_id
    except RegisterError as error:
        faults.append(str(error))
    try:
        if (investor := settings.pop("investor", None)) is not None:
            settings["investor_id"] = Investors(session).by_name(str(investor)).investor_id
    except RegisterError as error:
        faults.append(str(error))
    if faults:
        raise TapeError(f"tape configuration {path}: {'; '.join(faults)}")
    return portfolio_id, settings
