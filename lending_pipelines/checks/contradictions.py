"""Contradictions between tables, by loan. All are warnings, except payments on loans that were never disbursed.

The warnings on positions use only the last day of the range, because a contradiction usually lasts for many days.
"""

from datetime import date

import ibis
import ibis.expr.types as ir

from lending_pipelines.checks.days import Days
from lending_pipelines.checks.protocol import Check, DailyCheck, Tables, WholeTableCheck
from lending_pipelines.checks.servicing import HIGHEST_RATE

_CENT = ibis.literal("0.01").cast("decimal(38, 2)")
_DAYS_TO_POST = 2
"""The maximum days from a loan's disbursement or posting, the later one, to the posting of an original schedule."""

_SHARE = 0.05
"""The allowed difference of scheduled interest, as a share of rate × balances × days. Day counts differ by less."""


def contradiction_checks() -> tuple[Check, ...]:
    """The checks of contradictions."""
    return (
        DailyCheck(
            "paid_without_disbursement",
            "loan_positions",
            "no loan without a disbursement has a negative balance; if one has, the servicing database lacks its"
            " disbursement",
            ("loan_positions", "transactions"),
            paid_without_disbursement,
            blocking=True,
        ),
        DailyCheck(
            "disbursements_exist",
            "loans",
            "every loan with disbursed_on has a disbursement transaction",
            ("loans", "transactions"),
            disbursed_without_disbursement,
            severity="warn",
        ),
        WholeTableCheck(
            "repaid_after_disbursement",
            "transactions",
            "no repayment is effective before its loan is disbursed",
            ("transactions", "loans"),
            repaid_before_disbursement,
            severity="warn",
        ),
        DailyCheck(
            "schedule_covers_principal",
            "loan_positions",
            "the principal in an active loan's schedule in force equals the principal disbursed and capitalized",
            ("loan_positions", "installments"),
            schedules_unlike_principal,
            severity="warn",
        ),
        DailyCheck(
            "active_has_due_dates",
            "loan_positions",
            "the principal of an active loan is past due or falls due later",
            ("loan_positions",),
            nothing_left_to_fall_due,
            severity="warn",
        ),
        WholeTableCheck(
            "terms_match_schedule",
            "loans",
            "a loan's first schedule has term_count installments and the interest of annual_rate; a schedule that was "
            "rewritten in place since the disbursement is not compared",
            ("loans", "installments", "modifications"),
            terms_unlike_schedule,
            severity="warn",
        ),
        DailyCheck(
            "assigned_to_known",
            "loan_positions",
            "the portfolio, officer and product of every position exist",
            ("loan_positions", "portfolio_membership", "staff", "products"),
            assigned_to_unknown,
            severity="warn",
        ),
    )


def paid_without_disbursement(tables: Tables, days: Days) -> ir.Table:
    """Positions with a negative balance of loans without any disbursement, reversed or not, by the last day."""
    rows = days.rows(tables["loan_positions"])
    rows = rows.filter(
        rows.principal_disbursed <= 0,
        rows.principal_outstanding < 0,
    )
    disbursed = _disbursements(tables["transactions"], days.last)
    rows = rows.anti_join(disbursed, "loan_id")
    return rows.select("business_date", "loan_id", "status", "currency", "principal_outstanding", "total_collected")


def disbursed_without_disbursement(tables: Tables, days: Days) -> ir.Table:
    """Loans with disbursed_on up to the last day that have no disbursement transaction."""
    loans = tables["loans"]
    loans = loans.filter(loans.disbursed_on <= ibis.literal(days.last))
    missing = loans.anti_join(_disbursements(tables["transactions"], days.last), "loan_id")
    return missing.select("loan_id", "disbursed_on", "currency", "principal")


def repaid_before_disbursement(tables: Tables) -> ir.Table:
    """Repayments in force of loans that are disbursed later or not at all."""
    rows = tables["transactions"]
    reversed_ids = rows.filter(rows.type == "reversal").select(transaction_id="reverses_id")
    paid = rows.filter(rows.type == "repayment").anti_join(reversed_ids, "transaction_id")
    paid = paid.join(tables["loans"].select("loan_id", "disbursed_on"), "loan_id")
    early = paid.filter((paid.effective_on < paid.disbursed_on) | paid.disbursed_on.isnull())
    return early.select("loan_id", "transaction_id", "effective_on", "disbursed_on", "amount")


def schedules_unlike_principal(tables: Tables, days: Days) -> ir.Table:
    """Active loans whose scheduled principal differs from the principal disbursed and capitalized.

    The schedule may include forgiven or charged-off principal or not. One cent per installment is allowed for rounding.
    """
    rows = _active(tables, days.last)
    installments = tables["installments"]
    installments = installments.filter(installments.effective_on <= ibis.literal(days.last))
    newest = installments.group_by("loan_id").agg(version=installments.version.max())
    in_force = installments.join(newest, ["loan_id", "version"])
    scheduled = in_force.group_by("loan_id").agg(
        scheduled_principal=in_force.principal.sum().cast("decimal(38, 2)"), installments=in_force.count()
    )
    rows = rows.left_join(scheduled, "loan_id")
    lent = (rows.principal_disbursed + rows.principal_capitalized).cast("decimal(38, 2)")
    least = lent - rows.principal_charged_off - rows.principal_forgiven
    planned = ibis.coalesce(rows.scheduled_principal, ibis.literal(0).cast("decimal(38, 2)"))
    rounding = _CENT * ibis.coalesce(rows.installments, 0)
    return rows.filter((planned < least - rounding) | (planned > lent + rounding)).select(
        "business_date",
        "loan_id",
        "currency",
        "principal_outstanding",
        disbursed_and_capitalized=lent,
        scheduled_principal=planned,
    )


def nothing_left_to_fall_due(tables: Tables, days: Days) -> ir.Table:
    """Active loans with principal that is not past due and has no later due date."""
    rows = _active(tables, days.last)
    rows = rows.filter(rows.next_due_on.isnull(), rows.principal_outstanding > rows.past_due_principal)
    return rows.select(
        "business_date", "loan_id", "currency", "principal_outstanding", "past_due_principal", "matures_on"
    )


def terms_unlike_schedule(tables: Tables) -> ir.Table:
    """Loans whose first schedule differs from their terms in the number of installments or in interest.

    Only original schedules are compared. Some systems overwrite a schedule after an early payment or a modification. An
    overwritten schedule takes effect or is posted later than the loan, or its loan has a modification and a single
    version.

    A schedule below the contractual principal belongs to a loan acquired after origination: it may have fewer
    installments. Interest is compared with annual_rate × scheduled balances × days ÷ 365, and with the same on the full
    principal (flat rate). The tolerance is 5 % and two cents per installment for day counts and rounding. Rates that
    look like percentages are reported by another check.
    """
    loans = tables["loans"]
    loans = loans.filter(loans.disbursed_on.notnull())
    installments = tables["installments"]
    oldest = installments.group_by("loan_id").agg(version=installments.version.min())
    rows = installments.join(oldest, ["loan_id", "version"]).join(
        loans.select("loan_id", "disbursed_on", "term_count", "annual_rate", contract_principal="principal"), "loan_id"
    )
    order = {"group_by": "loan_id", "order_by": ["due_on", "number"]}
    later = rows.principal.sum().over(ibis.window(**order, rows=(0, None)))
    since = ibis.coalesce(rows.due_on.lag().over(ibis.window(**order)), rows.disbursed_on)
    rows = rows.mutate(owed=later.cast("float64"), days=ibis.greatest(rows.due_on.delta(since, unit="day"), 0))
    rows = rows.anti_join(_rewritten(tables), "loan_id")
    per_loan = rows.group_by("loan_id", "term_count", "annual_rate", "contract_principal").agg(
        installments=rows.count(),
        payments=(rows.principal + rows.interest > 0).sum(),
        principal=rows.principal.sum().cast("decimal(38, 2)"),
        interest=rows.interest.sum().cast("float64"),
        on_balance=(rows.owed * rows.days).sum() / 365,
        days=rows.days.sum(),
    )
    rate = per_loan.annual_rate.cast("float64")
    rounding = per_loan.installments * 0.02

    def far(expected: ir.FloatingValue) -> ir.BooleanValue:
        return (per_loan.interest - expected).abs() > expected * _SHARE + rounding

    flat = per_loan.contract_principal.cast("float64") * per_loan.days / 365
    at_origination = per_loan.principal >= per_loan.contract_principal - _CENT * per_loan.installments
    term = (per_loan.term_count < per_loan.payments) | (
        at_origination & ~per_loan.term_count.isin([per_loan.installments, per_loan.payments])
    )
    interest = (per_loan.annual_rate <= HIGHEST_RATE) & far(rate * per_loan.on_balance) & far(rate * flat)
    problem = term.ifelse("term_count differs from the number of installments; ", "") + interest.ifelse(
        "interest differs from annual_rate; ", ""
    )
    per_loan = per_loan.mutate(
        problem=problem,
        scheduled_interest=per_loan.interest.round(2),
        interest_at_rate=(rate * per_loan.on_balance).round(2),
    )
    return per_loan.filter(per_loan.problem != "").select(
        "loan_id", "term_count", "installments", "annual_rate", "scheduled_interest", "interest_at_rate", "problem"
    )


def _rewritten(tables: Tables) -> ir.Table:
    """The loan_id of each loan whose first schedule was overwritten."""
    installments = tables["installments"]
    versions = installments.group_by("loan_id").agg(
        version=installments.version.min(), single=installments.version.nunique() == 1
    )
    loans = tables["loans"].select("loan_id", "disbursed_on", loan_posted_at="posted_at")
    rows = installments.join(versions, ["loan_id", "version"]).join(loans, "loan_id")
    known = ibis.greatest(rows.loan_posted_at, rows.disbursed_on.cast("timestamp(6)"))
    later = (rows.effective_on > rows.disbursed_on) | (rows.posted_at > known + ibis.interval(days=_DAYS_TO_POST))
    modified = rows.filter(rows.single).semi_join(tables["modifications"], "loan_id")
    return ibis.union(rows.filter(later).select("loan_id"), modified.select("loan_id")).distinct()


def assigned_to_unknown(tables: Tables, days: Days) -> ir.Table:
    """Positions whose portfolio, officer or product does not exist. A table without rows counts as not used."""
    rows = tables["loan_positions"]
    rows = rows.filter(rows.business_date == ibis.literal(days.last))
    unknown = []
    for column, parent, key in (
        ("portfolio_id", "portfolio_membership", "portfolio_id"),
        ("officer_id", "staff", "staff_id"),
        ("product_id", "products", "product_id"),
    ):
        parents = tables[parent].select(known_id=key).distinct()
        named = rows.filter(rows[column].notnull())
        missing = named.anti_join(parents, named[column] == parents.known_id)
        kept = parents.agg(parent_rows=parents.count())
        missing = missing.cross_join(kept.filter(kept.parent_rows > 0))
        unknown.append(
            missing.select("business_date", "loan_id", column=ibis.literal(column), missing_id=missing[column])
        )
    return ibis.union(*unknown)


def _active(tables: Tables, day: date) -> ir.Table:
    rows = tables["loan_positions"]
    return rows.filter(rows.business_date == ibis.literal(day), rows.status == "active")


def _disbursements(transactions: ir.Table, last: date) -> ir.Table:
    made = transactions.filter(transactions.type == "disbursement", transactions.effective_on <= ibis.literal(last))
    return made.select("loan_id").distinct()
