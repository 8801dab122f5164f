"""Compares totals of each loan in source and lake, so that only the rows of loans with different totals are read.

For a system that changes rows in place, a watermark does not show what changed. Totals need no time of the last sync: a
row that is added, changed or deleted changes the totals of its loan, whatever its audit columns say, and an
interrupted sync leaves a difference that the next one finds.

The totals of a loan are its number of rows and the sum of their checksums. The checksum of a row is computed from its
compared columns and its own weight, so that the sum differs even if two rows exchange their amounts. Rows without a
loan have totals by day.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import reduce
from operator import add

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa

from lending_pipelines.sources.protocol import Parts, Reader, TotalsByLoan
from lending_pipelines.sources.reading import Reading, Staging, read_staged, read_whole
from lending_pipelines.sources.staging import stage, write_batches
from lending_pipelines.tables import Column, Table
from lending_pipelines.tables.schema import count, day, text

MOST_PARTS = 50_000
"""If more loans and days differ, the complete table is read."""

PARTS_AT_A_TIME = 10_000
"""The number of loans and days that one SELECT reads."""

NO_LOAN = ""
"""The loan_id of the totals of rows without a loan."""

NO_DAY = date(1970, 1, 1)
"""The day of the totals of a loan."""

LAST_DIGITS = 4
"""The number of an id is in this many last characters; it is 0 if they are not all digits."""

FACTOR, MODULUS = 7919, 997
"""The weight of a row with the number n is 1 + (n × FACTOR modulo MODULUS). Both are primes: weights look random."""

COLUMN_FACTORS = (1019, 2053, 3533, 3919, 6011, 8761, 8837)
"""The factors of the compared columns in the checksum of a row, so that amounts moved between columns differ.

With other primes, small differences in three columns can cancel out: with 101, 103 and 107, these are −2, +3 and −1.
With these primes, three differences cancel out only if the largest is at least 832 times their greatest common divisor.
"""

CHECKSUM_MODULUS = 2**31 - 1
"""A checksum is Σ column × factor, then × weight, each modulo this prime: it fits into an INTEGER of every database."""


@dataclass(frozen=True)
class Compared:
    """How the rows of a table are compared."""

    columns: tuple[str, ...]
    """The columns in the checksum: amounts in cents, dates as days since 1970, and codes as their position in `values`.

    Null is 0.
    """
    weight: str
    """The column that gives a row its weight: a number, a date or an id."""
    day: str | None = None
    """The column with the day of rows without a loan. None if every row has a loan."""


COMPARED = {
    "installments": Compared(("due_on", "principal", "interest", "fees"), "number"),
    "transactions": Compared(("type", "effective_on", "principal", "interest", "fees"), "transaction_id"),
    "accruals": Compared(("effective_on", "interest", "fees"), "accrual_id"),
    "fees": Compared(
        ("fee_type", "amount", "assessed_on", "waived_amount", "waived_on", "paid_amount", "paid_on"), "fee_id"
    ),
    "journal_lines": Compared(("debit", "credit"), "entry_date", day="entry_date"),
}
"""The tables that can be read by loan."""


def loan_totals_table(table: Table) -> Table:
    """The columns of a table's totals: loan_id, day, rows, and the sum of the rows' checksums.

    `day` is NO_DAY for the totals of a loan; loan_id is NO_LOAN for the totals of a day.
    """
    columns = (text("loan_id"), day("day"), count("rows"), count("checksums"))
    return Table(table.name, f"Totals of {table.name} by loan.", ("loan_id", "day"), columns)


def columns_with_factors(table: Table) -> Iterator[tuple[Column, int]]:
    """The compared columns of a table with their factors in the checksum."""
    names = COMPARED[table.name].columns
    for name, factor in zip(names, COLUMN_FACTORS[: len(names)], strict=True):
        yield table.column(name), factor


def lake_totals(table: Table, rows: ir.Table) -> ir.Table:
    """The totals of rows of the lake, as in `loan_totals_table`."""
    compared = COMPARED[table.name]
    wanted = loan_totals_table(table)
    number = reduce(
        add, (_number(column, rows[column.name]) * factor for column, factor in columns_with_factors(table))
    )
    by: dict[str, ir.Value] = {"loan_id": rows.loan_id.fill_null(NO_LOAN), "day": ibis.literal(NO_DAY)}
    if compared.day is not None:
        by["day"] = rows.loan_id.isnull().ifelse(rows[compared.day], NO_DAY)
    plain = rows.select(**by, checksum=number % CHECKSUM_MODULUS * _weight(rows[compared.weight]) % CHECKSUM_MODULUS)
    totals = plain.group_by("loan_id", "day").agg(rows=plain.count(), checksums=plain.checksum.sum())
    return totals.select(*wanted.names).cast(wanted.schema)


def _weight(column: ir.Column) -> ir.IntegerColumn:
    """The weight of each row, from its column for the weight."""
    if isinstance(column.type(), dt.Date):
        column = column.epoch_days()
    elif isinstance(column.type(), dt.String):
        column = column.right(LAST_DIGITS).try_cast("int64").fill_null(0)
    return column * FACTOR % MODULUS + 1


def _number(column: Column, values: ir.Column) -> ir.IntegerColumn:
    """A compared value as a whole number, as `Compared.columns` describes it."""
    if column.values:
        return values.cases(*((name, position) for position, name in enumerate(column.values, 1)), else_=0)
    if column.type == "date":
        return values.epoch_days().fill_null(0)
    return (values.fill_null(0) * 100).cast("int64")


def read_by_loan(
    reader: Reader,
    table: Table,
    current: ir.Table,
    in_force: Callable[[ir.Table], ir.Table],
    engine: Staging,
    folder: str,
) -> Reading | None:
    """Read all rows of the loans and days whose totals differ from the lake's. None if the source has no such totals.

    Reads the complete table if more than MOST_PARTS loans and days differ.

    Args:
        reader: The source.
        table: The servicing table.
        current: The lake's rows.
        in_force: Returns the lake's rows as the source would show them.
        engine: Computes the lake's totals.
        folder: Where the rows are staged.
    """
    if table.name not in COMPARED or not isinstance(reader, TotalsByLoan):
        return None
    totals = reader.loan_totals(table)
    if totals is None:
        return None
    wanted = loan_totals_table(table)
    totals_file = f"{folder}/{table.name}.totals.parquet"
    write_batches(totals, totals_file, wanted.arrow_schema)
    parts = _differing(read_staged(engine, totals_file, wanted), lake_totals(table, in_force(current)))
    if len(parts) > MOST_PARTS:
        return read_whole(reader, table, current, engine, folder)
    rows_file, lake_file = f"{folder}/{table.name}.loans.parquet", f"{folder}/{table.name}.lake.parquet"
    read = stage(reader, table, reader.read_parts(table, parts), rows_file)
    # Written to a file once, because the rows of few loans are needed several times.
    covered = _of_parts(current, parts, COMPARED[table.name].day)
    write_batches(engine.batches(covered.cast(table.schema)), lake_file, table.arrow_schema)
    rows, covered = read_staged(engine, rows_file, table), read_staged(engine, lake_file, table)
    return Reading(rows, read.rows, covered, read.unreadable, parts=parts)


def _differing(source: ir.Table, lake: ir.Table) -> Parts:
    """The loans and days whose totals differ: the first MOST_PARTS + 1 of them."""
    columns = list(source.columns)
    key = ("loan_id", "day")
    apart = ibis.union(
        source.anti_join(lake, columns).select(*key), lake.anti_join(source, columns).select(*key), distinct=True
    )
    found = apart.order_by(*key).limit(MOST_PARTS + 1).to_pyarrow()
    each = list(zip(found["loan_id"].to_pylist(), found["day"].to_pylist(), strict=True))
    return Parts(tuple(loan for loan, _ in each if loan != NO_LOAN), tuple(on for loan, on in each if loan == NO_LOAN))


def _of_parts(rows: ir.Table, parts: Parts, day_column: str | None) -> ir.Table:
    """The rows of the loans, and the rows without a loan of the days."""
    loans = ibis.memtable(pa.table({"loan_id": pa.array(parts.loans, pa.string())}))
    found = rows.semi_join(loans, "loan_id")
    if day_column is None or not parts.days:
        return found
    days = ibis.memtable(pa.table({day_column: pa.array(parts.days, pa.date32())}))
    return ibis.union(found, rows.filter(rows.loan_id.isnull()).semi_join(days, day_column))
