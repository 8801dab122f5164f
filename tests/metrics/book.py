"""A small book of loans to work examples on: rows as a servicing system would add them, read by metrics as tables."""

import weakref
from collections import defaultdict
from copy import deepcopy
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import ibis
import pyarrow as pa

from lending_pipelines.conventions import Conventions
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.metrics.managers import manager_snapshots
from lending_pipelines.metrics.portfolios import portfolio_snapshots
from lending_pipelines.metrics.positions import loan_positions
from lending_pipelines.tables import DERIVED, TABLES


def day(text):
    return date.fromisoformat(text)


def posted(on):
    """The instant at which an event of that day was posted, unless it says otherwise: noon UTC."""
    return datetime.combine(on, time(12))


class Book:
    """Rows by table; `read` gives a table as Ibis, empty when nothing was added."""

    def __init__(self):
        self._rows = defaultdict(list)
        self._number = 0
        engine = DuckDBEngine(threads=1)
        self.backend = engine.backend
        weakref.finalize(self, engine.close)
        self._tables = {}

    def add(self, table, **values):
        row = dict.fromkeys(TABLES[table].names) | values
        assert set(row) == set(TABLES[table].names), set(row) - set(TABLES[table].names)
        self._rows[table].append(row)
        self._tables.pop(table, None)

    def copy(self):
        """A book of its own with the same rows."""
        copy = Book()
        copy._rows, copy._number = deepcopy(self._rows), self._number
        return copy

    @property
    def rows(self):
        """The rows added so far, by table."""
        return self._rows

    def read(self, table):
        if table not in self._tables:
            rows = pa.Table.from_pylist(self._rows[table], schema=TABLES[table].arrow_schema)
            self._tables[table] = ibis.memtable(rows)
        return self._tables[table]

    def _next(self):
        self._number += 1
        return self._number

    def loan(self, loan_id, disbursed_on, principal, schedule, disbursed=True, **values):
        """A loan with a schedule of (due_on, principal, interest), disbursed in full on disbursed_on or not yet."""
        on = day(disbursed_on)
        terms = {
            "loan_id": loan_id,
            "borrower_id": f"B-{loan_id}",
            "product_id": "P1",
            "branch_id": "BR1",
            "officer_id": "O1",
            "currency": "USD",
            "principal": Decimal(principal),
            "annual_rate": Decimal("0.12"),
            "day_count": "30/360",
            "term_count": len(schedule),
            "payment_frequency": "monthly",
            "approved_on": on,
            "disbursed_on": on,
            "posted_at": posted(on),
            "updated_at": posted(on),
        }
        self.add("loans", **terms | values)
        self.schedule(loan_id, 1, disbursed_on, schedule)
        if disbursed:
            self.txn(loan_id, "disbursement", disbursed_on, principal=principal)

    def schedule(self, loan_id, version, effective_on, installments, posted_at=None):
        for number, (due_on, principal, interest) in enumerate(installments, 1):
            self.add(
                "installments",
                loan_id=loan_id,
                version=version,
                number=number,
                due_on=day(due_on),
                principal=Decimal(principal),
                interest=Decimal(interest),
                fees=Decimal(0),
                effective_on=day(effective_on),
                posted_at=posted_at or posted(day(effective_on)),
            )

    def txn(self, loan_id, type_, on, principal="0", interest="0", fees="0", *, posted_at=None, reverses=None):
        """A transaction; returns its id."""
        transaction_id = f"T{self._next()}"
        split = [Decimal(value) for value in (principal, interest, fees)]
        self.add(
            "transactions",
            transaction_id=transaction_id,
            loan_id=loan_id,
            type=type_,
            effective_on=day(on),
            posted_at=posted_at or posted(day(on)),
            amount=sum(split),
            principal=split[0],
            interest=split[1],
            fees=split[2],
            reverses_id=reverses,
        )
        return transaction_id

    def reverse(self, transaction_id, on, **kwargs):
        """A reversal of the whole transaction; returns its id."""
        target = next(row for row in self._rows["transactions"] if row["transaction_id"] == transaction_id)
        split = {name: str(target[name]) for name in ("principal", "interest", "fees")}
        return self.txn(target["loan_id"], "reversal", on, **split, reverses=transaction_id, **kwargs)

    def positions(self, first, last=None, known_at=None, **conventions):
        """Positions of the days first..last, as dicts by (day as text, loan_id), in that order."""
        table = loan_positions(self.read, day(first), day(last or first), Conventions(**conventions), known_at)
        rows = self.backend.to_pyarrow(table).to_pylist()
        by_key = {(str(row["business_date"]), row["loan_id"]): row for row in rows}
        by_key = dict(sorted(by_key.items()))
        assert len(by_key) == len(rows)
        return by_key

    def table(self, name, expression):
        """The rows of a derived table's expression, in its own columns and types, in the order of its key."""
        table = DERIVED[name]
        rows = expression.select(*table.names).cast(table.schema).order_by(*table.key)
        return self.backend.to_pyarrow(rows).to_pylist()

    def snapshots(self, first, last=None, positions=None, **conventions):
        """portfolio_snapshots of the days first..last, as dicts by (day as text, scope, scope_id, currency).

        They are of these positions, which are computed unless they are given.
        """
        days, conventions = (day(first), day(last or first)), Conventions(**conventions)
        memo = memo_of(positions) if positions else self.memo(first, last)
        expression = portfolio_snapshots(memo, self.read, *days, conventions)
        rows = self.table("portfolio_snapshots", expression)
        return {(str(row["business_date"]), row["scope"], row["scope_id"], row["currency"]): row for row in rows}

    def managers(self, first, last=None, positions=None, **conventions):
        """manager_snapshots of the days first..last, as dicts by (day as text, manager_id, currency).

        They are of these positions, which are computed unless they are given.
        """
        days, chosen = (day(first), day(last or first)), Conventions(**conventions)
        memo = memo_of(positions) if positions else self.memo(first, last, **conventions)
        expression = manager_snapshots(memo, self.read, *days, chosen)
        rows = self.table("manager_snapshots", expression)
        return {(str(row["business_date"]), row["manager_id"], row["currency"]): row for row in rows}

    def memo(self, first, last=None, **conventions):
        """Positions of the days first..last, computed once, as a table."""
        return memo_of(self.positions(first, last, **conventions))

    def position(self, on, loan_id="L1", known_at=None, **conventions):
        return self.positions(on, known_at=known_at, **conventions)[on, loan_id]


def memo_of(positions):
    """Positions as a table."""
    rows = list(positions.values())
    return ibis.memtable(pa.Table.from_pylist(rows, schema=DERIVED["loan_positions"].arrow_schema))


SCHEDULE = [("2025-02-10", "500", "10"), ("2025-03-10", "500", "5")]


def usual(book, loan_id="L1", **values):
    """The usual loan: 1,000.00 lent on 10 January 2025 at 12 %, due 510.00 on 10 February and 505.00 on 10 March."""
    book.loan(loan_id, "2025-01-10", "1000", SCHEDULE, **values)


def pay(book, on, principal="500", interest="10", loan_id="L1", **values):
    """A repayment, of the usual loan's first installment unless said otherwise; returns its id."""
    return book.txn(loan_id, "repayment", on, principal, interest, **values)


def column(positions, name, loan_id="L1"):
    """A loan's values of one column by day, money and rates as text."""
    found = {on: row[name] for (on, loan), row in positions.items() if loan == loan_id}
    return {on: str(value) if isinstance(value, Decimal) else value for on, value in found.items()}


def picked(row, *names):
    """Some of a row's values, as text."""
    return {name: str(row[name]) for name in names}


def each_day(first, last):
    """Every date from first to last, inclusive."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
