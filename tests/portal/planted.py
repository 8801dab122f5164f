"""Hostile texts with the mark of their owner in every text of the servicing tables except ids and codes.

An answer with the mark of another owner leaks. An answer in which the text is markup or a formula runs it.
"""

import re

import ibis
import pyarrow as pa
from homes import Home
from people import Book

_HOSTILE = "=1+1 <script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{{{7*7}}}}\u202e planted:{kind}:{owner}:"
_MARK = re.compile(r"planted:(\w+):([^:]+):")

# By table: its columns with texts, the kind of their owner, and the column with the owner's id.
_TEXTS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "branches": (("name", "region"), "branch", "branch_id"),
    "staff": (("full_name", "email"), "staff", "staff_id"),
    "programs": (("name",), "everybody", "program_id"),
    "products": (("name", "product_type"), "everybody", "product_id"),
    "loans": (("purpose", "region"), "loan", "loan_id"),
    "transactions": (("channel",), "loan", "loan_id"),
    "collection_assignments": (("queue",), "work", "loan_id"),
    "collection_contacts": (("queue", "channel"), "work", "loan_id"),
    "promises_to_pay": (("queue",), "work", "loan_id"),
    "compliance_checks": (("rule_name", "category", "detail"), "work", "loan_id"),
    "gl_accounts": (("name",), "lender", "account_code"),
    "journal_lines": (("memo",), "lender", "entry_id"),
    "users": (("segment",), "user", "user_id"),
    "wallets": (("asset_type",), "user", "user_id"),
    "tickets": (("asset_type",), "user", "user_id"),
    "gateway_payments": (("reference",), "user", "user_id"),
    "portfolio_membership": (("portfolio_name",), "portfolio", "portfolio_id"),
    "loan_ownership": (("investor_name",), "investor", "investor_id"),
    "trial_balance": (("name",), "lender", "account_code"),
}


def plant(home: Home) -> None:
    """Put the texts into the lake of the home."""
    from lending_pipelines.tables import TABLES

    with home.lake() as lake:
        for table, (columns, kind, owner) in _TEXTS.items():
            rows = lake.table(table).to_pyarrow().to_pylist()
            for row in rows:
                row |= dict.fromkeys(columns, _HOSTILE.format(kind=kind, owner=row[owner]))
            made = pa.Table.from_pylist(rows, schema=TABLES[table].arrow_schema)
            lake.replace(table, ibis.memtable(made))
        rows = lake.table("portfolio_snapshots").to_pyarrow().to_pylist()
        for row in rows:
            row["name"] = _HOSTILE.format(kind=f"sum_{row['scope']}", owner=row["scope_id"])
        made = pa.Table.from_pylist(rows, schema=TABLES["portfolio_snapshots"].arrow_schema)
        lake.replace("portfolio_snapshots", ibis.memtable(made))


def marks_in(text: str) -> set[tuple[str, str]]:
    """The kind and owner of the marks in a text."""
    return set(_MARK.findall(text))


def foreign_marks(text: str, book: Book, person: str) -> set[tuple[str, str]]:
    """The kind and owner of the marks in a text that the person may not see."""
    return {mark for mark in marks_in(text) if not _may_see(person, *mark, book)}


def _may_see(person: str, kind: str, owner: str, book: Book) -> bool:
    if person in ("admin", "auditor", "controller") or kind == "everybody":
        # Controllers do not have the pages of the platform.
        return kind != "user" or person != "controller"
    own = book.own[person]
    match kind:
        case "loan":
            return owner in {row["loan_id"] for row in own}
        case "work":
            return person in ("manager", "officer") and owner in {row["loan_id"] for row in own}
        case "branch" | "portfolio":
            return owner in {row[f"{kind}_id"] for row in own}
        case "staff":
            return owner in {"manager": book.team, "officer": {book.officer}}.get(person, set())
        case "user":
            return person == "customer" and (owner, book.customer) in {
                (user["user_id"], user["borrower_id"]) for user in book.users
            }
        case "investor" | "sum_investor":
            return person == "investor" and owner == book.investor
    return False
