"""Finds the adapters: every package in this folder is one, so that adding a servicing system edits nothing."""

import importlib
import pkgutil

from lending_pipelines import sources
from lending_pipelines.sources.protocol import Source, SourceError


def source_names() -> list[str]:
    """The names of the adapters, in order."""
    return sorted(module.name for module in pkgutil.iter_modules(sources.__path__) if module.ispkg)


def open_source(name: str, url: str) -> Source:
    """The adapter of that name on that URL; SourceError when there is no such adapter or the URL cannot be one."""
    if name not in source_names():
        raise SourceError(f"there is no source adapter {name!r}: LENDING_SOURCE is one of {', '.join(source_names())}")
    return importlib.import_module(f"{sources.__name__}.{name}").Adapter(url)
