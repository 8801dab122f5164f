"""The schema of every table that is read or derived: names, types, units, keys, allowed values.

Adapters, the lake, the checks and Dagster's column metadata all take a table's shape from here. Nothing here reads or
writes data, and no number is computed here.
"""

from lending_pipelines.tables.derived import DERIVED, OPTIONAL, RECORDS
from lending_pipelines.tables.schema import Column, Load, Table
from lending_pipelines.tables.servicing import REQUIRED, SERVICING

TABLES: dict[str, Table] = {**SERVICING, **DERIVED, **OPTIONAL, **RECORDS}
"""Every table of the lake by its name."""

__all__ = ["DERIVED", "OPTIONAL", "RECORDS", "REQUIRED", "SERVICING", "TABLES", "Column", "Load", "Table"]
