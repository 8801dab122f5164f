"""Writes tables.md from lending_pipelines.tables. Run it after changing a table; a test compares the page."""

from collections.abc import Iterator
from pathlib import Path

from lending_pipelines.tables import DERIVED, RECORDS, SERVICING, Column, Table
from lending_pipelines.tables.rules import ROW_RULES
from lending_pipelines.tables.schema import MONEY

PAGE = Path(__file__).with_name("tables.md")

_OPENING = """\
# Tables

This page lists every table of the lake with its columns. Dagster shows the same descriptions on each asset's page.

`.venv/bin/python docs/write_tables.py` writes this page from `lending_pipelines/tables/`. Edit the tables there.

Money is decimal(18, 2) in the row's currency. Rates are annual fractions: 0.125 is 12.5 %. Names of dates end in `_on`
or `_date`. Names of timestamps end in `_at`; timestamps are in UTC. The [definitions](definitions.md) explain the
derived numbers.

Keys are unique. Only a column marked *may be null* can be empty. Counts are never negative. Amounts are negative only
where the table says so. The sync rejects a servicing table whose rows break these rules or a rule named below. In any
other column of a servicing table, a negative amount is a warning.

A source must have every column of a servicing table that it has, except those that *a source may lack*.

Columns marked *personal* identify a person, describe one person, or contain free text. Tapes and reports include them
only with `allow_pii`.
"""

_SERVICING = """\
## Servicing tables

These tables are read from the servicing system. Every source provides them. The sync mode of a table depends on how its
rows change:

- *Append*: rows are events. New rows are found by their `posted_at`. A mistake is corrected by a reversal. The sync
  reports an event that changes later.
- *Merge*: rows can change. New and changed rows are found by their `updated_at`.
- *Replace*: every sync reads the complete table.

Events have two dates. `effective_on` is the business date on which the event counts. `posted_at` is the time when the
servicing system recorded it; a system that does not store it uses 00:00 UTC of the day after `effective_on`.
"""

_DERIVED = """\
## Derived tables

The close writes these tables. Tables with a `business_date` have one set of rows per day, and a close replaces the rows
of its days. `closed_days` lists the days that were closed.
"""


def page() -> str:
    """The page's text."""
    return "\n".join(
        [
            _OPENING,
            _SERVICING,
            *(text for table in SERVICING.values() for text in _table(table)),
            _DERIVED,
            *(text for table in (*DERIVED.values(), *RECORDS.values()) for text in _table(table)),
        ]
    )


def _table(table: Table) -> Iterator[str]:
    yield f"### {table.name}\n"
    yield f"{table.description}\n"
    load = ""
    if table.name in SERVICING:
        load = f" Sync: {table.load}{f' by `{table.watermark}`' if table.watermark else ''}."
    yield f"Key: {', '.join(f'`{name}`' for name in table.key)}.{load}\n"
    yield "| column | type | may be null | meaning |\n|---|---|---|---|"
    for column in table.columns:
        yield f"| {column.name} | {column.type} | {'yes' if column.nullable else ''} | {_meaning(column)} |"
    yield ""

    if rules := ROW_RULES.get(table.name):
        yield f"Rules for each row: {'; '.join(rule.text for rule in rules)}.\n"


def _meaning(column: Column) -> str:
    values = ""
    if column.values and not column.of_buckets:
        values = f"one of {', '.join(column.values)}"
    within = "" if column.most is None else f"between 0 and {column.most}"
    optional = "a source may lack it" * column.optional
    parts = (column.description, values, _sign(column), within, optional, "personal" * column.personal)
    return "; ".join(part for part in parts if part)


def _sign(column: Column) -> str:
    if column.sign == "by convention":
        return "negative only with the convention negative_journal_lines"
    return "may be negative" * (column.type == MONEY and column.sign == "any")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
