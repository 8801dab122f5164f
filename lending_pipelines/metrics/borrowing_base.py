"""The borrowing base: the eligible principal of a book, its excess concentrations, and the amount that can be borrowed.

facility.py defines the rules.
"""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics.facility import ConcentrationLimit, Eligibility, FacilityRules
from lending_pipelines.metrics.money import ZERO, as_count, money
from lending_pipelines.metrics.ratios import ratio
from lending_pipelines.metrics.timeline import as_date
from lending_pipelines.tables.schema import MONEY, RATE

NOT_ACTIVE = "not_active"
"""The reason for loans that are closed, charged off or pending. It takes precedence over every rule."""

NOT_RECORDED = "not recorded"
"""The group of the loans without a value."""

# Wide enough for every amount, and narrow enough for an exact product with a share on every engine.
_AMOUNT, _SHARE = "decimal(20, 4)", "decimal(5, 4)"
_GROUPS = {
    "borrower": "borrower_id",
    "product": "product_id",
    "program": "program_id",
    "branch": "branch_id",
    "region": "region",
    "officer": "officer_id",
    "vintage": "vintage",
    "bucket": "bucket",
}
"""The column of each grouping of a concentration limit."""

_TESTS: dict[str, Callable[[ir.Table, Any, ir.DateScalar], ir.BooleanValue]] = {
    "currencies": lambda t, codes, _: t.currency.isin(codes),
    "max_days_past_due": lambda t, days, _: t.days_past_due <= days,
    "exclude_non_accrual": lambda t, *_: ~t.non_accrual,
    "exclude_modified": lambda t, *_: ~t.modified,
    "min_balance": lambda t, amount, _: t.principal_outstanding >= ibis.literal(amount, MONEY),
    "max_balance": lambda t, amount, _: t.principal_outstanding <= ibis.literal(amount, MONEY),
    "min_annual_rate": lambda t, rate, _: t.annual_rate >= ibis.literal(rate, RATE),
    "max_annual_rate": lambda t, rate, _: t.annual_rate <= ibis.literal(rate, RATE),
    "max_original_term_months": lambda t, n, _: t.matures_on <= as_date(t.disbursed_on + ibis.interval(months=n)),
    "max_remaining_term_months": lambda t, n, day: t.matures_on <= as_date(day + ibis.interval(months=n)),
    "min_seasoning_days": lambda t, days, day: day.delta(t.disbursed_on, unit="day") >= days,
    "min_credit_score": lambda t, score, _: t.credit_score >= score,
    "max_loan_to_value": lambda t, most, _: ratio(t.principal_outstanding, t.collateral_value) <= float(most),
    "products": lambda t, ids, _: t.product_id.isin(ids),
    "branches": lambda t, ids, _: t.branch_id.isin(ids),
    "regions": lambda t, names, _: t.region.isin(names),
}
"""The condition of each eligibility rule: from the loans, the value of the rule and the day."""


def limits_of(rules: Eligibility) -> dict[str, Any]:
    """The rules with a limit, by name, in the order in which loans are tested."""
    return {name: value for name, value in rules if value is not None and value is not False and value != ()}


def collateral(
    positions: ir.Table, loans: ir.Table, modifications: ir.Table, rules: FacilityRules, day: date
) -> ir.Table:
    """Test each loan of a day against the facility's rules.

    Returns:
        The rows of loan_positions of the day with these columns: region; ineligible_by, the first rule that the loan
        breaks, NOT_ACTIVE, or null; eligible, the principal outstanding if the loan is eligible, else 0;
        eligible_in_all, the sum of eligible in the currency; `excess_<n>` for each concentration limit; and counted,
        eligible less every excess.
    """
    modified = modifications.filter(modifications.effective_on <= day).select("loan_id").distinct()
    rows = positions.left_join(loans.select("loan_id", "region", "credit_score", "collateral_value"), "loan_id").drop(
        "loan_id_right"
    )
    rows = rows.left_join(modified.mutate(modified=ibis.literal(True)), "loan_id").drop("loan_id_right")
    rows = rows.mutate(modified=rows.modified.fill_null(False))
    broken = [(rows.status != "active", NOT_ACTIVE)]
    for name, value in limits_of(rules.eligibility).items():
        broken.append((~_TESTS[name](rows, value, ibis.literal(day)).fill_null(False), name))
    rows = rows.mutate(ineligible_by=ibis.cases(*broken, else_=ibis.null("string")))
    rows = rows.mutate(eligible=rows.ineligible_by.isnull().ifelse(rows.principal_outstanding, ZERO))
    rows = rows.mutate(
        eligible_in_all=money(rows.eligible.sum().over(ibis.window(group_by="currency"))), counted=rows.eligible
    )
    for number, limit in enumerate(rules.concentration_limits):
        rows = _limited(rows, limit, f"excess_{number}")
    return rows


def _limited(rows: ir.Table, limit: ConcentrationLimit, excess: str) -> ir.Table:
    """Apply a concentration limit: add the excess of each loan, and subtract it from `counted`.

    Loans fill the limit of their group in order of days past due, fewest first, then by loan_id. Credit balances come
    first, because they lower the amount of the group. The amount above the limit is the excess. An amount excluded by
    an earlier limit does not count.
    """
    group = _group(rows, limit)
    order = [rows.counted >= 0, rows.days_past_due, rows.loan_id]
    before = rows.counted.sum().over(ibis.window(group_by=["currency", group], order_by=order, rows=(None, -1)))
    room = money(_limit_amount(rows, limit) - ibis.coalesce(before, ZERO))
    # A credit balance is within every limit.
    within = ibis.greatest(ibis.least(rows.counted, room), ibis.least(rows.counted, ZERO))
    if limit.only:
        within = group.isin(limit.only).ifelse(within, rows.counted)
    rows = rows.mutate(**{excess: money(rows.counted - within)})
    return rows.mutate(counted=money(rows.counted - rows[excess]))


def _group(rows: ir.Table, limit: ConcentrationLimit) -> ir.StringColumn:
    """The group of each loan under a limit."""
    return ibis.coalesce(rows[_GROUPS[limit.by]], ibis.literal(NOT_RECORDED))


def _limit_amount(rows: ir.Table, limit: ConcentrationLimit) -> ir.DecimalColumn:
    """The limit of each group as an amount: its share of the eligible principal of the currency."""
    return share_of(rows.eligible_in_all, limit.max_share)


def share_of(amount: ir.DecimalValue, share: Decimal) -> ir.DecimalValue:
    """The share of an amount, to the cent."""
    return money(amount.cast(_AMOUNT) * ibis.literal(share, _SHARE))


def ineligibles(rows: ir.Table) -> ir.Table:
    """Sum the ineligible loans of `collateral` by reason.

    Returns:
        currency, ineligible_by, loan_count, principal_outstanding, and share, the part of all principal outstanding.
    """
    sums = rows.group_by("currency", "ineligible_by").agg(
        loan_count=as_count(rows.count()), principal_outstanding=money(rows.principal_outstanding.sum())
    )
    total = money(sums.principal_outstanding.sum().over(ibis.window(group_by="currency")))
    sums = sums.mutate(share=ratio(sums.principal_outstanding, total))
    return sums.filter(sums.ineligible_by.notnull())


def concentrations(rows: ir.Table, rules: FacilityRules, top: int) -> ir.Table | None:
    """The `top` largest groups of each limit and currency in `collateral`, and all groups above their limit.

    Returns:
        limit_number, currency, group, loan_count, eligible, share (of eligible principal), limit_amount, excess, and
        groups, the number of all groups. None if the rules have no limits.
    """
    eligible_rows = rows.filter(rows.ineligible_by.isnull())
    parts = []
    for number, limit in enumerate(rules.concentration_limits):
        grouped = eligible_rows.mutate(group=_group(eligible_rows, limit))
        if limit.only:
            grouped = grouped.filter(grouped.group.isin(limit.only))
        sums = grouped.group_by("currency", "group").agg(
            loan_count=as_count(grouped.count()),
            eligible=money(grouped.eligible.sum()),
            eligible_in_all=grouped.eligible_in_all.max(),
            excess=money(grouped[f"excess_{number}"].sum()),
        )
        order = ibis.window(group_by="currency", order_by=[sums.eligible.desc(), sums.group])
        sums = sums.mutate(place=ibis.row_number().over(order), groups=sums.count().over(group_by="currency"))
        sums = sums.filter((sums.place < top) | (sums.excess > 0))
        parts.append(
            sums.select(
                "currency",
                "group",
                "loan_count",
                "eligible",
                "excess",
                "groups",
                limit_number=ibis.literal(number, "int64"),
                share=ratio(sums.eligible, sums.eligible_in_all),
                limit_amount=_limit_amount(sums, limit),
            )
        )
    return ibis.union(*parts) if parts else None


def base(rows: ir.Table, rules: FacilityRules, amounts: ir.Table) -> ir.Table:
    """The borrowing base per currency from `collateral`.

    Args:
        rows: The result of `collateral`.
        rules: The facility's rules.
        amounts: currency, commitment, outstanding.

    Returns:
        currency, loan_count, principal_outstanding, ineligible_loans, ineligible, eligible_loans, eligible, excess,
        net_eligible, borrowing_base (advance rate × net_eligible), commitment, maximum_advance (the lower of
        borrowing_base and commitment), outstanding, availability (maximum_advance − outstanding, null if outstanding is
        null), and utilisation (outstanding ÷ maximum_advance). A currency with an amount but no loans has a base of 0.
    """
    ineligible = rows.ineligible_by.notnull()
    sums = rows.group_by("currency").agg(
        loan_count=as_count(rows.count()),
        ineligible_loans=as_count(ineligible.cast("int64").sum()),
        principal_outstanding=money(rows.principal_outstanding.sum()),
        eligible=money(rows.eligible.sum()),
        net_eligible=money(rows.counted.sum()),
    )
    both = sums.outer_join(amounts, "currency")
    both = both.select(
        currency=ibis.coalesce(both.currency, both.currency_right),
        **{name: ibis.coalesce(both[name], 0) for name in ("loan_count", "ineligible_loans")},
        **{name: ibis.coalesce(both[name], ZERO) for name in ("principal_outstanding", "eligible", "net_eligible")},
        commitment="commitment",
        outstanding="outstanding",
    )
    both = both.mutate(
        eligible_loans=both.loan_count - both.ineligible_loans,
        ineligible=money(both.principal_outstanding - both.eligible),
        excess=money(both.eligible - both.net_eligible),
        borrowing_base=share_of(both.net_eligible, rules.advance_rate),
    )
    both = both.mutate(
        maximum_advance=ibis.least(both.borrowing_base, ibis.coalesce(both.commitment, both.borrowing_base))
    )
    return both.mutate(
        availability=money(both.maximum_advance - both.outstanding),
        utilisation=ratio(both.outstanding, both.maximum_advance),
    )
