"""Balances of the general ledger for reports: journal lines summed over days, and notes on differences.

The order of accounts and the sums of account groups are in account_tree.py; balance sheet and income statement are in
financial_statements.py.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import ibis
import ibis.expr.types as ir

from lending_pipelines.metrics.money import ZERO
from lending_pipelines.reports import days, in_period, periods
from lending_pipelines.reports.account_tree import AccountTree
from lending_pipelines.reports.parameters import InPeriod
from lending_pipelines.reports.periods import Period
from lending_pipelines.reports.protocol import ReportSource

ACCOUNT_KEY = ("account_code", "currency")

_NAMED = 20
"""The maximum number of accounts that a note names."""


def tree(source: ReportSource) -> AccountTree:
    """The accounts of gl_accounts."""
    accounts = source.table("gl_accounts").select("account_code", "name", "account_type", "parent_code")
    return AccountTree.of(accounts.to_pyarrow().to_pylist())


def journal_up_to(source: ReportSource, last: date) -> ir.Table:
    """The journal lines with entry_date up to the last day."""
    journal = source.table("journal_lines")
    return journal.filter(journal.entry_date <= last)


def first_entry(source: ReportSource) -> date | None:
    """The entry_date of the first journal line; None without any."""
    return source.table("journal_lines").entry_date.min().to_pyarrow().as_py()


def period_of(parameters: InPeriod, source: ReportSource, reads: Sequence[str]) -> Period:
    """The period of a report on the ledger.

    Raises:
        LendingError: The last day is missing in a daily table of `reads`, and the ledger has entries by then.
    """
    period = periods.period_of(parameters, days.ledger_date(source, reads, parameters.as_of))
    first = first_entry(source)
    if first is not None and first <= period.last:
        days.business_date(source, reads, period.last.isoformat())
    return period


def covered(source: ReportSource, *wanted: date) -> list[date]:
    """The closed days among `wanted`. Days with thinned positions count: their trial balances are kept."""
    return sorted(set(wanted) & {*source.days("trial_balance"), *source.days("loan_positions")})


def movements(journal: ir.Table, first: date, *keys: str) -> ir.Table:
    """The movements of accounts from a day on.

    Args:
        journal: Journal lines up to the last day.
        first: The first day.
        *keys: The columns to group by.

    Returns:
        The keys, opening_balance (debit − credit before the first day), debit and credit from it on, and
        closing_balance.
    """
    within = journal.entry_date >= first
    amount = journal.debit - journal.credit
    return journal.group_by(*keys).agg(
        opening_balance=_sum(amount, ~within),
        debit=_sum(journal.debit, within),
        credit=_sum(journal.credit, within),
        closing_balance=amount.sum(),
    )


def net_amounts(journal: ir.Table, spans: Sequence[tuple[date, date]]) -> list[dict[str, Any]]:
    """Debit − credit of each account and currency over spans of days: account_code, currency and `net`, by span."""
    amount = journal.debit - journal.credit
    sums = {str(n): _sum(amount, journal.entry_date.between(*span)) for n, span in enumerate(spans)}
    rows = journal.group_by(*ACCOUNT_KEY).agg(**sums).order_by("currency", "account_code").to_pyarrow().to_pylist()
    return [
        {"account_code": row["account_code"], "currency": row["currency"], "net": [row[name] for name in sums]}
        for row in rows
    ]


def late_entries(balances: ir.Table, trial: ir.Table, last: date) -> list[str]:
    """A note if the journal has changed since the last day was closed, with the accounts.

    Args:
        balances: account_code, currency and closing_balance of the journal.
        trial: The rows of trial_balance of the last day, for the same accounts.
        last: The last day.
    """
    reported = trial.select(*ACCOUNT_KEY, "balance")
    both = balances.outer_join(reported, ACCOUNT_KEY)
    gap = ibis.coalesce(both.closing_balance, ZERO) - ibis.coalesce(both.balance, ZERO)
    account = ibis.coalesce(both.account_code, both.account_code_right)
    apart = both.select(account=account, gap=gap)
    found = apart.filter(apart.gap != 0).order_by("account").to_pyarrow().to_pylist()
    if not found:
        return []
    names = ", ".join(f"{row['account']} by {row['gap']}" for row in found[:_NAMED])
    cut = f" ({in_period.first_of(_NAMED, len(found))})" if len(found) > _NAMED else ""
    return [
        f"The journal differs from the trial balance of {last} in {names}{cut}: entries were posted after the close;"
        f" close the day again with lending close --from {last} --to {last} --force."
    ]


def late_entries_of(source: ReportSource, last: date) -> list[str]:
    """The note of `late_entries` for all accounts."""
    balances = movements(journal_up_to(source, last), last, *ACCOUNT_KEY)
    return late_entries(balances, trial_of(source, last), last)


def trial_of(source: ReportSource, day: date) -> ir.Table:
    """The rows of trial_balance of a day."""
    trial = source.table("trial_balance")
    return trial.filter(trial.business_date == day)


def _sum(amount: ir.DecimalColumn, where: ir.BooleanColumn) -> ir.DecimalScalar:
    return ibis.coalesce(amount.sum(where=where), ibis.literal(0, "decimal(38, 2)"))
