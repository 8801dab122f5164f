"""Finds the source adapters: every package in this folder is one, so a new adapter needs no registration."""

import importlib
import pkgutil

from lending_pipelines import sources
from lending_pipelines.sources.protocol import Source, SourceError


def source_names() -> list[str]:
    """The names of the adapters, in order."""
    return sorted(module.name for module in pkgutil.iter_modules(sources.__path__) if module.ispkg)


def open_source(name: str, url: str) -> Source:
    """The adapter with that name for that URL. Raises SourceError when the adapter or the URL is not valid."""
    if name not in source_names():
        raise SourceError(f"unknown source adapter {name!r}: set LENDING_SOURCE to one of {', '.join(source_names())}")
    return importlib.import_module(f"{sources.__name__}.{name}").Adapter(url)
