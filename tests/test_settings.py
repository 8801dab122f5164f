"""LENDING_* variables: defaults, and one line for one that cannot be understood."""

import re
from datetime import date
from pathlib import Path

import pytest

from lending_pipelines.errors import LendingError
from lending_pipelines.settings import Settings


def test_everything_embedded_lies_in_the_home():
    settings = Settings.from_environment({"LENDING_HOME": "/data"})

    assert settings.home == Path("/data")
    assert (settings.lake_url, settings.exports_url) == ("/data/lake", "/data/exports")
    assert settings.servicing_url == "sqlite:////data/servicing.db"
    assert settings.register_url == "sqlite:////data/register.db"
    assert (settings.source, settings.timezone, settings.start_date) == ("canonical", "UTC", date(2025, 1, 1))
    assert (settings.engine, settings.spark_master) == ("duckdb", "local[*]")
    assert settings.conventions_file is None


def test_the_lender_is_named_by_the_environment():
    settings = Settings.from_environment({"LENDING_NAME": "Cedar Bank", "LENDING_LOGO": "cedar.svg"})

    assert (settings.lender_name, settings.logo_file) == ("Cedar Bank", "cedar.svg")
    assert (Settings.from_environment({}).lender_name, Settings.from_environment({}).logo_file) == ("", None)


def test_a_relative_home_does_not_move_with_the_process():
    assert Settings.from_environment({}).home == Path.cwd() / ".lending"


def test_an_empty_variable_is_an_unset_one():
    names = (
        "HOME",
        "NAME",
        "LOGO",
        "LAKE",
        "EXPORTS",
        "SERVICING_URL",
        "SOURCE",
        "REGISTER_URL",
        "START_DATE",
        "TIMEZONE",
        "CONVENTIONS",
        "ENGINE",
        "SPARK_MASTER",
    )

    assert Settings.from_environment({f"LENDING_{name}": "" for name in names}) == Settings.from_environment({})


@pytest.mark.parametrize(
    ("variable", "value", "instead"),
    [
        ("LENDING_START_DATE", "01.02.2025", "write a date like 2025-01-31"),
        ("LENDING_START_DATE", "2025-02-30", "write a date like 2025-01-31"),
        ("LENDING_TIMEZONE", "Mars/Base", "write an IANA time zone"),
        ("LENDING_TIMEZONE", "America", "write an IANA time zone"),
        ("LENDING_TIMEZONE", "../etc", "write an IANA time zone"),
        ("LENDING_ENGINE", "polars", "write one of duckdb, spark"),
        ("LENDING_ENGINE", "Spark", "write one of duckdb, spark"),
        # Unset variables whose default is in the home are not read before the home is right.
        ("LENDING_HOME", "${NOT_SET}", "write the path itself, without ${:"),
        ("LENDING_HOME", "/data?user=a", "write the path itself, without ?:"),
        ("LENDING_HOME", "/data%20a", "write the path itself, without %:"),
    ],
)
def test_a_wrong_value_is_named_with_what_to_write(variable, value, instead):
    with pytest.raises(LendingError) as refused:
        Settings.from_environment({variable: value})

    assert str(refused.value).startswith(f"{variable} is {value!r}: {instead}")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LENDING_HOME", "/srv/lender [prod]"),
        ("LENDING_HOME", "lender*"),
        ("LENDING_LAKE", "s3://lender/[prod]/lake"),
        ("LENDING_EXPORTS", "/srv/lender?/exports"),
        ("LENDING_EXPORTS", "exports [1]"),
    ],
)
def test_a_location_that_the_engine_reads_as_a_pattern_is_refused(variable, value):
    with pytest.raises(LendingError, match=rf"{variable} is .*: choose a location without \*, \? and \["):
        Settings.from_environment({variable: value})


def test_the_folder_that_a_relative_home_is_in_counts(tmp_path, monkeypatch):
    folder = tmp_path / "lender [prod]"
    folder.mkdir()
    monkeypatch.chdir(folder)

    with pytest.raises(LendingError, match=rf"LENDING_HOME is '{re.escape(str(folder))}/\.lending'"):
        Settings.from_environment({})
