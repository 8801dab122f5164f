"""The tree of ledger accounts: which accounts are below which, their order, and sums of all accounts below one.

This module computes with accounts only. ledger_tables.py reads journal lines.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

_NAMED = 20
"""The maximum number of accounts that a note names."""


@dataclass(frozen=True)
class Account:
    """A ledger account of gl_accounts. An account that only journal lines use has no name and no type."""

    code: str
    name: str | None = None
    account_type: str | None = None
    parent_code: str | None = None


@dataclass(frozen=True)
class AccountTree:
    """The accounts by code, with the parent of each. Parents that do not exist or that form a cycle are left out.

    Attributes:
        accounts: The accounts by code.
        parents: The parent of each account that has one.
        orphans: The accounts whose parent_code is not an account.
        cycles: The accounts of each cycle.
    """

    accounts: Mapping[str, Account]
    parents: Mapping[str, str]
    orphans: Sequence[str] = ()
    cycles: Sequence[Sequence[str]] = ()

    @classmethod
    def of(cls, rows: Collection[Mapping[str, Any]]) -> "AccountTree":
        """Build the tree from the rows of gl_accounts."""
        accounts = {
            row["account_code"]: Account(row["account_code"], row["name"], row["account_type"], row["parent_code"])
            for row in sorted(rows, key=lambda row: row["account_code"])
        }
        given = {code: account.parent_code for code, account in accounts.items() if account.parent_code}
        orphans = [code for code, parent in given.items() if parent not in accounts]
        parents = {code: parent for code, parent in given.items() if parent in accounts}
        cycles = _cycles(parents)
        for code in (code for cycle in cycles for code in cycle):
            del parents[code]
        return cls(accounts, parents, orphans, cycles)

    def without_parents_of_other_types(self) -> "AccountTree":
        """The same tree, without parents whose account type differs from that of the account."""
        types = {code: account.account_type for code, account in self.accounts.items()}
        parents = {code: parent for code, parent in self.parents.items() if types[code] == types[parent]}
        return AccountTree(self.accounts, parents, self.orphans, self.cycles)

    def account(self, code: str) -> Account:
        """The account; one without name and type if it is not in the chart of accounts."""
        return self.accounts.get(code) or Account(code)

    def above(self, code: str) -> Iterator[str]:
        """The accounts above an account, the nearest first."""
        while (parent := self.parents.get(code)) is not None:
            yield parent
            code = parent

    def summed(self, own: Mapping[str, Sequence[Decimal]]) -> dict[str, list[Decimal]]:
        """The amounts of each account plus those of all accounts below it. Accounts without any amounts are left out.

        Args:
            own: The amounts of each account itself.
        """
        sums: dict[str, list[Decimal]] = {}
        for code, amounts in own.items():
            for each in (code, *self.above(code)):
                before = sums.get(each)
                sums[each] = list(amounts) if before is None else [a + b for a, b in zip(before, amounts, strict=True)]
        return sums

    def ordered(self, codes: Collection[str]) -> list[tuple[str, int]]:
        """The accounts in order of printing with their level: 0 at the top, each account before those below it."""
        chosen, below = set(codes), self._below
        found: list[tuple[str, int]] = []
        rest = [(code, 0) for code in sorted(chosen, reverse=True) if code not in self.parents]
        while rest:
            code, level = rest.pop()
            found.append((code, level))
            rest += [(child, level + 1) for child in reversed(below.get(code, [])) if child in chosen]
        return found

    def notes(self) -> list[str]:
        """What is wrong with the parents in the chart of accounts."""
        notes = []
        if self.orphans:
            named = [f"{code} (parent_code {self.accounts[code].parent_code})" for code in self.orphans[:_NAMED]]
            more = f" and {len(self.orphans) - _NAMED} more" if len(self.orphans) > _NAMED else ""
            notes.append(
                "The parent of these accounts is not in gl_accounts, so no parent includes them:"
                f" {', '.join(named)}{more}."
            )
        notes += [
            f"These accounts are each other's parents, so the parent of each is ignored: {', '.join(cycle)}."
            for cycle in self.cycles
        ]
        return notes

    @cached_property
    def _below(self) -> dict[str, list[str]]:
        """The accounts directly below each account."""
        below: dict[str, list[str]] = {}
        for code, parent in self.parents.items():
            below.setdefault(parent, []).append(code)
        return below


def _cycles(parents: Mapping[str, str]) -> list[list[str]]:
    """The accounts of each cycle of parents, in order of their codes."""
    done: set[str] = set()
    found = []
    for start in parents:
        path: list[str] = []
        code: str | None = start
        while code is not None and code not in done and code not in path:
            path.append(code)
            code = parents.get(code)
        if code is not None and code not in done:
            found.append(sorted(path[path.index(code) :]))
        done.update(path)
    return found
