"""Personal data of investors is stored encrypted when there is a key; without one it is stored unencrypted."""

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from lending_pipelines.errors import LendingError
from lending_pipelines.register import Investors

PERSONAL = {
    "bank_account": "NL91ABNA0417164300",
    "phone": "+31201234567",
    "email": "fund@harbour.example",
    "address": "Kade 1, Amsterdam",
}
STORED = sa.text("SELECT bank_account, phone, email, address FROM investors ORDER BY name")


def stored(register) -> list[tuple]:
    with register.reading() as connection:
        return [tuple(row) for row in connection.execute(STORED)]


def read(register) -> list[dict]:
    with register.reading_session() as session:
        return [{name: getattr(each, name) for name in PERSONAL} for each in Investors(session).all()]


def add(register, name: str) -> None:
    with register.session() as session:
        Investors(session).create(name, "fund", **PERSONAL)


def test_without_a_key_it_is_stored_in_clear_and_with_one_no_value_is_in_the_database(register, monkeypatch):
    add(register, "A clear")
    monkeypatch.setenv("LENDING_REGISTER_KEYS", Fernet.generate_key().decode())
    add(register, "B encrypted")

    clear, encrypted = stored(register)
    assert clear == tuple(PERSONAL.values())
    assert not set(encrypted) & set(PERSONAL.values())
    assert all(each.startswith("fernet:") for each in encrypted)
    assert read(register) == [PERSONAL, PERSONAL]


def test_a_new_first_key_encrypts_everything_again_and_the_old_one_can_go(register, monkeypatch):
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    add(register, "A clear")
    monkeypatch.setenv("LENDING_REGISTER_KEYS", old)
    add(register, "B old")
    with register.session() as session:
        assert Investors(session).in_clear() == 1

    monkeypatch.setenv("LENDING_REGISTER_KEYS", f"{new}, {old}")
    with register.session() as session:
        assert Investors(session).encrypt() == 2
        assert Investors(session).in_clear() == 0
    monkeypatch.setenv("LENDING_REGISTER_KEYS", new)
    assert read(register) == [PERSONAL, PERSONAL]


@pytest.mark.parametrize("keys", ["", Fernet.generate_key().decode()], ids=["no key", "another key"])
def test_data_without_its_key_is_an_error_and_never_empty(register, monkeypatch, keys):
    monkeypatch.setenv("LENDING_REGISTER_KEYS", Fernet.generate_key().decode())
    add(register, "A")
    monkeypatch.setenv("LENDING_REGISTER_KEYS", keys)

    with pytest.raises(LendingError, match="no key in LENDING_REGISTER_KEYS decrypts"):
        read(register)


def test_a_text_that_is_no_key_is_refused_without_printing_it(register, monkeypatch):
    monkeypatch.setenv("LENDING_REGISTER_KEYS", "hush-hush")

    with pytest.raises((LendingError, sa.exc.StatementError), match="LENDING_REGISTER_KEYS is not valid") as refused:
        add(register, "A")
    assert "hush" not in str(refused.value)
