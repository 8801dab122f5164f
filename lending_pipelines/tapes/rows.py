"""A tape's rows and control totals as expressions over the lake's tables, and validation of a template's values."""

from collections.abc import Iterator
from datetime import date

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from lending_pipelines.tables.schema import MONEY
from lending_pipelines.tapes.catalogue import CATALOGUE, parts_of
from lending_pipelines.tapes.parts import POSITIONS, Read, TapeContext
from lending_pipelines.tapes.spec import TapeError, TapeSpec
from lending_pipelines.tapes.template import TemplateField


def tape_tables(spec: TapeSpec) -> tuple[str, ...]:
    """The lake tables that the tape reads: loan_positions, then those that its fields need."""
    return tuple(dict.fromkeys([POSITIONS, *(table for part in parts_of(spec.sources) for table in part.tables)]))


def tape_loans(spec: TapeSpec, read: Read, business_date: date) -> ir.Table:
    """The tape's loans: those of the portfolio (and of the investor, if set) at the end of the day.

    One row per loan, not ordered, with the currency and the catalogue fields that the tape uses. Closed and charged-off
    loans are included, except in templates that report a loan only while it has activity (`rows`).
    """
    positions = read(POSITIONS)
    loans = positions.filter(positions.business_date == business_date, positions.portfolio_id == spec.portfolio_id)
    if spec.investor_id is not None:
        loans = loans.filter(loans.investor_id == spec.investor_id)
    context = TapeContext(loans, read, business_date)
    for part in parts_of(spec.sources):
        loans = part.add(loans, context)
    if spec.standard and spec.standard.rows:
        loans = loans.filter(loans[spec.standard.rows])
    return loans.select(*dict.fromkeys(["currency", *spec.sources]))


def tape_rows(spec: TapeSpec, loans: ir.Table) -> ir.Table:
    """The tape's rows from its loans: the columns `spec.columns`, ordered by loan id."""
    columns = {output.column.name: output.value(loans).cast(output.column.type) for output in spec.outputs}
    return loans.order_by(columns[spec.key]).select(**columns)


def tape_totals(spec: TapeSpec, loans: ir.Table) -> ir.Table:
    """The control totals by `currency`: `row_count`, and the sum of each money field by its field name.

    A sum is null when no loan has the amount.
    """
    money = dict.fromkeys(name for name in spec.sources if CATALOGUE[name].type == MONEY)
    sums = {name: loans[name].sum() for name in money}
    return loans.group_by("currency").aggregate(row_count=loans.count(), **sums).order_by("currency")


def checked_rows(spec: TapeSpec, rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """The unchanged rows, with each value validated against its template's format while it is read.

    Raises:
        TapeError: A value does not match or a required value is missing; names the loan and the field.
    """
    fields = [output for output in spec.outputs if isinstance(output, TemplateField)]
    return pa.RecordBatchReader.from_batches(rows.schema, _checked(spec, fields, rows)) if fields else rows


def _checked(spec: TapeSpec, fields: list[TemplateField], rows: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    for batch in rows:
        for field in fields:
            values = batch.column(field.code)
            fits = pc.fill_null(pc.match_substring_regex(values, field.pattern), field.nullable)
            if (at := pc.index(fits, False).as_py()) >= 0:
                loan, value = batch.column(spec.key)[at], values[at].as_py()
                raise TapeError(
                    f"tape {spec.name!r}: loan {loan} has {value!r} in {field.code} ({field.name}), whose format is"
                    f" {field.format}: correct the data, or set the field in template_values"
                )
        yield batch
