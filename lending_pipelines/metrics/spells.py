"""Spells of a loan: since when its principal is outstanding, and since when its principal is repaid.

Interest is earned from the first day of the spell with principal outstanding, and installments after the repayment of
the principal are not due. Only a few loans need spells (positions.py selects them).
"""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics import events
from lending_pipelines.metrics.money import ZERO, money
from lending_pipelines.tables.schema import MONEY


def spells(counted: ir.Table, last: date) -> ir.Table:
    """The spells of loans in `counted` transactions, up to the end of `last`.

    Returns:
        loan_id, on, until (exclusive); drawn_on, the last day on which a disbursement left principal outstanding and
        no principal was outstanding the day before; settled_before_drawing, the interest settled before that day by a
        loan that was disbursed earlier (null for the first disbursement); repaid_on, the first day from which no
        principal is outstanding (null if principal is outstanding).
    """
    order = ibis.window(group_by="loan_id", order_by="on")
    running = ibis.window(group_by="loan_id", order_by="on", rows=(None, 0))
    rows = counted.group_by("loan_id", "on").agg(
        **events.totals(counted, (*events.PRINCIPAL, *events.INTEREST_SETTLED))
    )
    rows = rows.select(
        "loan_id",
        "on",
        disbursed=rows.principal_disbursed,
        disbursed_in_all=money(rows.principal_disbursed.sum().over(running)),
        owed=money(events.principal_outstanding(rows).sum().over(running)),
        settled=money(events.interest_settled(rows).sum().over(running)),
    )
    none = ibis.null("date")
    owing, owed_before = rows.owed > 0, ibis.coalesce(rows.owed.lag().over(order), ZERO)
    drawn = owing & (owed_before <= 0) & (rows.disbursed > 0)
    again = drawn & (rows.disbursed_in_all.lag().over(order) > 0)
    rows = rows.select(
        "loan_id",
        "on",
        "owed",
        until=ibis.coalesce(rows.on.lead().over(order), ibis.literal(last + timedelta(days=1))),
        drawn_on=drawn.ifelse(rows.on, none),
        owed_on=owing.ifelse(rows.on, none),
        settled_before=again.ifelse(rows.settled.lag().over(order), ibis.null(MONEY)),
    )
    rows = rows.mutate(drawn_on=rows.drawn_on.max().over(running), owed_on=rows.owed_on.max().over(running))
    since = ibis.window(group_by=["loan_id", "owed_on"], order_by="on", rows=(None, 0))
    free_on = (rows.owed > 0).ifelse(none, rows.on).min().over(since)
    return rows.select(
        "loan_id",
        "on",
        "until",
        "drawn_on",
        settled_before_drawing=rows.settled_before.max().over(ibis.window(group_by=["loan_id", "drawn_on"])),
        repaid_on=(rows.owed > 0).ifelse(none, free_on),
    )


def level(spells: ir.Table, first: date) -> ir.Table:
    """The level of the spells from the day `first`: loan_id, on, and the other columns of `spells` except until."""
    rows = spells.filter(spells.until > first)
    return rows.mutate(on=ibis.greatest(rows.on, ibis.literal(first))).drop("until")


def at(spells: ir.Table, moments: ir.Table) -> ir.Table:
    """Add the columns of `spells` at the end of the day `at` to `moments` (loan_id, at, …).

    A moment before the loan's first transaction has no row.
    """
    rows = moments.inner_join(spells, "loan_id")
    return rows.filter(rows.on <= rows["at"], rows["at"] < rows.until).drop("on", "until")


def due_by(days: ir.Table, versions: ir.Table, installments: ir.Table) -> ir.Table:
    """The amounts of each schedule version due when the principal was repaid.

    `days` has loan_id and repaid_on. The result has loan_id, version, repaid_on, due_when_repaid and
    principal_when_repaid. A version with nothing due by repaid_on has no row.
    """
    days = days.filter(days.repaid_on.notnull()).select("loan_id", "repaid_on").distinct()
    rows = days.inner_join(versions.select("loan_id", "version"), "loan_id")
    rows = rows.inner_join(installments, ["loan_id", "version"]).filter(lambda row: row.due_on <= row.repaid_on)
    return rows.group_by("loan_id", "version", "repaid_on").agg(
        due_when_repaid=money((rows.principal + rows.interest).sum()),
        principal_when_repaid=money(rows.principal.sum()),
    )


def due_before_drawing(days: ir.Table, versions: ir.Table, installments: ir.Table) -> ir.Table:
    """The interest of each schedule version that fell due before the principal was drawn.

    Args:
        days: loan_id, drawn_on.
        versions: The schedule versions.
        installments: The table installments.

    Returns:
        loan_id, version, drawn_on, interest_before_drawing. A version without such interest has no row.
    """
    days = days.filter(days.drawn_on.notnull()).select("loan_id", "drawn_on").distinct()
    rows = days.inner_join(versions.select("loan_id", "version"), "loan_id")
    rows = rows.inner_join(installments, ["loan_id", "version"]).filter(lambda row: row.due_on < row.drawn_on)
    return rows.group_by("loan_id", "version", "drawn_on").agg(interest_before_drawing=money(rows.interest.sum()))


def is_closed(rows: ir.Table) -> ir.BooleanColumn:
    """Whether a loan is repaid and has settled the amount due by then. The loan is not charged off.

    The rows have the AMOUNTS of events.py, and due_when_repaid.
    """
    settled = ibis.greatest(events.settled(rows), ZERO)
    return (events.principal_outstanding(rows) <= 0) & (ibis.coalesce(rows.due_when_repaid, ZERO) <= settled)
