"""Rounds amounts with more than two decimals to cents, so that the amounts of a loan add up to the rounded total.

For sources that compute in the servicing database.

Each amount is the difference of the rounded running totals after and before it. Rounded one by one, 12 payments of
1,666.666667 would be 20,000.04; here they alternate between 1,666.66 and 1,666.67 and are 20,000.00.
"""

from collections.abc import Callable, Mapping, Sequence

import sqlalchemy as sa


def cents(
    amount: sa.ColumnElement,
    group: Sequence[sa.ColumnElement],
    order: Sequence[sa.ColumnElement],
    of_total: Callable[[sa.ColumnElement], sa.ColumnElement] = lambda total: total,
) -> sa.ColumnElement:
    """The amount in cents, half away from zero, so that the amounts of the group add up.

    Args:
        amount: The amount of each row, never NULL.
        group: The rows that add up, such as the repayments of a loan.
        order: The order of the rows. No two rows of a group are equal in it.
        of_total: Returns the part of a running total that counts. By default, all of it counts.
    """
    total = sa.func.sum(amount).over(partition_by=group, order_by=order, rows=(None, 0))
    after, before = (sa.func.round(of_total(each), 2) for each in (total, total - amount))
    return sa.cast(after - before, sa.Numeric(18, 2))


def remainder(amount: sa.ColumnElement, portions: Mapping[str, sa.ColumnElement], part: str) -> sa.ColumnElement:
    """The part of an amount that remains after the other portions."""
    for name, portion in portions.items():
        if name != part:
            amount = amount - portion
    return amount


def or_zero(amount: sa.ColumnElement) -> sa.ColumnElement:
    """The amount, or 0 where the servicing system has NULL."""
    return sa.func.coalesce(amount, sa.literal(0, sa.Numeric(19, 6)))
