"""Checks of the register's assignments as the lake mirrors them: what is assigned is a loan."""

from functools import partial

import ibis.expr.types as ir

from lending_pipelines.checks.protocol import Check, StandingCheck, Tables


def assignment_checks() -> tuple[Check, ...]:
    """The checks of portfolio_membership and loan_ownership."""
    return tuple(
        StandingCheck(
            "assigned_loans_exist",
            table,
            f"every loan {what} is a loan of the last sync; remove ids that are none, or sync the loans",
            (table, "loans"),
            partial(no_loans, table=table),
            severity="warn",
        )
        for table, what in (
            ("portfolio_membership", "in a portfolio"),
            ("loan_ownership", "of an investor"),
        )
    )


def no_loans(tables: Tables, *, table: str) -> ir.Table:
    """Assignments whose loan_id is not the id of a loan."""
    return tables[table].anti_join(tables["loans"], "loan_id")
