"""Modifications of loan terms: number per type, terms before and after, and loans that defaulted again."""

from datetime import date

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics.money import ZERO, as_count, money
from lending_pipelines.metrics.ratios import ratio

RATES = ("rate", "term")
"""The terms that are averaged over modifications with values before and after."""

AMOUNTS = ("payment", "principal")
"""The terms that are summed over modifications with values before and after."""


def latest_first(modifications: ir.Table, *keys: str) -> ir.IntegerColumn:
    """The rank of a modification in its group, 0 for the latest: by effective_on, then posted_at, then id.

    Args:
        modifications: Rows of the table modifications.
        *keys: The columns that define a group in addition to loan_id.
    """
    order = [ibis.desc(modifications[name]) for name in ("effective_on", "posted_at", "modification_id")]
    return ibis.row_number().over(ibis.window(group_by=["loan_id", *keys], order_by=order))


def terms_by_type(modifications: ir.Table, loans: ir.Table) -> ir.Table:
    """Number and terms of modifications per type and currency of the loan.

    Returns:
        type; currency; modifications; loans; the averages before_rate and after_rate (annual fractions), before_term
        and after_term (payments); the sums before_payment, after_payment, before_principal and after_principal (money);
        and principal_change. A term is null if no modification of the type has values before and after.
    """
    rows = modifications.left_join(loans.select("loan_id", "currency"), "loan_id")
    measures: dict[str, ir.Value] = {"modifications": rows.count(), "loans": rows.loan_id.nunique()}
    for term in (*RATES, *AMOUNTS):
        before, after = rows[f"before_{term}"], rows[f"after_{term}"]
        both = before.notnull() & after.notnull()
        for name, value in ((f"before_{term}", before), (f"after_{term}", after)):
            measures[name] = value.cast("float64").mean(where=both) if term in RATES else money(value.sum(where=both))
    terms = rows.group_by("type", "currency").agg(**measures)
    return terms.mutate(principal_change=money(terms.after_principal - terms.before_principal))


def outcomes(modifications: ir.Table, positions: ir.Table, last: date, redefault_days: int) -> ir.Table:
    """The state of each modified loan on `last`, by its latest modification.

    Args:
        modifications: Rows of the table modifications.
        positions: loan_positions. A loan without a position on that day has no row.
        last: The day.
        redefault_days: The days past due from which an active loan counts as redefaulted.

    Returns:
        loan_id, type, modified_month (`2025-01`), currency, exposure (principal outstanding and charged off), and
        redefaulted: whether the loan is charged off, or active and at least `redefault_days` past due.
    """
    of_loans = modifications.mutate(place=latest_first(modifications)).filter(lambda rows: rows.place == 0)
    on_last = positions.filter(positions.business_date == last)
    late = (on_last.status == "active") & (on_last.days_past_due >= redefault_days)
    on_last = on_last.select(
        "loan_id",
        "currency",
        exposure=money(on_last.principal_outstanding + on_last.principal_charged_off),
        redefaulted=(on_last.status == "charged_off") | late,
    )
    rows = of_loans.inner_join(on_last, "loan_id")
    return rows.select(
        "loan_id",
        "type",
        "currency",
        "exposure",
        "redefaulted",
        modified_month=rows.effective_on.strftime("%Y-%m"),
    )


def redefaults(outcomes: ir.Table, *by: str) -> ir.Table:
    """Redefaulted loans per `by`, which includes currency.

    Returns:
        The columns `by`, modified_loans, redefaulted_loans, redefault_rate, exposure, redefaulted_exposure (money),
        redefault_exposure_rate.
    """
    sums = outcomes.group_by(*by).agg(
        modified_loans=outcomes.count(),
        redefaulted_loans=as_count(outcomes.redefaulted.cast("int64").sum()),
        exposure=money(outcomes.exposure.sum()),
        redefaulted_exposure=money(ibis.coalesce(outcomes.exposure.sum(where=outcomes.redefaulted), ZERO)),
    )
    return sums.mutate(
        redefault_rate=ratio(sums.redefaulted_loans, sums.modified_loans),
        redefault_exposure_rate=ratio(sums.redefaulted_exposure, sums.exposure),
    )
