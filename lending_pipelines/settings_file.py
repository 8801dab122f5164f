"""The settings file: a TOML file with the LENDING_* settings of one home, used by every command.

settings.py defines the settings and their values. The file is named by LENDING_SETTINGS; otherwise it is `lending.toml`
in the folder LENDING_HOME, in the current folder, or in the nearest parent folder.
"""

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from lending_pipelines.bounds import read_toml
from lending_pipelines.errors import LendingError, did_you_mean

NAME = "lending.toml"
VARIABLE = "LENDING_SETTINGS"
"""The environment variable that names the file."""

_PATHS = ("home", "conventions", "report_schedules", "retention", "logo", "oidc_roles", "portal_keys")
"""Settings that are local paths. A relative path is relative to the folder of the settings file."""

_PATHS_OR = {"lake": "://", "exports": "://", "signing_key": "-----BEGIN"}
"""Settings that are a path unless the value contains this: a URL, or the text of a key."""

_SQLITE = "sqlite:///"


def find_settings_file(environment: Mapping[str, str], folder: Path | None = None) -> Path | None:
    """The settings file for a folder (default: the current one); None if there is none."""
    if named := environment.get(VARIABLE):
        return Path(named).absolute()
    start = (folder or Path.cwd()).absolute()
    home = [Path(environment["LENDING_HOME"]).absolute()] if environment.get("LENDING_HOME") else []
    return next((each / NAME for each in (*home, start, *start.parents) if (each / NAME).is_file()), None)


def read_settings_file(file: Path, known: Mapping[str, str]) -> dict[str, str]:
    """Read the file's settings as values of environment variables.

    Args:
        file: The settings file.
        known: The environment variable of each setting by its name in the file.

    Raises:
        LendingError: The file cannot be read, or has an unknown setting or a value that is not a text, number or date.
    """
    given = read_toml(file, "settings file")
    faults = [f"there is no setting {name!r}; {did_you_mean(name, known)}" for name in given if name not in known]
    faults += [
        f'{name} is {value!r}: write {name} = "…"'
        for name, value in given.items()
        if name in known and (isinstance(value, bool) or not isinstance(value, str | int | date))
    ]
    if faults:
        raise LendingError(f"settings file {file}: {'; '.join(faults)}")
    return {known[name]: _absolute(name, str(value), file.parent) for name, value in given.items() if value != ""}


def write_settings_file(file: Path, settings: Mapping[str, str]) -> None:
    """Write a settings file that only its owner can read, because URLs can contain passwords.

    Raises:
        LendingError: The file cannot be written.
    """
    lines = [
        "# Settings of lending_pipelines. LENDING_* environment variables win over this file.",
        *(f"{name} = {toml_value(value)}" for name, value in settings.items()),
    ]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise LendingError(f"settings file {file} cannot be written: {error}") from error


def toml_value(value: Any) -> str:
    """A text, number, date, boolean, list or mapping as TOML on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{toml_value(str(key))} = {toml_value(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    # Texts, numbers, true and false are written as in JSON.
    return value.isoformat() if isinstance(value, date) else json.dumps(value, ensure_ascii=False)


def _absolute(name: str, value: str, folder: Path) -> str:
    if name in _PATHS or (name in _PATHS_OR and _PATHS_OR[name] not in value):
        return str(folder / Path(value).expanduser())
    if value.startswith(_SQLITE) and not value.startswith(f"{_SQLITE}/") and len(value) > len(_SQLITE):
        return f"{_SQLITE}{folder / value.removeprefix(_SQLITE)}"
    return value
