"""The settings file: where it is found, what wins, and one line for one that cannot be understood."""

from datetime import date

import pytest

from lending_pipelines.errors import LendingError
from lending_pipelines.settings import Settings
from lending_pipelines.settings_file import NAME, find_settings_file, read_settings_file, write_settings_file


def test_a_file_is_found_from_any_folder_below_and_its_paths_start_at_its_folder(tmp_path, monkeypatch):
    write_settings_file(
        tmp_path / NAME,
        {"home": "data", "servicing_url": "sqlite:///books.db", "start_date": "2024-02-01", "name": "Harbour"},
    )
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)

    settings = Settings.from_environment({})

    assert settings.home == tmp_path / "data"
    assert settings.lake_url == str(tmp_path / "data" / "lake")
    assert settings.servicing_url == f"sqlite:///{tmp_path}/books.db"
    assert (settings.start_date, settings.lender_name) == (date(2024, 2, 1), "Harbour")
    assert (tmp_path / NAME).stat().st_mode & 0o077 == 0


def test_every_path_starts_at_the_files_folder_and_the_text_of_a_key_is_no_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)
    file = tmp_path / NAME
    paths = ("conventions", "report_schedules", "retention", "logo", "oidc_roles", "portal_keys", "signing_key")
    file.write_text("".join(f'{name} = "keys/{name}"\n' for name in paths))
    known = {name: f"LENDING_{name.upper()}" for name in paths}
    assert read_settings_file(file, known) == {known[name]: f"{tmp_path}/keys/{name}" for name in paths}
    text = "-----BEGIN PRIVATE KEY-----\\nMC4C\\n-----END PRIVATE KEY-----"
    file.write_text(f"signing_key = '{text}'\n")
    assert read_settings_file(file, known) == {"LENDING_SIGNING_KEY": text}


def test_the_environment_wins_and_an_empty_variable_does_not(tmp_path, monkeypatch):
    (tmp_path / NAME).write_text('timezone = "Europe/Amsterdam"\nstart_date = 2024-02-01\nmail_limit_mb = 3\n')
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_environment({"LENDING_TIMEZONE": "Asia/Tokyo", "LENDING_START_DATE": ""})
    assert (settings.timezone, settings.start_date, settings.mail_limit_mb) == ("Asia/Tokyo", date(2024, 2, 1), 3)


def test_the_variable_names_a_file_elsewhere(tmp_path):
    file = tmp_path / "other.toml"
    file.write_text('lake = "s3://bucket/lake"\n')
    assert find_settings_file({"LENDING_SETTINGS": str(file)}) == file
    assert Settings.from_environment({"LENDING_SETTINGS": str(file)}).lake_url == "s3://bucket/lake"


def test_the_file_of_the_home_that_the_environment_names_comes_before_that_of_the_folder(tmp_path, monkeypatch):
    for folder, lender in ((tmp_path, "Harbour"), (tmp_path / "demo", "Lakeside")):
        folder.mkdir(exist_ok=True)
        (folder / NAME).write_text(f'name = "{lender}"\n')
    monkeypatch.chdir(tmp_path)
    assert Settings.from_environment({}).lender_name == "Harbour"
    assert Settings.from_environment({"LENDING_HOME": "demo"}).lender_name == "Lakeside"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('start_dat = "2025-01-01"', "there is no setting 'start_dat'; did you mean 'start_date'?"),
        ("home = [1]", 'home is [1]: write home = "…"'),
        ("home = ", "cannot be read"),
        ('timezone = "Mars"', "LENDING_TIMEZONE is 'Mars': write an IANA time zone"),
    ],
)
def test_a_wrong_file_is_named_with_what_to_write(tmp_path, text, told):
    file = tmp_path / NAME
    file.write_text(text)
    with pytest.raises(LendingError) as refused:
        Settings.from_environment({"LENDING_SETTINGS": str(file)})
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
