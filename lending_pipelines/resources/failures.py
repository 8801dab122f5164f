"""Makes an error of this package fail a step with its message first.

Dagster wraps other exceptions in an error of its own, whose trace comes before the message in the UI.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import dagster as dg

from lending_pipelines.errors import LendingError
from lending_pipelines.machine_errors import explanation
from lending_pipelines.url_secrets import hide_secrets

F = TypeVar("F", bound=Callable[..., Any])


def message_first(function: F) -> F:
    """Decorate the function or generator of a step: its errors become a dagster.Failure with their message.

    These are LendingErrors, and errors of the machine with an explanation. Other errors only lose their secrets.
    """

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
        raise dg.Failure(str(error)) from _without_secrets(error)
    except Exception as error:
        if told := explanation(error):
            raise dg.Failure(str(LendingError(told))) from _without_secrets(error)
        if (hidden := _without_secrets(error)) is not error:
            raise hidden from hidden.__cause__
        raise


def _without_secrets(error: BaseException) -> BaseException:
    """The error that Dagster records: the error itself, or a copy with hidden secrets if it or a cause contains any."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    hidden = _without_secrets(cause) if cause else None
    if hide_secrets(str(error)) == str(error) and hidden is cause:
        return error
    copy = RuntimeError(f"{type(error).__name__}: {hide_secrets(str(error))}").with_traceback(error.__traceback__)
    copy.__cause__ = hidden
    return copy
