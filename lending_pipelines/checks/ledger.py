"""Checks of the general ledger: balanced entries and trial balance, control accounts that tie out."""

from functools import partial

import ibis
import ibis.expr.types as ir

from lending_pipelines.checks.compare import breaking, broken, calendar, differences
from lending_pipelines.checks.days import Days
from lending_pipelines.checks.protocol import Check, DailyCheck, Tables, WholeTableCheck
from lending_pipelines.conventions import Conventions
from lending_pipelines.metrics.ledger import CONTROLS

_PRINCIPAL = "principal"


def ledger_checks(conventions: Conventions) -> tuple[Check, ...]:
    """The checks of trial_balance, ledger_tieouts and journal_lines."""
    return (
        DailyCheck(
            "ledger_balanced",
            "trial_balance",
            "debits equal credits on every day in every currency",
            ("trial_balance",),
            unbalanced_days,
            blocking=True,
        ),
        DailyCheck(
            "balances_add_up",
            "trial_balance",
            "balance = debits − credits, shown as a debit balance or as a credit balance",
            ("trial_balance",),
            balances_not_adding_up,
            blocking=True,
        ),
        DailyCheck(
            "trial_balance_equals_journal",
            "trial_balance",
            "debits and credits of every account equal its journal lines up to the day; "
            "if lines were posted later, close those days again",
            ("trial_balance", "journal_lines"),
            trial_balance_unlike_journal,
        ),
        DailyCheck(
            "ledger_ties_out",
            "ledger_tieouts",
            "every control account equals the total of the loan positions that it controls",
            ("ledger_tieouts",),
            breaks,
            severity="warn",
        ),
        DailyCheck(
            "tieouts_add_up",
            "ledger_tieouts",
            "difference = ledger balance − subledger balance",
            ("ledger_tieouts",),
            tieouts_not_adding_up,
            blocking=True,
        ),
        DailyCheck(
            "principal_is_tied",
            "ledger_tieouts",
            "the principal tie-out exists on every day and compares the trial balance with the loan positions",
            ("ledger_tieouts", "trial_balance", "gl_accounts", "loan_positions"),
            principal_not_tied,
            blocking=True,
        ),
        WholeTableCheck(
            "entries_balance",
            "journal_lines",
            "debits equal credits in every entry and currency",
            ("journal_lines",),
            unbalanced_entries,
        ),
        WholeTableCheck(
            "lines_one_sided",
            "journal_lines",
            "at most one of debit and credit is not zero, and neither is negative unless the convention "
            "negative_journal_lines allows it",
            ("journal_lines",),
            partial(lines_not_one_sided, negative=conventions.negative_journal_lines),
        ),
    )


def unbalanced_days(tables: Tables, days: Days) -> ir.Table:
    """Days and currencies whose debits differ from their credits."""
    rows = days.rows(tables["trial_balance"])
    sums = rows.group_by(["business_date", "currency"]).agg(
        debit_total=rows.debit_total.sum(),
        credit_total=rows.credit_total.sum(),
        debit_balance=rows.debit_balance.sum(),
        credit_balance=rows.credit_balance.sum(),
    )
    return sums.filter(broken(sums.debit_total != sums.credit_total, sums.debit_balance != sums.credit_balance))


def balances_not_adding_up(tables: Tables, days: Days) -> ir.Table:
    """Accounts whose balance does not equal debits − credits."""
    rows = days.rows(tables["trial_balance"])
    net = rows.debit_total - rows.credit_total
    return rows.filter(
        broken(
            rows.balance != net,
            rows.debit_balance != ibis.greatest(net, 0),
            rows.credit_balance != ibis.greatest(-net, 0),
        )
    ).drop("name", "account_type")


def trial_balance_unlike_journal(tables: Tables, days: Days) -> ir.Table:
    """Accounts and days whose totals differ from the sums of the journal lines up to the day."""
    lines = tables["journal_lines"]
    lines = lines.filter(lines.entry_date <= ibis.literal(days.last))
    lines = lines.mutate(business_date=ibis.greatest(lines.entry_date, ibis.literal(days.first)))
    keys = ["account_code", "currency"]
    moves = lines.group_by(["business_date", *keys]).agg(debit=lines.debit.sum(), credit=lines.credit.sum())
    # One row per account and day from its first entry, so that running sums include days without entries.
    accounts = moves.group_by(keys).agg(since=moves.business_date.min())
    grid = accounts.cross_join(calendar(days.first, days.last))
    grid = grid.filter(grid.business_date >= grid.since).drop("since")
    grid = grid.left_join(moves, ["business_date", *keys]).select("business_date", *keys, "debit", "credit")
    running = ibis.window(group_by=keys, order_by="business_date", following=0)
    expected = grid.select(
        "business_date",
        *keys,
        debit_total=grid.debit.fill_null(0).sum().over(running),
        credit_total=grid.credit.fill_null(0).sum().over(running),
    )
    return differences(
        days.rows(expected),
        days.rows(tables["trial_balance"]),
        ["business_date", *keys],
        ["debit_total", "credit_total"],
    )


def breaks(tables: Tables, days: Days) -> ir.Table:
    """Control accounts that do not tie out, with the loans that cause the difference."""
    rows = days.rows(tables["ledger_tieouts"])
    return rows.filter(broken(rows["difference"] != 0))


def tieouts_not_adding_up(tables: Tables, days: Days) -> ir.Table:
    """Tie-outs whose difference does not equal ledger balance − subledger balance."""
    rows = days.rows(tables["ledger_tieouts"])
    return rows.filter(broken(rows["difference"] != rows.ledger_balance - rows.subledger_balance))


def principal_not_tied(tables: Tables, days: Days) -> ir.Table:
    """Days and currencies whose principal tie-out is missing or differs from the trial balance and the positions."""
    accounts = tables["gl_accounts"]
    accounts = accounts.filter(accounts.control_for == _PRINCIPAL)
    keys = ["business_date", "currency"]
    balances = days.rows(tables["trial_balance"]).semi_join(accounts, "account_code")
    positions = days.rows(tables["loan_positions"])
    positions = positions.group_by(keys).agg(owed=positions.principal_outstanding.sum())
    # Without a control account there is nothing to tie out.
    controlled = accounts.agg(accounts=accounts.count()).filter(ibis._.accounts > 0).drop("accounts")
    none = ibis.literal(0).cast("decimal(38, 2)")
    balance = balances.balance.cast("decimal(38, 2)") * CONTROLS[_PRINCIPAL].sign
    expected = balances.select(*keys, ledger_balance=balance, subledger_balance=none)
    expected = expected.union(
        positions.cross_join(controlled).select(
            *keys, ledger_balance=none, subledger_balance=positions.owed.cast("decimal(38, 2)")
        )
    )
    stored = days.rows(tables["ledger_tieouts"])
    stored = stored.filter(stored.control_for == _PRINCIPAL)
    return differences(expected, stored, keys, ["ledger_balance", "subledger_balance"])


def unbalanced_entries(tables: Tables) -> ir.Table:
    """Entries whose debits differ from their credits."""
    lines = tables["journal_lines"]
    sums = lines.group_by(["entry_id", "currency"]).agg(debit=lines.debit.sum(), credit=lines.credit.sum())
    return sums.filter(broken(sums.debit != sums.credit))


def lines_not_one_sided(tables: Tables, *, negative: bool) -> ir.Table:
    """Lines with a debit and a credit, or with a negative amount if `negative` is false."""
    lines = tables["journal_lines"]
    wrong = lines.filter(breaking(lines, "journal_lines", "debit", "credit", negative_journal_lines=negative))
    return wrong.select("entry_id", "line_no", "account_code", "entry_date", "debit", "credit", "loan_id")
