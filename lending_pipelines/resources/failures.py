"""How an error of this package fails a step: with its message first.

Dagster wraps other exceptions in an error of its own, whose trace comes before the message in the UI.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import dagster as dg

from lending_pipelines.errors import LendingError

F = TypeVar("F", bound=Callable[..., Any])


def message_first(function: F) -> F:
    """Decorate the function or generator of a step: a LendingError becomes a dagster.Failure with its message."""

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        with _as_failure():
            return function(*arguments, **named)

    @functools.wraps(function)
    def generate(*arguments: Any, **named: Any) -> Any:
        with _as_failure():
            return (yield from function(*arguments, **named))

    return generate if inspect.isgeneratorfunction(function) else call  # type: ignore[return-value]


@contextmanager
def _as_failure() -> Iterator[None]:
    try:
        yield
    except LendingError as error:
        raise dg.Failure(str(error)) from error
