"""Faster versions of private functions of Great Expectations, with the same results.

Three of the originals build the complete configuration again for each argument of an expectation, 12,000 times in a run
and a third of its time. Another one converts each argument of a metric to compute the metric's identity, 100,000 times
in a run. With another release nothing is replaced, and validation is only slower.
"""

from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from typing import Any

RELEASE = "1.24"
"""The release of Great Expectations whose functions are replaced."""

_JSON = {str, int, bool, type(None)}
"""The types of values that need no conversion to JSON."""


def is_known() -> bool:
    """Whether the installed release is RELEASE."""
    return f"{version('great-expectations')}.".startswith(f"{RELEASE}.")


def install() -> None:
    """Replace the functions in this process, if the installed release is RELEASE."""
    if not is_known():
        return
    from great_expectations.core import id_dict
    from great_expectations.data_context.data_context import abstract_data_context
    from great_expectations.expectations import expectation

    def argument(self: Any, key: str, default: Any = None) -> Any:
        return self.__dict__.get(key, default)

    def arguments(self: Any, keys: Iterable[str]) -> dict[str, Any]:
        return {key: argument(self, key) for key in keys}

    replaced: Any = expectation.Expectation
    replaced._get_success_kwarg = argument
    replaced._get_domain_kwargs = lambda self: arguments(self, self.domain_keys)
    replaced._get_success_kwargs = lambda self: arguments(self, (*self.success_keys, *self.domain_keys))
    # A context in memory writes its configuration as YAML for each table, although nothing reads it.
    contexts: Any = abstract_data_context.AbstractDataContext
    contexts._save_project_config = lambda self: None
    # Cache the conversion of class names to their names in the configuration.
    expectation.camel_to_snake = cache(expectation.camel_to_snake)

    identities: Any = id_dict
    convert = identities.convert_to_json_serializable

    def converted(data: dict[str, Any]) -> Any:
        return data if {type(value) for value in data.values()} <= _JSON else convert(data)

    identities.convert_to_json_serializable = converted
