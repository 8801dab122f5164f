"""Compares positions as reported with positions as known now: a row for each value that differs."""

from functools import reduce
from operator import or_

import ibis
import ibis.expr.types as ir

from lending_pipelines.tables import DERIVED, TABLES

KEY = ("business_date", "loan_id")
VALUE_KEY = (*KEY, "column")
CARRIED = (*KEY, "currency", "caused_by", "posted_at")
RESTATED = (*CARRIED, "column", "reported", "restated", "difference")
COMPARED = tuple(name for name in DERIVED["loan_positions"].names if name not in KEY)
"""The columns of loan_positions that are compared: all but the key."""

_NUMBER = TABLES["restatements"].column("difference").type
_WIDE = "decimal(38, 8)"
_NUMBERS = tuple(
    column.name
    for column in DERIVED["loan_positions"].columns
    if column.name in COMPARED and (column.type.startswith("decimal") or column.type == "int64")
)
_MAY_BE_NULL = tuple(name for name in _NUMBERS if DERIVED["loan_positions"].column(name).nullable)


def sides(reported: ir.Table, now: ir.Table, restated_before: ir.Table) -> ir.Table:
    """Both positions of each loan and day on which a value differs, or was restated before.

    Args:
        reported: Positions as reported.
        now: Positions as known now, of the same loans and days.
        restated_before: business_date and loan_id of restatements in force.

    Returns:
        business_date, loan_id, currency, before (whether a value was restated before), and for each column of COMPARED
        `reported_…` and `now_…`.
    """
    both = reported.select(
        **{f"reported_{name}": reported[name] for name in (*KEY, *COMPARED)},
    ).outer_join(
        now.select(**{f"now_{name}": now[name] for name in (*KEY, *COMPARED)}),
        [(f"reported_{name}", f"now_{name}") for name in KEY],
    )
    rows = both.mutate(
        **{name: ibis.coalesce(both[f"reported_{name}"], both[f"now_{name}"]) for name in (*KEY, "currency")}
    ).drop(*(f"{side}_{name}" for side in ("reported", "now") for name in KEY))
    differs = reduce(or_, (~rows[f"reported_{name}"].identical_to(rows[f"now_{name}"]) for name in COMPARED))
    before = restated_before.distinct().mutate(before=ibis.literal(True))
    rows = rows.mutate(differs=differs).left_join(before, list(KEY), rname="{name}_before")
    rows = rows.mutate(before=rows.before.fill_null(False)).drop(*(f"{name}_before" for name in KEY))
    return rows.filter(rows.differs | rows.before).drop("differs")


def values(compared: ir.Table) -> ir.Table:
    """The result of `sides` with a row for each column that differs or may have been restated before.

    Returns:
        The key, column, currency, caused_by, posted_at, and reported and now, as text.
    """
    parts = [
        compared.filter(compared.before | ~compared[f"reported_{name}"].identical_to(compared[f"now_{name}"])).select(
            *CARRIED,
            column=ibis.literal(name),
            reported=compared[f"reported_{name}"].cast("string"),
            now=compared[f"now_{name}"].cast("string"),
        )
        for name in COMPARED
    ]
    return ibis.union(*parts)


def restated(found: ir.Table, in_force: ir.Table) -> ir.Table:
    """The values that differ from what the restatements in force say.

    Args:
        found: The result of `values`.
        in_force: The restatements in force: the key, column, reported, restated.

    Returns:
        The key, column, currency, caused_by, posted_at, reported, restated, difference.
    """
    before = in_force.select(*VALUE_KEY, first="reported", latest="restated", known=ibis.literal(True))
    rows = found.left_join(before, list(VALUE_KEY), rname="{name}_before")
    known = rows.known.fill_null(False)
    rows = rows.mutate(
        reported=known.ifelse(rows.first, rows.reported), latest=known.ifelse(rows.latest, rows.reported)
    )
    rows = rows.filter(~rows.latest.identical_to(rows.now)).select("column", *CARRIED, "reported", restated="now")
    return rows.mutate(difference=_difference(rows)).select(*RESTATED)


def _difference(rows: ir.Table) -> ir.DecimalColumn:
    """restated − reported, for numbers; null for other columns.

    A position that exists on one side only counts as 0 on the other side. For a column that can be null, the difference
    is then null.
    """
    # Engines return a wider type for the difference of two decimals than Ibis expects, so subtract in the widest type.
    before, after = (rows[name].try_cast(_WIDE) for name in ("reported", "restated"))
    zero = ibis.literal(0).cast(_WIDE)
    exact = ibis.coalesce(after, zero) - ibis.coalesce(before, zero)
    return ibis.cases(
        (~rows.column.isin(_NUMBERS), ibis.null(_NUMBER)),
        (rows.column.isin(_MAY_BE_NULL), (after - before).cast(_NUMBER)),
        else_=exact.cast(_NUMBER),
    )
