"""Finds the report types: every module of reports/types with a module-level `generator`."""

import importlib
import pkgutil
from functools import cache
from typing import Any

from lending_pipelines.errors import LendingError, did_you_mean
from lending_pipelines.reports import types
from lending_pipelines.reports.protocol import ReportGeneratorProtocol


@cache
def _generators() -> dict[str, ReportGeneratorProtocol[Any]]:
    """The generators by report type."""
    generators: dict[str, ReportGeneratorProtocol[Any]] = {}
    for info in sorted(pkgutil.iter_modules(types.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{types.__name__}.{info.name}")
        generator = getattr(module, "generator", None)
        if generator is None:
            continue
        if generator.report_type in generators:
            raise LendingError(f"{module.__name__}: report type {generator.report_type} already exists: rename it")
        generators[generator.report_type] = generator
    return generators


def report_types() -> list[str]:
    """The sorted names of all report types."""
    return sorted(_generators())


def get(report_type: str) -> ReportGeneratorProtocol[Any]:
    """The generator of that report type. LendingError with similar names if it is unknown."""
    try:
        return _generators()[report_type]
    except KeyError:
        raise LendingError(f"unknown report {report_type!r}; {did_you_mean(report_type, report_types())}") from None
