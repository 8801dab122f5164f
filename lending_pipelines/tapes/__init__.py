"""Loan tapes: the catalogue of loan fields, the specification of an investor's tape, and its manifest.

This package has expressions, decisions and texts only. exports/ writes the files, assets/ decides where they go, and
the register holds the configurations, which configs.py reads and saves.
"""

from lending_pipelines.tapes.catalogue import CATALOGUE, TABLES_READ, TapeCatalogueField
from lending_pipelines.tapes.changes import COLUMNS as CHANGE_COLUMNS
from lending_pipelines.tapes.changes import Comparison, TapeChanges
from lending_pipelines.tapes.configs import (
    change_tape_config,
    edit_tape_config,
    load_tape_config,
    save_tape_config,
    tape_config_as_toml,
    tape_spec,
)
from lending_pipelines.tapes.manifest import ControlTotal, TapeManifest, control_totals, manifests_in
from lending_pipelines.tapes.placement import TapePlacement, tape_folder
from lending_pipelines.tapes.rows import checked_rows, tape_loans, tape_rows, tape_tables, tape_totals
from lending_pipelines.tapes.spec import DEFAULT_FIELDS, TapeError, TapeField, TapeSpec
from lending_pipelines.tapes.template import TapeTemplate, TemplateField, template, template_names
from lending_pipelines.tapes.versions import next_tape_path

__all__ = [
    "CATALOGUE",
    "CHANGE_COLUMNS",
    "DEFAULT_FIELDS",
    "TABLES_READ",
    "Comparison",
    "ControlTotal",
    "TapeCatalogueField",
    "TapeChanges",
    "TapeError",
    "TapeField",
    "TapeManifest",
    "TapePlacement",
    "TapeSpec",
    "TapeTemplate",
    "TemplateField",
    "change_tape_config",
    "checked_rows",
    "control_totals",
    "edit_tape_config",
    "load_tape_config",
    "manifests_in",
    "next_tape_path",
    "save_tape_config",
    "tape_config_as_toml",
    "tape_folder",
    "tape_loans",
    "tape_rows",
    "tape_spec",
    "tape_tables",
    "tape_totals",
    "template",
    "template_names",
]
