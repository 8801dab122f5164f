"""Tables of the balance sheet and the income statement: accounts by type and account group, and their totals.

Each amount is printed beside the same amount of an earlier day or period. This is not a report type.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd

from lending_pipelines.reports import columns, headlines, ledger_tables, no_data
from lending_pipelines.reports.account_tree import AccountTree
from lending_pipelines.reports.book import ReportColumn, ReportTable, Section
from lending_pipelines.reports.protocol import ReportSource

_SIGNS = {"asset": 1, "liability": -1, "equity": -1, "income": -1, "expense": 1}
"""The sign of the normal balance of each account type as debit − credit."""

_NO_TYPE = ""
_ACCOUNT = columns.lake_columns("trial_balance", "account_code", "name", "account_type", "currency")
_LINE = (ReportColumn("currency", "Currency", "text"), ReportColumn("line", "Line", "text"))
_MARK = "Difference"
_NOTHING = Decimal("0.00")

Amounts = list[Decimal]
"""The amount, then the same amount earlier if it is known."""

Lines = Mapping[str, Mapping[str, Amounts]]
"""By currency, the lines of a statement by name."""


@dataclass(frozen=True)
class Span:
    """A day or period: its printed name, and the days whose entries count."""

    name: str
    first: date
    last: date


@dataclass(frozen=True)
class Statement:
    """The balances of all accounts in a span and in an earlier one. A normal balance is positive.

    Attributes:
        tree: The accounts, each below accounts of the same type only.
        names: The names of the two spans.
        own: By currency, account type and account. Accounts that are not in gl_accounts have no type; their balances
            are debit − credit.
        known: How many of the two spans are known: 1 if the ledger begins after the earlier one.
        none: Why there are no balances.
    """

    tree: AccountTree
    names: tuple[str, str]
    own: Mapping[str, Mapping[str, Mapping[str, Amounts]]]
    known: int
    none: str

    def total(self, currency: str, account_type: str) -> Amounts:
        """The sum of all accounts of the type."""
        accounts = self.own[currency].get(account_type, {}).values()
        return [sum((amounts[n] for amounts in accounts), _NOTHING) for n in range(self.known)]

    def result(self, currency: str) -> Amounts:
        """Income less expenses."""
        return minus(self.total(currency, "income"), self.total(currency, "expense"))

    def notes(self) -> list[str]:
        """What is wrong with the chart of accounts."""
        lacking = [
            f"{code} ({amounts[0]} {currency})"
            for currency, types in self.own.items()
            for code, amounts in types.get(_NO_TYPE, {}).items()
        ]
        without = f"Accounts without an account type are in no section (debit − credit): {', '.join(lacking)}."
        return [*([without] if lacking else []), *self.tree.notes()]


def read(source: ReportSource, span: Span, earlier: Span) -> Statement:
    """The balances of the accounts. Those of the earlier span are unknown if the ledger begins after it."""
    begins = ledger_tables.first_entry(source)
    spans = [(span.first, span.last)]
    if begins is not None and begins <= earlier.last:
        spans.append((earlier.first, earlier.last))
    tree = ledger_tables.tree(source).without_parents_of_other_types()
    own: dict[str, dict[str, dict[str, Amounts]]] = {}
    for row in ledger_tables.net_amounts(ledger_tables.journal_up_to(source, span.last), spans):
        account_type = tree.account(row["account_code"]).account_type or _NO_TYPE
        amounts = [net if _SIGNS.get(account_type, 1) > 0 else _NOTHING - net for net in row["net"]]
        own.setdefault(row["currency"], {}).setdefault(account_type, {})[row["account_code"]] = amounts
    none = no_data.reason(source, ["journal_lines"], f"the ledger has no entries up to {span.last}")
    return Statement(tree, (span.name, earlier.name), own, len(spans), none)


def by_group(title: str, statement: Statement, sections: Mapping[str, str], result_below: str = "") -> ReportTable:
    """The accounts in the order of the tree, each including the accounts below it, and the total of each section.

    Accounts whose amounts are all 0 are left out.

    Args:
        title: The title of the table.
        statement: The balances.
        sections: The title of each section by account type.
        result_below: The account type whose section ends with the result; empty for none.
    """
    listed: list[dict[str, Any]] = []
    parts = []
    for currency in statement.own:
        for account_type, name in sections.items():
            begun, total = len(listed), statement.total(currency, account_type)
            own = statement.own[currency].get(account_type, {})
            sums = statement.tree.summed({code: amounts for code, amounts in own.items() if any(amounts)})
            for code, level in statement.tree.ordered(sums):
                label = "\u2003" * level + (statement.tree.account(code).name or "")
                key = {"account_code": code, "name": label, "account_type": account_type, "currency": currency}
                listed.append(key | _compared(sums[code]))
            if account_type == result_below:
                result = statement.result(currency)
                key = {"name": "Result, not transferred to equity", "account_type": account_type, "currency": currency}
                listed.append(key | _compared(result))
                total = plus(total, result)
            after = {"name": f"Total {name.lower()}", **_compared(total)}
            parts.append(Section(f"{name}, {currency}", len(listed) - begun, {}, after))
    printed = (*_ACCOUNT, *_amounts(statement))
    return ReportTable(
        title,
        printed,
        _frame(listed, printed),
        no_data=statement.none,
        sections=tuple(parts) if listed else (),
        unprinted=("account_type", "currency"),
        for_readers=True,
    )


def lines(statement: Statement, by_currency: Lines) -> ReportTable:
    """The lines of each currency, such as the total of the assets. A line `Difference` that is not 0 is marked."""
    listed = [
        {"currency": currency, "line": "No difference" if name == _MARK and not any(amounts) else name}
        | _compared(amounts)
        for currency, named in by_currency.items()
        for name, amounts in named.items()
    ]
    printed = (*_LINE, *_amounts(statement))
    return ReportTable("Totals", printed, _frame(listed, printed), no_data=statement.none, marked=("line", _MARK))


def by_account(statement: Statement, account_types: Sequence[str]) -> ReportTable:
    """The accounts of these types, and those without a type, each with its own balance only."""
    listed = [
        {
            "account_code": code,
            "name": statement.tree.account(code).name,
            "account_type": account_type or None,
            "currency": currency,
            **_compared(amounts),
        }
        for currency, types in statement.own.items()
        for account_type in (*account_types, _NO_TYPE)
        for code, amounts in sorted(types.get(account_type, {}).items())
    ]
    printed = (*_ACCOUNT, *_amounts(statement))
    return ReportTable("Accounts", printed, _frame(listed, printed), no_data=statement.none, printed_rows=0)


def headline_numbers(by_currency: Lines) -> ReportTable | None:
    """The lines as headline numbers."""
    names = [name for named in by_currency.values() for name in named]
    printed = [ReportColumn("currency", "Currency", "text"), *(ReportColumn(name, name, "money") for name in names)]
    rows = [
        {"currency": currency, **{name: amounts[0] for name, amounts in named.items()}}
        for currency, named in by_currency.items()
    ]
    return headlines.of_rows(printed, rows)


def summary(by_currency: Lines) -> dict[str, dict[str, str]]:
    """The lines as JSON values."""
    return {
        currency: {
            name.lower().replace(", ", "_").replace(" ", "_"): str(amounts[0]) for name, amounts in named.items()
        }
        for currency, named in by_currency.items()
    }


def plus(left: Amounts, right: Amounts) -> Amounts:
    """The sums of the amounts."""
    return [a + b for a, b in zip(left, right, strict=True)]


def minus(left: Amounts, right: Amounts) -> Amounts:
    """The differences of the amounts."""
    return [a - b for a, b in zip(left, right, strict=True)]


def _compared(amounts: Amounts) -> dict[str, Decimal | None]:
    """The amount, the earlier amount and the change, by column name."""
    now, before = amounts[0], amounts[1] if len(amounts) > 1 else None
    return {"amount": now, "before": before, "change": None if before is None else now - before}


def _amounts(statement: Statement) -> tuple[ReportColumn, ...]:
    """The columns of the values of `_compared`."""
    now, before = statement.names
    return (
        ReportColumn("amount", now, "money"),
        ReportColumn("before", before, "money"),
        ReportColumn("change", "Change", "money"),
    )


def _frame(rows: Sequence[Mapping[str, Any]], printed: Sequence[ReportColumn]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[column.name for column in printed], dtype=object)
