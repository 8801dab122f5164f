"""Which loans the rules of dynamic portfolios choose, and from which day. What a rule means is in criteria.py."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from lending_pipelines.criteria import RuledPortfolio
from lending_pipelines.metrics import criteria
from lending_pipelines.metrics.timeline import MAX_DATE

SOURCES = criteria.SOURCES
"""The tables that a choice looks at beside who holds what."""


def assignments(
    read: Callable[[str], ir.Table],
    portfolios: Sequence[RuledPortfolio],
    held: ir.Table,
    first: date,
    last: date,
) -> ir.Table:
    """The loans that join one of `portfolios` by its rule on the days first..last: portfolio_id, loan_id, assigned_on.

    `portfolios`, at least one, in the order in which they choose; `held` is portfolio_membership. A loan is taken on
    the first of the days on which it is disbursed, in no portfolio (on that day or a later one), and meant by the rule
    of a portfolio that is open and, if it has a program, of that program; of several, by the first. It goes into no
    portfolio that it was taken out of before.

    A rule looks at terms that hold whatever the day, and a loan, once taken, stays: so the day alone decides, and the
    days together choose what they choose one after the other.
    """
    loans = criteria.terms(read)
    loans = loans.filter(loans.disbursed_on <= last)
    free = held.group_by("loan_id").agg(free_on=ibis.coalesce(held.removed_on, ibis.literal(MAX_DATE)).max())
    loans = loans.left_join(free, "loan_id", rname="{name}_held")
    wanted = ibis.union(*(_wanted(loans, rank, portfolio, first, last) for rank, portfolio in enumerate(portfolios)))
    wanted = wanted.anti_join(held, ["portfolio_id", "loan_id"])
    earliest = ibis.window(group_by="loan_id", order_by=["assigned_on", "rank"])
    wanted = wanted.mutate(place=ibis.row_number().over(earliest))
    return wanted.filter(wanted.place == 0).select("portfolio_id", "loan_id", "assigned_on")


def _wanted(loans: ir.Table, rank: int, portfolio: RuledPortfolio, first: date, last: date) -> ir.Table:
    """The loans that a portfolio would take, each with the first day on which it could."""
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
