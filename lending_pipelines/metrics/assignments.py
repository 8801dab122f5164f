"""Assigns loans, each from a day on, to dynamic portfolios by the portfolios' rules. criteria.py evaluates a rule."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from lending_pipelines.criteria import RuledPortfolio
from lending_pipelines.metrics import criteria
from lending_pipelines.metrics.timeline import MAX_DATE

SOURCES = criteria.SOURCES
"""The tables that an assignment reads, in addition to the current members."""


def assignments(
    read: Callable[[str], ir.Table],
    portfolios: Sequence[RuledPortfolio],
    members: ir.Table,
    first: date,
    last: date,
) -> ir.Table:
    """The loans that join one of `portfolios` by its rule on the days first..last.

    A loan joins on the first day on which all of these hold:

    - It is disbursed.
    - It is in no portfolio on that day or later, and it was never removed from this one.
    - The portfolio is open, and the loan is of the portfolio's program, if it has one.
    - The loan matches the rule. If several portfolios match, the first one gets the loan.

    Rules use only terms that do not change over time, and a loan stays in its portfolio. A range of days therefore
    gives the same result as its days one by one.

    Args:
        read: Returns each table of SOURCES by name.
        portfolios: At least one portfolio, in order of priority.
        members: The table portfolio_membership.
        first: The first day.
        last: The last day.

    Returns:
        portfolio_id, loan_id, assigned_on.
    """
    loans = criteria.terms(read)
    loans = loans.filter(loans.disbursed_on <= last)
    free = members.group_by("loan_id").agg(free_on=ibis.coalesce(members.removed_on, ibis.literal(MAX_DATE)).max())
    loans = loans.left_join(free, "loan_id", rname="{name}_held")
    wanted = ibis.union(*(_wanted(loans, rank, portfolio, first, last) for rank, portfolio in enumerate(portfolios)))
    wanted = wanted.anti_join(members, ["portfolio_id", "loan_id"])
    earliest = ibis.window(group_by="loan_id", order_by=["assigned_on", "rank"])
    wanted = wanted.mutate(place=ibis.row_number().over(earliest))
    return wanted.filter(wanted.place == 0).select("portfolio_id", "loan_id", "assigned_on")


def _wanted(loans: ir.Table, rank: int, portfolio: RuledPortfolio, first: date, last: date) -> ir.Table:
    """The loans that a portfolio can take: loan_id, assigned_on (the first possible day), portfolio_id and rank."""
    open_until = last if portfolio.closed_on is None else min(last, portfolio.closed_on - timedelta(days=1))
    meant = loans.filter(criteria.predicate(portfolio.rule, loans))
    if portfolio.program_id is not None:
        meant = meant.filter(meant.program_id == portfolio.program_id)
    meant = meant.mutate(
        assigned_on=ibis.greatest(
            meant.disbursed_on,
            ibis.coalesce(meant.free_on, meant.disbursed_on),
            ibis.literal(max(first, portfolio.opened_on)),
        )
    )
    return meant.filter(meant.assigned_on <= open_until).select(
        "loan_id",
        "assigned_on",
        portfolio_id=ibis.literal(portfolio.portfolio_id),
        rank=ibis.literal(rank, "int64"),
    )
