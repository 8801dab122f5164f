"""Checks of the servicing tables: references, splits of transactions, reversals, complete schedules."""

from functools import partial

import ibis
import ibis.expr.types as ir

from lending_pipelines.checks.compare import any_of, breaking
from lending_pipelines.checks.protocol import Check, Tables, WholeTableCheck
from lending_pipelines.tables import SERVICING
from lending_pipelines.tables.accruals import as_transactions
from lending_pipelines.tables.references import REFERENCES
from lending_pipelines.tables.schema import RATE

HIGHEST_RATE = 3
"""A rate above this, 300 % a year, is more likely a percentage than a fraction."""

_OF_POSITIONS = {"loans": ("officer_id", "product_id"), "officer_assignments": ("officer_id",)}
"""Columns whose unknown ids contradictions.py reports through the positions."""

_TRANSACTION = ("transaction_id", "loan_id", "type", "effective_on")
_SPLIT = ("principal", "interest", "fees")
_TO_TARGET = ("reverses_id", "target_transaction_id")


def servicing_checks() -> tuple[Check, ...]:
    """The checks of the servicing tables."""
    return (
        *(_reference_check(table) for table in REFERENCES),
        *(
            WholeTableCheck(
                "rates_are_fractions",
                table,
                "no rate is above 3 (300 %), which is probably a percentage: write 12.5 % as 0.125",
                (table,),
                partial(rates_like_percentages, table=table),
                severity="warn",
            )
            for table in ("loans", "modifications")
        ),
        WholeTableCheck(
            "amounts_split",
            "transactions",
            "amount = principal + interest + fees, and none of them is negative",
            ("transactions",),
            amounts_not_split,
            blocking=True,
        ),
        WholeTableCheck(
            "reversals_mirror",
            "transactions",
            "a reversal reverses one transaction of its loan, once, with the same split and not before its date",
            ("transactions",),
            reversals_not_mirroring,
            blocking=True,
        ),
        WholeTableCheck(
            "reversals_mirror",
            "accruals",
            "a reversal reverses one accrual of its loan, once, with the same amounts and not before its date",
            ("accruals",),
            accruals_not_mirroring,
            severity="warn",
        ),
        WholeTableCheck(
            "reversals_reversed",
            "transactions",
            "no reversal is itself reversed; if one is, the transaction that it reversed counts again",
            ("transactions",),
            reversed_reversals,
            severity="warn",
        ),
        WholeTableCheck(
            "schedules_whole",
            "installments",
            "the installments of a version are numbered 1, 2, 3 …, with one effective date and no negative amounts",
            ("installments",),
            schedules_incomplete,
        ),
    )


def orphans(tables: Tables, *, table: str) -> ir.Table:
    """Rows whose column has an id that does not exist in the parent table.

    A parent table without rows counts as not used by the source, except loans.
    """
    rows = tables[table]
    key = SERVICING[table].key
    missing_by_column = []
    for column, (parent, parent_key) in _references(table).items():
        parents = tables[parent]
        missing = rows.filter(rows[column].notnull()).anti_join(
            parents, rows.filter(rows[column].notnull())[column] == parents[parent_key]
        )
        if parent != "loans":
            kept = parents.agg(parent_rows=parents.count())
            missing = missing.cross_join(kept.filter(kept.parent_rows > 0)).drop("parent_rows")
        missing_by_column.append(missing.select(*key, column=ibis.literal(column), missing_id=missing[column]))
    return ibis.union(*missing_by_column) if len(missing_by_column) > 1 else missing_by_column[0]


def rates_like_percentages(tables: Tables, *, table: str) -> ir.Table:
    """Rows with a rate above HIGHEST_RATE."""
    rates = [column.name for column in SERVICING[table].columns if column.type == RATE]
    rows = tables[table]
    high = any_of(rows[rate] > HIGHEST_RATE for rate in rates)
    return rows.filter(high.fill_null(False)).select(*SERVICING[table].key, *rates)


def amounts_not_split(tables: Tables) -> ir.Table:
    """Transactions whose amount differs from the sum of its components, or with a negative component."""
    rows = tables["transactions"]
    return _shown(rows.filter(breaking(rows, "transactions", "amount", *_SPLIT)))


def reversals_not_mirroring(tables: Tables) -> ir.Table:
    """Reversals that do not reverse exactly one transaction exactly once; `problem` says why.

    Other transactions with a reverses_id are included.
    """
    return _not_mirroring(tables["transactions"])


def accruals_not_mirroring(tables: Tables) -> ir.Table:
    """Reversals of accruals that do not reverse exactly one accrual exactly once; `problem` says why."""
    wrong = _not_mirroring(as_transactions(tables["accruals"])).rename(accrual_id="transaction_id")
    return wrong.select("accrual_id", "loan_id", "effective_on", "interest", "fees", "reverses_id", "problem")


def _not_mirroring(rows: ir.Table) -> ir.Table:
    related = rows.filter((rows.type == "reversal") | rows.reverses_id.notnull())
    pairs = related.left_join(_targets(rows), [_TO_TARGET])
    undone = related.select(undone_id="reverses_id").distinct()
    pairs = pairs.left_join(undone, pairs.transaction_id == undone.undone_id)
    # A reversed reversal does not count, so the transaction can be reversed again.
    in_force = pairs.undone_id.isnull()
    pairs = pairs.mutate(times=in_force.sum().over(group_by="reverses_id"))
    above = rows.select(above_id="transaction_id", above_type="type")
    pairs = pairs.left_join(above, pairs.target_reverses_id == above.above_id)
    problem = ibis.cases(
        (pairs.type != "reversal", "reverses_id on a transaction that is not a reversal"),
        (pairs.reverses_id.isnull(), "no reverses_id"),
        (pairs.target_transaction_id.isnull(), "reverses a transaction that does not exist"),
        (pairs.above_type == "reversal", "reverses the reversal of a reversal"),
        (pairs.times > 1, "reversed more than once"),
        (pairs.loan_id != pairs.target_loan_id, "reverses another loan's transaction"),
        (any_of(pairs[name] != pairs[f"target_{name}"] for name in _SPLIT), "split differs from its transaction"),
        (pairs.effective_on < pairs.target_effective_on, "effective before the reversed transaction"),
    )
    pairs = pairs.mutate(problem=problem)
    return _shown(pairs.filter(pairs.problem.notnull()), "reverses_id", "problem")


def reversed_reversals(tables: Tables) -> ir.Table:
    """Reversals of reversals."""
    rows = tables["transactions"]
    reversals = rows.filter(rows.type == "reversal")
    pairs = reversals.join(_targets(reversals), [_TO_TARGET])
    return _shown(pairs, "reverses_id")


def schedules_incomplete(tables: Tables) -> ir.Table:
    """Schedule versions with gaps in the numbers, several effective dates, or negative amounts."""
    rows = tables["installments"]
    least = ibis.least(rows.principal, rows.interest, rows.fees)
    versions = rows.group_by(["loan_id", "version"]).agg(
        first_number=rows.number.min(),
        last_number=rows.number.max(),
        installments=rows.count(),
        effective_dates=rows.effective_on.nunique(),
        least_amount=least.min(),
    )
    return versions.filter(
        (versions.first_number != 1)
        | (versions.last_number != versions.installments)
        | (versions.effective_dates != 1)
        | (versions.least_amount < 0)
    )


def _targets(rows: ir.Table) -> ir.Table:
    return rows.select(*(rows[name].name(f"target_{name}") for name in (*_TRANSACTION, *_SPLIT, "reverses_id")))


def _shown(rows: ir.Table, *more: str) -> ir.Table:
    return rows.select(*_TRANSACTION, "amount", *_SPLIT, *more)


def _references(table: str) -> dict[str, tuple[str, str]]:
    """The references of the table that are checked in this module."""
    left_out = _OF_POSITIONS.get(table, ())
    return {column: parent for column, parent in REFERENCES[table].items() if column not in left_out}


def _reference_check(table: str) -> Check:
    references = _references(table)
    parents = {parent for parent, _ in references.values()}
    return WholeTableCheck(
        "references_exist",
        table,
        f"ids in these columns exist in the tables that they refer to: {', '.join(references)}",
        tuple(dict.fromkeys((table, *sorted(parents)))),
        partial(orphans, table=table),
        # Amounts of an unknown loan are missing in the positions.
        blocking=table == "transactions",
    )
