"""The amounts disbursed, collected and charged off on loans between given days.

clients.py has the clients of a period, revenue.py its income and losses.
"""

from collections.abc import Sequence
from datetime import date

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from lending_pipelines.metrics import revenue
from lending_pipelines.metrics.money import ZERO, money

AMOUNTS = {"disbursed": "principal_disbursed", "collected": "total_collected", "charged_off": "principal_charged_off"}
"""The amounts of `changes`, and the column of loan_positions of which each is the change."""


def changes(positions: ir.Table, days: Sequence[date]) -> ir.Table:
    """The change of each amount from each of the days to the next one, of the loans with a position on the last day.

    Args:
        positions: loan_positions, each loan once a day.
        days: Closed days in order.

    Returns:
        business_date, currency, days (since the previous one of `days`) and AMOUNTS: a row for each currency of the
        loans and each of the days after the first.
    """
    loans = positions.filter(positions.business_date == days[-1]).select("loan_id", "currency")
    of_days = positions.filter(positions.business_date.isin(list(days)))
    columns = tuple(AMOUNTS.values())
    sums = revenue.by_day(revenue.loan_days(of_days, loans, ("currency",), columns), ("currency",), columns)
    every_day = ibis.memtable(pa.table({"on": pa.array(days, pa.date32())}))
    grid = every_day.cross_join(loans.select("currency").distinct().rename(of_currency="currency"))
    rows = grid.left_join(sums, [grid.on == sums.business_date, grid.of_currency == sums.currency])
    rows = rows.select(
        business_date="on",
        currency="of_currency",
        **{name: ibis.coalesce(rows[column], ZERO) for name, column in AMOUNTS.items()},
    )
    in_order = ibis.window(group_by="currency", order_by="business_date")
    rows = rows.mutate(
        days=rows.business_date.delta(rows.business_date.lag().over(in_order), unit="day"),
        **{name: money(rows[name] - rows[name].lag().over(in_order)) for name in AMOUNTS},
    )
    return rows.filter(rows.business_date > days[0])
