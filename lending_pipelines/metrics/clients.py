"""Growth, acquisition and churn over a period: how the clients and balances of managers or branches changed.

Two days of positions are compared. managers.py computes the new and churned clients of a window for every day.
"""

from datetime import date

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics.growth import growth
from lending_pipelines.metrics.money import ZERO, as_count, money
from lending_pipelines.metrics.ratios import ratio

RATES = ("growth_rate", "acquisition_rate", "churn_rate")
"""The changes that `changes` returns, in percent."""


def changes(positions: ir.Table, opening: date, last: date, by: str) -> ir.Table:
    """The changes from the end of `opening` to the end of `last`.

    Args:
        positions: loan_positions of both days, with the column `by`. A loan can have several rows, each with another
            value of `by`.
        opening: The day before the period.
        last: The last day of the period.
        by: The column of the manager or branch. On both days, a loan counts for its manager or branch of the last day.

    Returns:
        A row per `by` and currency with loans on the last day: outstanding, opening_outstanding, active_clients,
        new_clients, opening_clients, churned_clients; and RATES, null where the divisor is not positive.
    """
    now = positions.filter(positions.business_date == last)
    before = positions.filter(positions.business_date == opening)
    before = before.select("loan_id", was_active=before.status == "active", opening="principal_outstanding").distinct()
    loans = now.left_join(before, "loan_id", rname="{name}_before")
    clients = loans.group_by(by, "currency", "borrower_id").agg(
        outstanding=money(loans.principal_outstanding.sum()),
        opening=money(ibis.coalesce(loans.opening, ZERO).sum()),
        active=(loans.status == "active").any(),
        was_active=loans.was_active.fill_null(False).any(),
        since=loans.disbursed_on.min(),
    )

    def number(holds: ir.BooleanColumn) -> ir.IntegerScalar:
        return as_count(holds.cast("int64").sum())

    rows = clients.group_by(by, "currency").agg(
        outstanding=money(clients.outstanding.sum()),
        opening_outstanding=money(clients.opening.sum()),
        active_clients=number(clients.active),
        new_clients=number(clients.active & (clients.since > opening)),
        opening_clients=number(clients.was_active),
        churned_clients=number(clients.was_active & ~clients.active),
    )
    return rows.mutate(
        growth_rate=100 * growth(rows.outstanding, rows.opening_outstanding),
        acquisition_rate=ratio(rows.new_clients * 100, rows.active_clients),
        churn_rate=ratio(rows.churned_clients * 100, rows.opening_clients),
    )
