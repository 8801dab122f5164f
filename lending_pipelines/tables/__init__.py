"""The schema of every table that is read or derived: names, types, units, keys, allowed values.

Adapters, the lake, the checks and Dagster's column metadata all read a table's schema from here. This package does not
read or write data and does not compute numbers.
"""

from lending_pipelines.tables.derived import DERIVED, RECORDS
from lending_pipelines.tables.schema import Column, Load, Table
from lending_pipelines.tables.servicing import REQUIRED, SERVICING

TABLES: dict[str, Table] = {**SERVICING, **DERIVED, **RECORDS}
"""Every table of the lake by its name."""

__all__ = ["DERIVED", "RECORDS", "REQUIRED", "SERVICING", "TABLES", "Column", "Load", "Table"]
