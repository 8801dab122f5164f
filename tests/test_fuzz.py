"""Odd inputs are refused with a LendingError, never with a traceback. tests/fuzz.py makes the inputs."""

from collections.abc import Callable

import fuzz
import pytest


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
@pytest.mark.parametrize("kind", fuzz.KINDS, ids=lambda kind: kind.__name__)
def test_odd_inputs_get_an_error_that_says_what_to_write(
    kind: Callable, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LENDING_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))

    fuzz.fuzz(kind, 40)
