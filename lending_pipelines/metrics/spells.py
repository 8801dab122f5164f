"""Spells of a loan: since when its principal is outstanding, and since when it is repaid.

Interest is earned from the first day of the spell in which principal is outstanding, and what falls due after the
principal was repaid asks for nothing. Only few loans must be followed for it (positions.py says which).
"""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics import events
from lending_pipelines.metrics.money import ZERO, money


def spells(counted: ir.Table, last: date) -> ir.Table:
    """The spells of the loans whose transactions are `counted`: loan_id, on, until (exclusive), drawn_on, repaid_on.

    drawn_on is the last day on which a disbursement left principal outstanding where there was none the day before;
    repaid_on the first day since which no principal is outstanding (null: some is). Spells run to the end of `last`.
    """
    order = ibis.window(group_by="loan_id", order_by="on")
    running = ibis.window(group_by="loan_id", order_by="on", rows=(None, 0))
    rows = counted.group_by("loan_id", "on").agg(**events.totals(counted, events.PRINCIPAL))
    rows = rows.select(
        "loan_id",
        "on",
        disbursed=rows.principal_disbursed,
        owed=money(events.principal_outstanding(rows).sum().over(running)),
    )
    none = ibis.null("date")
    owing, owed_before = rows.owed > 0, ibis.coalesce(rows.owed.lag().over(order), ZERO)
    rows = rows.select(
        "loan_id",
        "on",
        "owed",
        until=ibis.coalesce(rows.on.lead().over(order), ibis.literal(last + timedelta(days=1))),
        drawn_on=(owing & (owed_before <= 0) & (rows.disbursed > 0)).ifelse(rows.on, none),
        owed_on=owing.ifelse(rows.on, none),
    )
    rows = rows.mutate(drawn_on=rows.drawn_on.max().over(running), owed_on=rows.owed_on.max().over(running))
    since = ibis.window(group_by=["loan_id", "owed_on"], order_by="on", rows=(None, 0))
    free_on = (rows.owed > 0).ifelse(none, rows.on).min().over(since)
    return rows.select("loan_id", "on", "until", "drawn_on", repaid_on=(rows.owed > 0).ifelse(none, free_on))


def level(spells: ir.Table, first: date) -> ir.Table:
    """The level of the spells from the day `first` on: loan_id, on, drawn_on, repaid_on."""
    rows = spells.filter(spells.until > first)
    return rows.select("loan_id", "drawn_on", "repaid_on", on=ibis.greatest(rows.on, ibis.literal(first)))


def at(spells: ir.Table, moments: ir.Table) -> ir.Table:
    """`moments` (loan_id, at, …) with drawn_on and repaid_on at the end of the day `at`.

    A moment before its loan's first transaction is left out.
    """
    rows = moments.inner_join(spells, "loan_id")
    return rows.filter(rows.on <= rows["at"], rows["at"] < rows.until).drop("on", "until")


def due_by(days: ir.Table, versions: ir.Table, installments: ir.Table) -> ir.Table:
    """What of each schedule version fell due by a day: loan_id, version, repaid_on, due_when_repaid.

    `days` has loan_id and repaid_on; a version of which nothing fell due has no row.
    """
    days = days.filter(days.repaid_on.notnull()).select("loan_id", "repaid_on").distinct()
    rows = days.inner_join(versions.select("loan_id", "version"), "loan_id")
    rows = rows.inner_join(installments, ["loan_id", "version"]).filter(lambda row: row.due_on <= row.repaid_on)
    return rows.group_by("loan_id", "version", "repaid_on").agg(
        due_when_repaid=money((rows.principal + rows.interest).sum())
    )
