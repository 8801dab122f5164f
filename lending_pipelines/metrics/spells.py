"""Spells of a loan: since when its principal is outstanding, and since when it is repaid.

Interest is earned from the first day of the spell in which principal is outstanding, and what falls due after the
principal was repaid asks for nothing. Only few loans must be followed for it (positions.py says which).
"""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics import events
from lending_pipelines.metrics.money import ZERO, money
from lending_pipelines.metrics.timeline import BEGINNING


def spells(counted: ir.Table, first: date, last: date) -> ir.Table:
    """The level of spells of the loans whose transactions are `counted`: loan_id, on, drawn_on, repaid_on.

    drawn_on is the last day on which a disbursement left principal outstanding where there was none the day before;
    repaid_on the first day since which no principal is outstanding (null: some is).
    """
    rows = events.amounts(counted, BEGINNING, last)
    rows = rows.mutate(owed=events.principal_outstanding(rows))
    order = ibis.window(group_by="loan_id", order_by="on")
    running = ibis.window(group_by="loan_id", order_by="on", rows=(None, 0))
    disbursed_before = ibis.coalesce(rows.principal_disbursed.lag().over(order), ZERO)
    drawn = (
        (rows.owed > 0)
        & (ibis.coalesce(rows.owed.lag().over(order), ZERO) <= 0)
        & (rows.principal_disbursed > disbursed_before)
    )
    none = ibis.null("date")
    rows = rows.mutate(
        drawing_on=drawn.ifelse(rows.on, none),
        owing_on=(rows.owed > 0).ifelse(rows.on, none),
        free_on=(rows.owed > 0).ifelse(none, rows.on),
        until=ibis.coalesce(rows.on.lead().over(order), ibis.literal(last + timedelta(days=1))),
    )
    rows = rows.mutate(drawn_on=rows.drawing_on.max().over(running), owed_on=rows.owing_on.max().over(running))
    since = ibis.window(group_by=["loan_id", "owed_on"], order_by="on", rows=(None, 0))
    rows = rows.mutate(repaid_on=(rows.owed > 0).ifelse(none, rows.free_on.min().over(since)))
    rows = rows.filter(rows.until > first)
    return rows.select("loan_id", "drawn_on", "repaid_on", on=ibis.greatest(rows.on, ibis.literal(first)))


def at(spells: ir.Table, moments: ir.Table) -> ir.Table:
    """The spell at the end of given days: loan_id, at, drawn_on, repaid_on; `moments` has loan_id and at."""
    order = ibis.window(group_by=["loan_id", "at"], order_by=ibis.desc("on"))
    rows = spells.inner_join(moments.select("loan_id", "at"), "loan_id")
    rows = rows.filter(rows.on <= rows["at"])
    rows = rows.mutate(place=ibis.row_number().over(order)).filter(lambda row: row.place == 0)
    return rows.select("loan_id", "at", "drawn_on", "repaid_on")


def due_when_repaid(spells: ir.Table, versions: ir.Table, installments: ir.Table) -> ir.Table:
    """What of each schedule had fallen due by the days since which a loan is repaid, as `due_by` returns it."""
    return due_by(spells.select("loan_id", "repaid_on"), versions, installments)


def due_by(days: ir.Table, versions: ir.Table, installments: ir.Table) -> ir.Table:
    """What of each schedule version fell due by a day: loan_id, version, repaid_on, due_when_repaid.

    `days` has loan_id and repaid_on; a version of which nothing fell due has no row.
    """
    days = days.filter(days.repaid_on.notnull()).distinct()
    rows = days.inner_join(versions.select("loan_id", "version"), "loan_id")
    rows = rows.inner_join(installments, ["loan_id", "version"]).filter(lambda row: row.due_on <= row.repaid_on)
    return rows.group_by("loan_id", "version", "repaid_on").agg(
        due_when_repaid=money((rows.principal + rows.interest).sum())
    )
