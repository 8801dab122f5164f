"""trial_balance: every account's opening balance, debits, credits and closing balance of a period."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from lending_pipelines.metrics.money import ZERO
from lending_pipelines.reports import columns, currency_charts, headlines, ledger_tables, no_data
from lending_pipelines.reports.account_tree import AccountTree
from lending_pipelines.reports.book import ReportBook, ReportColumn, ReportTable, Section
from lending_pipelines.reports.parameters import InPeriod, KnownAt
from lending_pipelines.reports.periods import Period
from lending_pipelines.reports.protocol import ReportSource, report_book

_ACCOUNT = columns.lake_columns("trial_balance", "account_code", "name", "account_type", "currency")
_SIDES = (
    ReportColumn("opening_debit", "Opening debit", "money"),
    ReportColumn("opening_credit", "Opening credit", "money"),
    *columns.lake_columns("journal_lines", "debit", "credit"),
    ReportColumn("debit_balance", "Closing debit", "money"),
    ReportColumn("credit_balance", "Closing credit", "money"),
)
_NET = (
    ReportColumn("opening_balance", "Opening balance", "money"),
    *columns.lake_columns("journal_lines", "debit", "credit"),
    ReportColumn("closing_balance", "Closing balance", "money"),
)
_COLUMNS = (*_ACCOUNT, *_SIDES)
_BRANCH = (*columns.lake_columns("journal_lines", "branch_id"), ReportColumn("branch_name", "Branch", "text"))
_NO_BRANCH = "no branch"
_DIFFERENCE = ReportColumn("difference", "Debits − credits", "money")
_STATE = ReportColumn("state", "State", "text")
_NOT_BALANCED = "does not balance"

_NORMAL_SIDE = {"asset": 1, "liability": -1, "equity": -1, "income": -1, "expense": 1}
"""The types of accounts in the order of a trial balance, with the sign of their normal balance as debit − credit."""

_BY_TYPE = (
    ReportColumn("currency", "Currency", "text"),
    ReportColumn("account_type", "Account type", "text"),
    ReportColumn("accounts", "Accounts", "count"),
    *_SIDES[4:],
    ReportColumn("balance", "Balance on the normal side", "money"),
)
_TYPES = (
    ReportColumn("currency", "Currency", "text"),
    *(
        ReportColumn(name, label, "money")
        for name, label in (
            ("asset", "Assets"),
            ("liability", "Liabilities"),
            ("equity", "Equity"),
            ("income", "Income"),
            ("expense", "Expenses"),
        )
    ),
    _DIFFERENCE,
)


class TrialBalanceParameters(KnownAt, InPeriod):
    """The form of trial_balance."""


class TrialBalance:
    """Sums journal_lines by account, account group and branch; closing balances are those of trial_balance."""

    report_type = "trial_balance"
    title = "Trial balance"
    description = (
        "Opening balance, debits, credits and closing balance of every ledger account over a period, by branch."
    )
    reads = ("trial_balance", "journal_lines", "gl_accounts", "branches", "period_locks")
    parameters = TrialBalanceParameters

    def covers(self, parameters: TrialBalanceParameters, source: ReportSource) -> list[date]:
        """The last day, if it is closed. Its trial balance includes every journal line up to that day."""
        return ledger_tables.covered(source, ledger_tables.period_of(parameters, source, self.reads).last)

    def generate(self, parameters: TrialBalanceParameters, source: ReportSource) -> ReportBook:
        """The report. LendingError if the last day is not closed."""
        period = ledger_tables.period_of(parameters, source, self.reads)
        journal, tree = ledger_tables.journal_up_to(source, period.last), ledger_tables.tree(source)
        rows = _with_sides(ledger_tables.movements(journal, period.first, *ledger_tables.ACCOUNT_KEY))
        rows = _named(source, rows)
        none = no_data.reason(source, ["journal_lines"], f"the ledger has no entries up to {period.last}")
        totals = columns.totals_by_currency(rows, _COLUMNS)
        accounts = ReportTable(
            self.title, _COLUMNS, _frame(rows.order_by("currency", "account_code"), _COLUMNS), totals, no_data=none
        )
        types = _types(rows, none)
        branches = _branches(source, journal, period)
        alerts = [*_unbalanced(totals), *_unbalanced_branches(branches)]
        return report_book(
            self,
            parameters,
            source,
            period.last,
            period.display,
            [accounts, *_groups(rows, tree), types, *branches, *_locks(source)],
            currency_charts.bars("Closing balances by type of account", types, "account_type", "balance"),
            notes=[
                *alerts,
                *ledger_tables.late_entries(rows, ledger_tables.trial_of(source, period.last), period.last),
                *tree.notes(),
                *_locked(source, period),
            ],
            headlines=headlines.of_rows(_TYPES, _by_type(rows), [column.name for column in _TYPES[1:]]),
            summary={row["currency"]: columns.headline(row, [column.name for column in _SIDES]) for row in totals},
            alerts=alerts,
        )


def _named(source: ReportSource, rows: ir.Table) -> ir.Table:
    """The rows with the name and type of their account, null for accounts that are not in gl_accounts."""
    return rows.left_join(source.table("gl_accounts").select("account_code", "name", "account_type"), "account_code")


def _with_sides(movements: ir.Table) -> ir.Table:
    """The movements with opening and closing balances as debit or credit balances."""
    return movements.mutate(
        opening_debit=ibis.greatest(movements.opening_balance, ZERO),
        opening_credit=ibis.greatest(-movements.opening_balance, ZERO),
        debit_balance=ibis.greatest(movements.closing_balance, ZERO),
        credit_balance=ibis.greatest(-movements.closing_balance, ZERO),
    )


def _frame(rows: ir.Table, printed: Sequence[ReportColumn]) -> pd.DataFrame:
    return columns.frame(rows.select(*(column.name for column in printed)))


def _groups(rows: ir.Table, tree: AccountTree) -> list[ReportTable]:
    """The accounts in the order of the tree, each including those below it; no table if no account is below another."""
    if not tree.parents:
        return []
    names = [column.name for column in _NET]
    by_currency: dict[str, dict[str, list[Decimal]]] = {}
    for row in rows.select(*ledger_tables.ACCOUNT_KEY, *names).order_by("currency").to_pyarrow().to_pylist():
        by_currency.setdefault(row["currency"], {})[row["account_code"]] = [row[name] for name in names]
    listed, sections = [], []
    for total in columns.totals_by_currency(rows, _NET):
        currency = total["currency"]
        sums = tree.summed(by_currency[currency])
        places = tree.ordered(sums)
        listed += [
            {
                "account_code": code,
                "name": "\u2003" * level + (tree.account(code).name or ""),
                "account_type": tree.account(code).account_type,
                "currency": currency,
                **dict(zip(names, sums[code], strict=True)),
            }
            for code, level in places
        ]
        sections.append(Section(currency, len(places), {}, {"account_code": f"Total {currency}", **total}))
    printed = (*_ACCOUNT, *_NET)
    frame = pd.DataFrame(listed, columns=[column.name for column in printed], dtype=object)
    return [
        ReportTable(
            "By account group",
            printed,
            frame,
            no_data="the ledger has no entries",
            sections=tuple(sections),
            unprinted=("currency",),
            for_readers=True,
        )
    ]


def _types(rows: ir.Table, none: str) -> ReportTable:
    """The accounts of each type together, with totals per currency."""
    order = {name: place for place, name in enumerate(_NORMAL_SIDE)}
    sums = rows.group_by("currency", "account_type").agg(
        accounts=rows.count(), debit_balance=rows.debit_balance.sum(), credit_balance=rows.credit_balance.sum()
    )
    side = sums.account_type.cases(*_NORMAL_SIDE.items(), else_=1)
    sums = sums.mutate(balance=(sums.debit_balance - sums.credit_balance) * side)
    place = sums.account_type.cases(*order.items(), else_=len(order))
    totals = columns.totals_by_currency(sums, _BY_TYPE, ("accounts", "debit_balance", "credit_balance"))
    printed = _frame(sums.order_by("currency", place, "account_type"), _BY_TYPE)
    return ReportTable("By type of account", _BY_TYPE, printed, totals, no_data=none, for_readers=True)


def _by_type(rows: ir.Table) -> list[dict[str, Any]]:
    """Per currency the closing balance of each type of account on its normal side."""
    sums = {
        name: ibis.coalesce(rows.closing_balance.sum(where=rows.account_type == name), ZERO) * side
        for name, side in _NORMAL_SIDE.items()
    }
    totals = rows.group_by("currency").agg(**sums, difference=rows.closing_balance.sum()).order_by("currency")
    return totals.to_pyarrow().to_pylist()


def _branches(source: ReportSource, journal: ir.Table, period: Period) -> list[ReportTable]:
    """The branches with their totals, and their accounts; no tables if no journal line has a branch."""
    if not journal.branch_id.notnull().any().to_pyarrow().as_py():
        return []
    keys = ("branch_id", *ledger_tables.ACCOUNT_KEY)
    rows = _with_sides(ledger_tables.movements(journal, period.first, *keys))
    rows = rows.left_join(source.table("branches").select("branch_id", branch_name="name"), "branch_id")
    rows = _named(source, rows)
    unnamed = ibis.coalesce(rows.branch_id, ibis.literal(_NO_BRANCH))
    rows = rows.mutate(branch_name=ibis.coalesce(rows.branch_name, unnamed))
    order = ["currency", rows.branch_id.asc(nulls_first=False), "account_code"]
    accounts = _frame(rows.order_by(*order), (*_BRANCH, *_COLUMNS))
    sums = rows.group_by(*(column.name for column in _BRANCH), "currency").agg(
        **{column.name: rows[column.name].sum() for column in _SIDES}, difference=rows.closing_balance.sum()
    )
    # An entry between two branches leaves both of them unbalanced.
    moved = sums.debit != sums.credit
    sums = sums.mutate(
        state=((sums["difference"] != 0) | moved).ifelse(ibis.literal(_NOT_BALANCED), ibis.literal("balances"))
    )
    printed = (*_BRANCH, ReportColumn("currency", "Currency", "text"), *_SIDES, _DIFFERENCE, _STATE)
    totals = _frame(sums.order_by("currency", sums.branch_id.asc(nulls_first=False)), printed)
    sizes = accounts.groupby(["currency", "branch_id"], dropna=False, sort=False).size().tolist()
    sections = tuple(
        Section(
            f"{row['branch_name']}, {row['currency']}",
            size,
            {},
            {"account_code": "Total", **{column.name: row[column.name] for column in _SIDES}},
        )
        for row, size in zip(totals.to_dict("records"), sizes, strict=True)
    )
    return [
        ReportTable("Branches", printed, totals, marked=("state", _NOT_BALANCED), for_readers=True),
        ReportTable(
            "By branch",
            (*_BRANCH, *_COLUMNS),
            accounts,
            columns.totals_by_currency(rows, _COLUMNS),
            sections=sections,
            unprinted=("branch_id", "branch_name", "currency"),
        ),
    ]


def _unbalanced(totals: Sequence[dict[str, Any]]) -> list[str]:
    """What does not balance, per currency."""
    pairs = (
        ("opening balances", "opening_debit", "opening_credit"),
        ("entries of the period", "debit", "credit"),
        ("closing balances", "debit_balance", "credit_balance"),
    )
    return [
        f"The {row['currency']} {what} do not balance: debits − credits = {row[debit] - row[credit]}."
        for row in totals
        for what, debit, credit in pairs
        if row[debit] != row[credit]
    ]


def _unbalanced_branches(branches: Sequence[ReportTable]) -> list[str]:
    """The branches that do not balance, per currency."""
    if not branches:
        return []
    return [
        f"Branch {row['branch_name']} does not balance in {row['currency']}: closing debits − credits ="
        f" {row['difference']}, debits − credits of the period = {row['debit'] - row['credit']}."
        for row in branches[0].frame.to_dict("records")
        if row["state"] == _NOT_BALANCED
    ]


def _locks(source: ReportSource) -> list[ReportTable]:
    """The closed accounting periods: the locks in force, the latest first; no table if there is none."""
    printed = (
        columns.lake_column("period_locks", "period_end", "Closed up to"),
        columns.lake_column("period_locks", "locked_at", "Closed at (UTC)"),
    )
    frame = _frame(source.table("period_locks").order_by(ibis.desc("period_end")), printed)
    return [] if frame.empty else [ReportTable("Closed accounting periods", printed, frame, for_readers=True)]


def _locked(source: ReportSource, period: Period) -> list[str]:
    """A note on which days of the period are in a closed accounting period."""
    last = source.table("period_locks").period_end.max().to_pyarrow().as_py()
    if last is None or last < period.first:
        return ["The accounting period is open: its days can change."]
    if last >= period.last:
        return [f"The accounting period is closed: all days up to {last} are locked."]
    return [f"The days up to {last} are in a closed accounting period; the days after it can change."]


generator = TrialBalance()
