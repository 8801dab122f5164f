"""The order of fields in a report's launchpad. The fields and their defaults are in assets/reports.py."""

from collections.abc import Mapping
from typing import Any

from dagster_shared.yaml_utils import dump_run_config_yaml

_REPORT = "reports__"
"""The prefix of the name of a report's op."""


def run_config_yaml(run_config: Mapping[str, Any], sort_keys: bool = True) -> str:
    """Run config as the UI shows it. The fields of a report are in the order of its form; Dagster sorts them by name.

    Args:
        run_config: The run config. Empty settings of resources are left out.
        sort_keys: Sort other fields by name.
    """
    shown = {name: each for name, each in run_config.items() if each or name != "resources"}
    if not any(op.startswith(_REPORT) for op in shown.get("ops", {})):
        return dump_run_config_yaml(shown, sort_keys)
    ops = {op: _ordered(op.removeprefix(_REPORT), settings) for op, settings in shown["ops"].items()}
    return dump_run_config_yaml({**shown, "ops": ops}, sort_keys=False)


def _ordered(report_type: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a report's op, with the fields of its config in the order of the form."""
    # Import here, so that the web server starts without the reports.
    from lending_pipelines.reports.parameters import form_order
    from lending_pipelines.reports.registry import get, report_types

    form = settings.get("config", {})
    order = form_order(get(report_type).parameters) if report_type in report_types() else []
    known = [name for name in order if name in form]
    return {**settings, "config": {name: form[name] for name in [*known, *(form.keys() - set(known))]}}
