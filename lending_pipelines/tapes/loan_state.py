"""Tape fields on a loan's state: modifications, charge-off, default, zero balance, unpaid fees.

If a source has no rows at all in a table (modifications, fees), the fields from it are null, not false or zero.
"""

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics import charge_offs, events
from lending_pipelines.metrics.delinquency import delinquent
from lending_pipelines.metrics.modifications import latest_first
from lending_pipelines.metrics.money import NO_AMOUNT, ZERO, money
from lending_pipelines.metrics.timeline import as_date
from lending_pipelines.tables.schema import count, day, flag, text
from lending_pipelines.tables.schema import money as amount
from lending_pipelines.tapes.parts import Part, TapeContext, with_columns

DEFAULT_DAYS = 90
"""Days past due from which a loan is in default. Source: Article 178(1)(b) of Regulation (EU) No 575/2013."""


def _modifications(loans: ir.Table, context: TapeContext) -> ir.Table:
    """Add the fields on modifications."""
    every = context.read("modifications")
    has_rows = every.count().as_scalar() > 0
    rows = every.filter(every.effective_on <= context.day).semi_join(context.positions, "loan_id")
    rows = rows.mutate(place=latest_first(rows))
    inside = rows.effective_on >= context.day.replace(day=1)
    longer = (rows.type == "term_extension") & inside
    sums = rows.group_by("loan_id").agg(
        modifications=rows.count(),
        last_modified_on=rows.effective_on.max(),
        last_modification=rows.type.max(where=rows.place == 0),
        changed_term=rows.after_term.argmin(rows.place),
        period_extension=(rows.after_term - rows.before_term).sum(where=longer).cast("decimal(38, 0)").cast("int64"),
    )
    names = [name for name in sums.columns if name != "loan_id"]
    loans = with_columns(loans, sums, *names).mutate(has_rows=has_rows)
    known = loans.has_rows
    in_period = (loans.last_modified_on >= context.day.replace(day=1)).fill_null(False)
    return loans.mutate(
        modified=known.ifelse(loans.modifications.notnull(), ibis.null("boolean")),
        modification_count=known.ifelse(loans.modifications.fill_null(0), ibis.null("int64")),
        last_modification_type="last_modification",
        current_term_count=ibis.coalesce(loans.changed_term, loans.term_count),
        period_modified=known.ifelse(in_period, ibis.null("boolean")),
        period_modification_type=in_period.ifelse(loans.last_modification, ibis.null("string")),
        period_extension_count="period_extension",
    ).drop("modifications", "last_modification", "changed_term", "period_extension", "has_rows")


def _losses(loans: ir.Table, context: TapeContext) -> ir.Table:
    """Add the fields on charge-off and recovery."""
    lost = context.positions.filter(context.positions.status == "charged_off")
    transactions = context.read("transactions").semi_join(lost, "loan_id")
    effects = charge_offs.effects(transactions, context.day)
    charged_off = charge_offs.level(effects, context.day, context.day)
    recovered = charge_offs.counted(events.signed(transactions, context.day), effects)
    recovered = recovered.filter(recovered.type.isin(events.RECOVERIES))
    recovered = events.in_force(recovered, recovered.amount * recovered.sign, "latest", context.day)
    loans = with_columns(loans, charged_off, "charged_off_on")
    return with_columns(loans, recovered.rename(last_recovered_on="root_on"), "last_recovered_on")


def _account_state(loans: ir.Table, context: TapeContext) -> ir.Table:
    """Add the fields on the loan's state, default and loss."""
    charged_off, closed = loans.status == "charged_off", loans.status == "closed"
    late, modified = delinquent(loans.days_past_due), loans.modified.fill_null(False)
    defaulted = loans.days_past_due >= DEFAULT_DAYS
    since = as_date(loans.business_date - (loans.days_past_due - DEFAULT_DAYS).as_interval("D"))
    return loans.mutate(
        account_state=ibis.cases(
            (charged_off, "charged_off"),
            (closed, "redeemed"),
            (loans.status == "pending", "pending"),
            (defaulted, "defaulted"),
            (modified & late, "restructured_arrears"),
            (modified, "restructured"),
            (late, "arrears"),
            else_="performing",
        ),
        zero_balance_on=ibis.cases(
            (charged_off, loans.charged_off_on), (closed, loans.last_payment_on), else_=ibis.null("date")
        ),
        defaulted_on=ibis.cases((charged_off, loans.charged_off_on), (defaulted, since), else_=ibis.null("date")),
        default_amount=ibis.cases(
            (charged_off, loans.principal_charged_off),
            (defaulted, money(loans.principal_outstanding + loans.interest_receivable)),
            else_=NO_AMOUNT,
        ),
        net_loss=charged_off.ifelse(money(loans.principal_charged_off - loans.recovered), NO_AMOUNT),
        redeemed_on=closed.ifelse(loans.last_payment_on, ibis.null("date")),
    )


def _fees(loans: ir.Table, context: TapeContext) -> ir.Table:
    """Add the unpaid fees."""
    fees = context.read("fees")
    has_rows = fees.count().as_scalar() > 0
    fees = fees.filter(fees.assessed_on <= context.day).semi_join(context.positions, "loan_id")
    waived = (fees.waived_on <= context.day).fill_null(False).ifelse(fees.waived_amount, ZERO)
    paid = (fees.paid_on <= context.day).fill_null(False).ifelse(fees.paid_amount, ZERO)
    unpaid = fees.group_by("loan_id").agg(unpaid=money((fees.amount - waived - paid).sum()))
    loans = with_columns(loans, unpaid, "unpaid").mutate(has_rows=has_rows)
    return loans.mutate(fees_unpaid=loans.has_rows.ifelse(ibis.coalesce(loans.unpaid, ZERO), NO_AMOUNT)).drop(
        "unpaid", "has_rows"
    )


PARTS = (
    Part(
        "modifications",
        ("modifications",),
        (
            flag("modified", "whether the terms were ever modified", nullable=True),
            count("modification_count", "modifications up to the day", nullable=True),
            text("last_modification_type", nullable=True),
            day("last_modified_on", "when the last modification took effect", nullable=True),
            count("current_term_count", "number of scheduled payments after the last modification", nullable=True),
            flag("period_modified", "whether the terms were modified in the reporting period", nullable=True),
            text("period_modification_type", "type of the last modification in the period", nullable=True),
            count("period_extension_count", "payments by which the term was extended in the period", nullable=True),
        ),
        _modifications,
        needs=("loans",),
    ),
    Part(
        "losses",
        ("transactions",),
        (
            day("charged_off_on", "the day from which the loan is fully charged off", nullable=True),
            day("last_recovered_on", "the last recovery of a charged-off loan that is not reversed", nullable=True),
        ),
        _losses,
    ),
    Part(
        "account_state",
        (),
        (
            text(
                "account_state",
                "performing, arrears (1 to 89 days past due), restructured, restructured_arrears, defaulted (90 days"
                " past due or more), charged_off, redeemed, pending",
            ),
            day("zero_balance_on", "charge-off, or the last payment of a closed loan", nullable=True),
            day("defaulted_on", "charge-off, or the 90th day past due of a loan still past due", nullable=True),
            amount("default_amount", "principal charged off, or principal and interest owed in default", nullable=True),
            amount("net_loss", "principal charged off less recoveries; null unless charged off", nullable=True),
            day("redeemed_on", "the last payment of a closed loan", nullable=True),
        ),
        _account_state,
        needs=("loans", "modifications", "losses"),
    ),
    Part(
        "fees",
        ("fees",),
        (amount("fees_unpaid", "fees assessed and neither waived nor paid by the day", nullable=True),),
        _fees,
    ),
)
