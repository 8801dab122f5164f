"""What the pages of the ledger show: the trial balance, an account's entries, and control accounts beside the loans."""

import ibis
import ibis.expr.types as ir

from lending_pipelines.portal.lake.scoped_lake import Tables


def trial_balance(lake: Tables, day: ir.DateValue, before: ir.DateValue) -> ir.Table:
    """The accounts on a day, by currency and code, with `moved`: the balance less that of the day before.

    `moved` is null when there is no day before; an account that is new has moved by its whole balance.
    """
    rows = lake.table("trial_balance")
    then = rows.filter(rows.business_date == before).select("account_code", "currency", balance_then="balance")
    now = rows.filter(rows.business_date == day)
    found = now.left_join(then, ["account_code", "currency"], rname="{name}_of_then")
    moved = (before == day).ifelse(ibis.null("decimal(18, 2)"), found.balance - found.balance_then.fill_null(0))
    return found.select(
        "account_code",
        "name",
        "account_type",
        "currency",
        "debit_total",
        "credit_total",
        "debit_balance",
        "credit_balance",
        "balance",
        moved=moved.cast("decimal(18, 2)"),
    ).order_by("currency", "account_code")


def totals(lake: Tables, day: ir.DateValue) -> ir.Table:
    """Debits and credits of all accounts on a day, per currency, with `out`: debits less credits."""
    rows = lake.table("trial_balance")
    rows = rows.filter(rows.business_date == day)
    names = ("debit_total", "credit_total", "debit_balance", "credit_balance")
    sums = rows.group_by("currency").agg(**{name: rows[name].sum().cast("decimal(18, 2)") for name in names})
    return sums.mutate(out=(sums.debit_total - sums.credit_total).cast("decimal(18, 2)")).order_by("currency")


def account(lake: Tables, code: ir.StringValue, currency: ir.StringValue) -> ir.Table:
    """An account's row on every closed day, the latest first."""
    rows = lake.table("trial_balance")
    rows = rows.filter(rows.account_code == code, rows.currency == currency)
    return rows.order_by(ibis.desc("business_date"))


def entries(lake: Tables, code: ir.StringValue, currency: ir.StringValue, day: ir.DateValue) -> ir.Table:
    """The journal lines of an account up to a day. `late`: posted after the day was closed, so not in its balance."""
    lines = lake.table("journal_lines")
    lines = lines.filter(lines.account_code == code, lines.currency == currency, lines.entry_date <= day)
    closed = lake.table("closed_days")
    closed = closed.filter(closed.table_name == "trial_balance", closed.business_date == day)
    known_until = closed.known_until.max().as_scalar()
    return lines.select(
        "entry_id",
        "line_no",
        "entry_date",
        "posted_at",
        "debit",
        "credit",
        "currency",
        "loan_id",
        "transaction_id",
        late=(lines.posted_at > known_until).fill_null(False),
    )


def entry(lake: Tables, entry_id: ir.StringValue) -> ir.Table:
    """The lines of an entry with the names of their accounts."""
    lines = lake.table("journal_lines")
    lines = lines.filter(lines.entry_id == entry_id)
    accounts = lake.table("gl_accounts").select("account_code", "name")
    found = lines.left_join(accounts, "account_code", rname="{name}_of_account")
    return found.drop("account_code_of_account").order_by("line_no")


def tie_outs(lake: Tables, day: ir.DateValue) -> ir.Table:
    """The control accounts on a day beside the same totals of the loans, the largest difference first."""
    rows = lake.table("ledger_tieouts")
    rows = rows.filter(rows.business_date == day)
    return rows.order_by(ibis.desc(rows["difference"].abs()), "control_for", "currency")


def tie_out(lake: Tables, control: ir.StringValue, currency: ir.StringValue) -> ir.Table:
    """A control account on every closed day, the latest first."""
    rows = lake.table("ledger_tieouts")
    rows = rows.filter(rows.control_for == control, rows.currency == currency)
    return rows.order_by(ibis.desc("business_date"))
