"""Writes tables.md from lending_pipelines.tables; a test holds the page to it. Run it after changing a table."""

from collections.abc import Iterator
from pathlib import Path

from lending_pipelines.tables import DERIVED, RECORDS, SERVICING, Column, Table
from lending_pipelines.tables.rules import ROW_RULES
from lending_pipelines.tables.schema import MONEY

PAGE = Path(__file__).with_name("tables.md")

_OPENING = """\
# Tables

Every table of the lake, column by column. Dagster shows the same on each asset's page.

This page is written by `.venv/bin/python docs/write_tables.py` from `lending_pipelines/tables/`: change it there.

Money is decimal(18, 2) in the row's currency. Rates are annual fractions: 0.125 is 12.5 %. Dates end in `_on` (and
`_date`), instants end in `_at` and are UTC. What the derived numbers mean is in [definitions](definitions.md).

Keys are unique. A column that may not be null has a value in every row. Counts are not negative, and amounts are not
unless the table says so. The sync rejects a servicing table whose rows break these rules or a rule named below;
a negative amount in any other column of a servicing table is a warning.

Columns marked *personal* identify a person, are about one person alone, or are free text. Tapes and reports hold them
only with `allow_pii`.
"""

_SERVICING = """\
## Servicing tables

What is read from the servicing system: the contract that every source offers. The sync brings a table in by how it
changes. *Append*: rows are events, which are only ever added, found by their `posted_at`; a mistake is undone by a
reversal, and an event that changes later is refused. *Merge*: rows change, found by their `updated_at`. *Replace*: the
whole table is read each time.

Two clocks: `effective_on` is the business date on which an event counts, `posted_at` is when the servicing system
learned of it. A system that does not know gives 00:00 UTC of the day after `effective_on`.
"""

_DERIVED = """\
## Derived tables

What the close makes. Tables with a `business_date` hold one set of rows a day and are replaced day by day.
`closed_days` records which days were made.
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
        yield f"Rules of a row: {'; '.join(rule.text for rule in rules)}.\n"


def _meaning(column: Column) -> str:
    values = ""
    if column.values and not column.of_buckets:
        values = f"one of {', '.join(column.values)}"
    parts = (column.description, values, _sign(column), "between 0 and 1" * column.share, "personal" * column.personal)
    return "; ".join(part for part in parts if part)


def _sign(column: Column) -> str:
    if column.sign == "by convention":
        return "negative only with the convention negative_journal_lines"
    return "may be negative" * (column.type == MONEY and column.sign == "any")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
