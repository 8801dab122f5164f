"""No two tapes share a folder, on each database and with several saved at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest

from lending_pipelines.register import Portfolios, Register, RegisterError, TapeConfigs


@pytest.fixture(autouse=True)
def portfolio(register: Register):
    with register.session() as session:
        Portfolios(session).create("P", date(2025, 1, 1), portfolio_id="p")


@pytest.mark.parametrize("name", ["A-B daily", "a b DAILY", " A/B--daily "])
def test_a_name_that_gives_the_folder_of_another_tape_is_refused(register, name):
    with register.session() as session:
        TapeConfigs(session).create("A/B daily", "p")
        with pytest.raises(RegisterError, match="tape 'A/B daily' already uses the folder tapes/a-b-daily"):
            TapeConfigs(session).create(name, "p")
        TapeConfigs(session).create("A/B daily 2", "p")


def test_the_folder_of_a_tape_that_is_no_longer_active_is_taken_too(register):
    with register.session() as session:
        TapeConfigs(session).create("A/B daily", "p").active = False
    with register.session() as session, pytest.raises(RegisterError, match="already uses the folder tapes/a-b-daily"):
        TapeConfigs(session).create("A-B daily", "p")


def test_of_two_saved_at_once_one_is_refused(register):
    barrier = threading.Barrier(2)

    def save(name: str) -> str:
        barrier.wait()
        try:
            with register.session() as session:
                TapeConfigs(session).create(name, "p")
        except RegisterError as refused:
            return str(refused)
        return "saved"

    with ThreadPoolExecutor(2) as threads:
        told = sorted(threads.map(save, ["A/B daily", "A-B daily"]))
    assert told[0] == "saved" or told[1] == "saved"
    assert sum("already uses the folder tapes/a-b-daily" in each for each in told) == 1
    with register.session() as session:
        assert len(TapeConfigs(session).active()) == 1
