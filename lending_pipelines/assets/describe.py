"""The Dagster metadata of lake tables: description, columns, owners, kinds, key."""

import warnings
from typing import Any

import dagster as dg

from lending_pipelines.partitions import BUSINESS_DATES
from lending_pipelines.settings import Settings
from lending_pipelines.tables import TABLES, Column

# Backfill policies run a range of days as one run; Dagster marks them as beta.
warnings.filterwarnings("ignore", category=dg.BetaWarning)

NO_RESOURCES: dict[str, dict] = {"resources": {}}
"""Part of a job's run config: the launchpad then does not list the settings of resources. They can still be set."""

OWNERS = ["team:data"]

ENGINE = Settings.from_environment().engine
"""The compute engine, shown as the kind of assets."""


def table_metadata(name: str) -> dict[str, Any]:
    """The table's columns and key, as shown by Dagster."""
    table = TABLES[name]
    return {
        "dagster/column_schema": dg.TableSchema(columns=[_column(column, table.key) for column in table.columns]),
        "key": ", ".join(table.key),
    }


def described(name: str, group: str, owner: str = "team:data") -> dict[str, Any]:
    """The asset arguments for the lake table with that name."""
    return {
        "name": name,
        "description": TABLES[name].description,
        "metadata": table_metadata(name),
        "group_name": group,
        "owners": [owner],
        "kinds": {ENGINE, "deltalake"},
    }


def daily(name: str, group: str, owner: str = "team:data") -> dict[str, Any]:
    """The asset arguments for a daily table; a range of days is one run."""
    return described(name, group, owner) | {
        "partitions_def": BUSINESS_DATES,
        "backfill_policy": dg.BackfillPolicy.single_run(),
    }


def _column(column: Column, key: tuple[str, ...]) -> dg.TableColumn:
    constraints = dg.TableColumnConstraints(
        nullable=column.nullable,
        other=[f"one of {', '.join(column.values)}"] if column.values else [],
    )
    tags = {"key": ""} if column.name in key else {}
    return dg.TableColumn(column.name, column.type, column.description or None, constraints, tags=tags)
