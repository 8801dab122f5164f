"""A tape's rows and control totals, as expressions over the lake's tables, and the check of what a template wrote."""

from collections.abc import Iterator
from datetime import date

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from lending_pipelines.tables.schema import MONEY
from lending_pipelines.tapes.catalogue import CATALOGUE, parts_of
from lending_pipelines.tapes.parts import POSITIONS, Held, Read
from lending_pipelines.tapes.spec import TapeError, TapeSpec
from lending_pipelines.tapes.template import TemplateField


def tape_tables(spec: TapeSpec) -> tuple[str, ...]:
    """The lake tables that the tape is read from: loan_positions, then those that its fields need."""
    return tuple(dict.fromkeys([POSITIONS, *(table for part in parts_of(spec.sources) for table in part.tables)]))


def tape_loans(spec: TapeSpec, read: Read, business_date: date) -> ir.Table:
    """The tape's loans: those of the portfolio (and of the investor, if one is named) at the end of the day.

    One row a loan, in no order, with currency and the catalogue's fields that the tape is made of. Closed and
    charged-off loans are in it, but for templates that report a loan only as long as something happens to it (`rows`).
    """
    positions = read(POSITIONS)
    loans = positions.filter(positions.business_date == business_date, positions.portfolio_id == spec.portfolio_id)
    if spec.investor_id is not None:
        loans = loans.filter(loans.investor_id == spec.investor_id)
    held = Held(loans, read, business_date)
    for part in parts_of(spec.sources):
        loans = part.add(loans, held)
    if spec.standard and spec.standard.rows:
        loans = loans.filter(loans[spec.standard.rows])
    return loans.select(*dict.fromkeys(["currency", *spec.sources]))


def tape_rows(spec: TapeSpec, loans: ir.Table) -> ir.Table:
    """The tape, from its loans: its columns are `spec.columns`, its order is by loan_id as it is written."""
    columns = {output.column.name: output.value(loans).cast(output.column.type) for output in spec.outputs}
    return loans.order_by(columns[spec.key]).select(**columns)


def tape_totals(spec: TapeSpec, loans: ir.Table) -> ir.Table:
    """The control totals: per `currency` the `row_count` and the sum of each money field in the tape, by field name.

    A sum is null when no loan has the amount.
    """
    money = dict.fromkeys(name for name in spec.sources if CATALOGUE[name].type == MONEY)
    sums = {name: loans[name].sum() for name in money}
    return loans.group_by("currency").aggregate(row_count=loans.count(), **sums).order_by("currency")


def checked_rows(spec: TapeSpec, rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """The rows as they are, each value held against its template's format as it passes.

    TapeError names the loan and the field that is written otherwise, or lacks what its standard wants.
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
                    f"tape {spec.name!r}: loan {loan} has {value!r} in {field.code} ({field.name}), which is to be"
                    f" {field.format}: mend the data, or give the field in template_values"
                )
        yield batch
