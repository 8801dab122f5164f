"""Roll rates: the movements of loans between delinquency buckets, from the rows of aging_transitions.

delinquency.py computes the movements of each loan.
"""

import ibis
import ibis.expr.types as ir

from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics.delinquency import bucket_rank
from lending_pipelines.metrics.money import ZERO, as_count, money
from lending_pipelines.metrics.ratios import ratio
from lending_pipelines.tables.derived import TRANSITION_ENTRY, TRANSITION_EXITS

DIRECTIONS = ("cured", "improved", "stayed", "worsened", *TRANSITION_EXITS)
"""Where the loans of a bucket go: to current, an earlier bucket, the same bucket, a later bucket, or an exit."""


def pooled(transitions: ir.Table) -> ir.Table:
    """Sum the movements of several days per currency, and compute the rates of the sums. Entries are left out.

    Returns:
        currency, from_bucket, to_bucket, loan_count, opening_principal, and the rates.
    """
    rows = transitions.filter(transitions.from_bucket != TRANSITION_ENTRY)
    rows = rows.group_by("currency", "from_bucket", "to_bucket").agg(
        loan_count=as_count(rows.loan_count.sum()), opening_principal=money(rows.opening_principal.sum())
    )
    out_of = ibis.window(group_by=["currency", "from_bucket"])
    opening = money(rows.opening_principal.sum().over(out_of))
    return rows.mutate(
        count_rate=rows.loan_count / rows.loan_count.sum().over(out_of),
        balance_rate=ratio(rows.opening_principal, opening),
    )


def direction_rates(transitions: ir.Table, conventions: Conventions, *keys: str) -> ir.Table:
    """The rates of DIRECTIONS per keys and from_bucket. They add up to 1.

    Returns:
        The keys, from_bucket, opening_loans, opening_principal, roll_forward_rate (by balance: worsened or charged
        off), and for each direction `<direction>_count_rate` and `<direction>_balance_rate`.
    """
    rows = transitions.filter(transitions.from_bucket != TRANSITION_ENTRY)
    later = bucket_rank(rows.to_bucket, conventions) > bucket_rank(rows.from_bucket, conventions)
    rows = rows.mutate(
        direction=ibis.cases(
            (rows.to_bucket.isin(TRANSITION_EXITS), rows.to_bucket),
            (rows.to_bucket == rows.from_bucket, "stayed"),
            (rows.to_bucket == conventions.buckets[0], "cured"),
            (later, "worsened"),
            else_="improved",
        )
    )
    loans, principal = rows.loan_count, rows.opening_principal

    def counted(*directions: str) -> ir.FloatingScalar:
        return ibis.coalesce(loans.sum(where=rows.direction.isin(directions)), 0) / loans.sum()

    def weighed(*directions: str) -> ir.FloatingScalar:
        moved = ibis.coalesce(principal.sum(where=rows.direction.isin(directions)), ZERO)
        return ratio(moved, principal.sum())

    return rows.group_by(*keys, "from_bucket").agg(
        opening_loans=as_count(loans.sum()),
        opening_principal=money(principal.sum()),
        roll_forward_rate=weighed("worsened", "charged_off"),
        **{f"{direction}_count_rate": counted(direction) for direction in DIRECTIONS},
        **{f"{direction}_balance_rate": weighed(direction) for direction in DIRECTIONS},
    )


def net_flow_rates(transitions: ir.Table, aging: ir.Table, conventions: Conventions) -> ir.Table:
    """The net flow rate of each bucket.

    It is the principal in the next bucket on the day ÷ the principal in this bucket one step before. The flow into the
    last bucket has no rate, because loans stay in that bucket for more than one step.

    Args:
        transitions: Rows of aging_transitions.
        aging: Rows of aging_buckets of the same days and scope.
        conventions: They define the buckets.

    Returns:
        business_date, currency, from_bucket, net_flow_rate.
    """
    opening = transitions.filter(transitions.from_bucket != TRANSITION_ENTRY)
    opening = opening.group_by("business_date", "currency", "from_bucket").agg(
        opening_principal=opening.opening_principal.sum()
    )
    pairs = list(zip(conventions.buckets, conventions.buckets[1:-1], strict=False))
    opening = opening.filter(opening.from_bucket.isin([before for before, _ in pairs]))
    opening = opening.mutate(
        bucket=ibis.cases(*((opening.from_bucket == before, after) for before, after in pairs), else_=ibis.null(str))
    )
    now = aging.select("business_date", "currency", "bucket", "principal_outstanding")
    rows = opening.left_join(now, ["business_date", "currency", "bucket"])
    return rows.select(
        "business_date",
        "currency",
        "from_bucket",
        net_flow_rate=ratio(ibis.coalesce(rows.principal_outstanding, ZERO), rows.opening_principal),
    )


def cure_rates(late: ir.Table, *keys: str) -> ir.Table:
    """Cure rates per key. `late` are transitions out of past due buckets.

    Returns:
        The keys, opening_loans, opening_principal, cured_loans, cured_principal, cure_count_rate, cure_balance_rate.
    """
    cured = late.to_bucket == "current"
    sums = late.group_by(*keys).agg(
        opening_loans=late.loan_count.sum(),
        opening_principal=late.opening_principal.sum(),
        cured_loans=ibis.coalesce(late.loan_count.sum(where=cured), 0),
        cured_principal=ibis.coalesce(late.opening_principal.sum(where=cured), ibis.literal(0, "decimal(38, 2)")),
    )
    opening = sums.opening_principal.cast("float64").nullif(0)
    return sums.mutate(
        cure_count_rate=sums.cured_loans / sums.opening_loans,
        cure_balance_rate=sums.cured_principal.cast("float64") / opening,
    )
