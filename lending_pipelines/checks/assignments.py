"""Checks of the register's assignments in the lake: every assigned id is a loan."""

from functools import partial

import ibis.expr.types as ir

from lending_pipelines.checks.protocol import Check, Tables, WholeTableCheck


def assignment_checks() -> tuple[Check, ...]:
    """The checks of portfolio_membership and loan_ownership."""
    return tuple(
        WholeTableCheck(
            "assigned_loans_exist",
            table,
            f"every loan {what} exists in the last sync; remove wrong ids, or sync the loans",
            (table, "loans"),
            partial(no_loans, table=table),
            severity="warn",
        )
        for table, what in (
            ("portfolio_membership", "in a portfolio"),
            ("loan_ownership", "owned by an investor"),
        )
    )


def no_loans(tables: Tables, *, table: str) -> ir.Table:
    """Assignments whose loan_id does not exist."""
    return tables[table].anti_join(tables["loans"], "loan_id")
