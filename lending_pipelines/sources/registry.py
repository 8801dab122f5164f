"""Finds the source adapters. Every package in this folder is one, so a new adapter needs no registration."""

import importlib
import pkgutil

from lending_pipelines import sources
from lending_pipelines.sources.protocol import Source, SourceError
from lending_pipelines.url_secrets import Secret


def source_names() -> list[str]:
    """The names of the adapters, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(sources.__path__) if module.ispkg)


def open_source(name: str, url: str) -> Source:
    """The adapter with that name, for that URL. SourceError if the adapter is unknown or the URL is not valid."""
    if name not in source_names():
        raise SourceError(f"unknown source adapter {name!r}: set LENDING_SOURCE to one of {', '.join(source_names())}")
    # Adapters put the names of files after the URL.
    plain = url.value if isinstance(url, Secret) else url
    return importlib.import_module(f"{sources.__name__}.{name}").Adapter(plain)
