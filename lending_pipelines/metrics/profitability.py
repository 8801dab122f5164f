"""Profit of loans: interest, fees and charge-offs, per loan and in total.

returns.py has rates of return.
"""

from datetime import date

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics import returns
from lending_pipelines.metrics.money import NO_AMOUNT, ZERO, as_count, money
from lending_pipelines.metrics.ratios import ratio

SUMS = (
    "principal_disbursed",
    "interest_earned",
    "fees_earned",
    "principal_charged_off",
    "principal_written_off",
    "recovered",
    "charge_off_loss",
    "total_collected",
    "residual",
    "profit",
)
"""The amounts that `added_up` sums."""


def loan_profits(positions: ir.Table, fees: ir.Table | None, day: date) -> ir.Table:
    """Add the profit to the rows of loan_positions of a day.

    Args:
        positions: loan_positions with principal_written_off.
        fees: The table fees, or None if the source has none; fees_earned is then null.
        day: The business date.

    Returns:
        The rows with the columns of `returns.total_returns`, fees_earned (fees assessed less waived by the day), and
        charge_off_loss (principal charged off − recovered).
    """
    rows = returns.total_returns(positions, "principal_outstanding", "principal_disbursed")
    rows = rows.mutate(charge_off_loss=money(rows.principal_charged_off - rows.recovered))
    if fees is None:
        return rows.mutate(fees_earned=NO_AMOUNT)
    assessed = fees.filter(fees.assessed_on <= day)
    waived = (assessed.waived_on <= day).fill_null(False).ifelse(assessed.waived_amount, ZERO)
    earned = assessed.group_by("loan_id").agg(fees_earned=money((assessed.amount - waived).sum()))
    rows = rows.left_join(earned, "loan_id").drop("loan_id_right")
    return rows.mutate(fees_earned=ibis.coalesce(rows.fees_earned, ZERO))


def added_up(profits: ir.Table, *keys: str) -> ir.Table:
    """Sum SUMS per key, with loan_count, loss_making_loans, and the moic and total_return of the sums."""
    sums = profits.group_by(*keys).agg(
        loan_count=as_count(profits.count()),
        loss_making_loans=as_count((profits.profit < 0).cast("int64").sum()),
        **{name: money(profits[name].sum()) for name in SUMS},
    )
    return sums.mutate(
        moic=ratio(sums.total_collected, sums.principal_disbursed),
        total_return=ratio(sums.profit, sums.principal_disbursed),
    )
