"""No password or token of a URL is printed, whatever the URL looks like."""

import pytest

from lending_pipelines.delivery.parcel import DeliveryError
from lending_pipelines.delivery.place import check_place
from lending_pipelines.errors import LendingError
from lending_pipelines.settings import Settings
from lending_pipelines.url_secrets import SecretUrl, filled, hide_secrets

WITH_SECRETS = (
    "postgresql://ann:hunter2@db.example/books",
    "postgresql://ann:hun@ter2@db.example/books",
    "postgresql://ann:hunter2#x/y?z@db.example/books",
    "postgresql://db.example/books?user=ann&password=hunter2",
    "postgresql://db.example/books?sslpassword=hunter2&sslmode=require",
    "mysql+pymysql://ann:hunter2@db.example:3306/books?charset=utf8mb4",
    "simplecache::sftp://ann:hunter2@sftp.example/in",
    "https://files.example/tape?token=hunter2",
    "https://files.example/tape?X-Amz-Signature=1&access_key=hunter2",
    "s3://AKIA:hunter2@bucket/lake",
    "smtps://ann:hunter2@mail.example:465",
    "az://box/lake?sig=hunter2",
)


@pytest.mark.parametrize("url", WITH_SECRETS)
def test_every_form_of_a_url_is_printed_without_its_secret(url):
    printed = (
        hide_secrets(url),
        str(SecretUrl(url)),
        repr(SecretUrl(url)),
        f"{SecretUrl(url)}",
        f"{SecretUrl(url):>9}",
    )

    assert not [text for text in printed if "hunter2" in text or "ter2" in text]
    assert "***" in printed[0]
    assert SecretUrl(url).value == url
    assert "ter2" not in str(LendingError(f"{url} cannot be opened: {url!r}"))


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////home/ann/a@b.db",
        "sftp://ann:${SECRET}@sftp.example/in",
        "write smtp://user:password@host:587",
        "key=value",
        "https://files.example/tape?page=2",
        "postgresql://ann@db.example/books",
    ],
)
def test_a_text_without_a_secret_is_printed_as_it_is(text):
    assert hide_secrets(text) == text


@pytest.mark.parametrize("url", WITH_SECRETS)
def test_places_that_are_stored_have_no_secret(url):
    with pytest.raises(DeliveryError, match="contains a password"):
        check_place(url)
    for variable in ("LENDING_LAKE", "LENDING_EXPORTS"):
        with pytest.raises(LendingError, match=f"{variable} is .*remove the password or token") as refused:
            Settings.from_environment({variable: url})
        assert "ter2" not in str(refused.value)


@pytest.mark.parametrize("url", WITH_SECRETS)
def test_settings_print_without_secrets(url):
    given = {"LENDING_REGISTER_URL": url, "LENDING_OIDC_CLIENT_SECRET": "hunter2", "LENDING_REGISTER_KEYS": "hunter2"}
    if "@ter2" in url or "#" in url:
        with pytest.raises(LendingError, match=r"^LENDING_REGISTER_URL is not valid: ") as refused:
            Settings.from_environment(given)
        assert "ter2" not in str(refused.value)
        return
    settings = Settings.from_environment(given)
    assert "ter2" not in f"{settings} {settings!r}"
    assert (settings.register_url.value, settings.oidc_client_secret.value) == (url, "hunter2")


def test_a_password_comes_from_the_environment_and_is_encoded_where_it_must_be():
    environment = {"PW": "p@ss/w#d", "URL": "postgresql://a:b@h/d", "READY": "p%40ss"}

    assert filled("postgresql://ann:${PW}@h/d", environment) == "postgresql://ann:p%40ss%2Fw%23d@h/d"
    assert filled("postgresql://ann:${READY}@h/d", environment) == "postgresql://ann:p%40ss@h/d"
    assert filled("${URL}", environment) == "postgresql://a:b@h/d"
    settings = Settings.from_environment({"LENDING_SMTP_URL": "smtp://ann:${PW}@mail.example:587", **environment})
    assert settings.smtp_url is not None
    assert settings.smtp_url.value == "smtp://ann:p%40ss%2Fw%23d@mail.example:587"
    with pytest.raises(LendingError, match="LENDING_SMTP_URL is not valid: NO_SUCH is not set in the environment"):
        Settings.from_environment({"LENDING_SMTP_URL": "smtp://ann:${NO_SUCH}@mail.example"})


def test_a_special_character_in_a_password_is_refused_with_how_to_write_it():
    with pytest.raises(LendingError, match=r"percent-encode special characters .* such as %40 for @") as refused:
        Settings.from_environment({"LENDING_SERVICING_URL": "postgresql://ann:p@ss#w@db.example/books"})
    assert "ss#w" not in str(refused.value)
