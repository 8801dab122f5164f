"""Templates of SQL (lake/engines/compiled_sql.py) against what Ibis compiles.

After an upgrade of Ibis, look whether the arguments of its operations are of other types: `_printer` names those whose
text tells everything that the SQL depends on.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pytest
from ibis.backends.duckdb import Backend
from ibis.util import gen_name

from lending_pipelines.conventions import Conventions
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.lake.engines.compiled_sql import KEPT, SqlTemplates
from lending_pipelines.lake.engines.fast_graph import all_below
from lending_pipelines.lake.engines.fast_ibis import ORIGINALS
from lending_pipelines.metrics import delinquency, ledger, managers, platform, portfolios, positions
from lending_pipelines.tables import TABLES

FRIDAY, SATURDAY = date(2025, 3, 14), date(2025, 3, 15)
LOANS = {"loan_id": "string", "amount": "decimal(18, 2)", "opened_on": "date", "posted_at": "timestamp(6)"}

_compile = next(function for owner, name, function in ORIGINALS if (owner, name) == (Backend, "compile"))
backend = ibis.duckdb.connect()


def by_ibis(rows: ir.Table) -> str:
    return sorted_names(_compile(backend, rows))


def sorted_names(sql: str) -> str:
    """The SQL with the names after EXCLUDE in order: Ibis has them in a set."""
    return re.sub(r"EXCLUDE \(([^)]*)\)", lambda found: f"EXCLUDE ({', '.join(sorted(found[1].split(', ')))})", sql)


def stored(name: str = "loans", schema: Any = LOANS) -> ir.Table:
    """A view with a generated name, as the engine makes one for each version of a table."""
    return ops.DatabaseTable(gen_name(name), schema=ibis.schema(schema), source=backend).to_expr()


def read(name: str) -> ir.Table:
    return stored(name, TABLES[name].schema)


class Counted:
    """Templates, and how many expressions were compiled because there was no template."""

    def __init__(self) -> None:
        self.templates = SqlTemplates()
        self.compiled = 0

    def sql(self, rows: ir.Table) -> str:
        def compile(node: Any) -> str:
            self.compiled += 1
            return _compile(backend, node.to_expr())

        return sorted_names(self.templates.sql(*all_below(rows.op()), compile))


@pytest.fixture
def counted() -> Counted:
    return Counted()


DAILY: dict[str, Callable[[date, date], ir.Table]] = {
    "loan_positions": lambda first, last: positions.loan_positions(read, first, last, Conventions()),
    "aging_transitions": lambda first, last: delinquency.aging_transitions(
        read("loan_positions"), first, last, Conventions()
    ),
    "portfolio_snapshots": lambda first, last: portfolios.portfolio_snapshots(
        read("loan_positions"), read, first, last, Conventions()
    ),
    "manager_snapshots": lambda first, last: managers.manager_snapshots(
        read("loan_positions"), read, first, last, Conventions()
    ),
    "platform_activity": lambda first, last: platform.platform_activity(
        read("loan_positions"), read, first, last, "Asia/Tashkent"
    ),
    "ledger_tieouts": lambda first, last: ledger.ledger_tieouts(
        read("loan_positions"), read("trial_balance"), read("journal_lines"), read("gl_accounts"), first, last
    ),
}


@pytest.mark.parametrize("name", DAILY)
def test_the_next_day_is_not_compiled_and_has_the_same_sql(name, counted):
    counted.sql(DAILY[name](FRIDAY, FRIDAY))
    saturday = DAILY[name](SATURDAY, SATURDAY)
    assert counted.sql(saturday) == by_ibis(saturday)
    assert counted.compiled == 1
    both = DAILY[name](FRIDAY, SATURDAY)
    assert counted.sql(both) == by_ibis(both)


def test_times_of_the_same_expression_are_exchanged(counted):
    def known(at: datetime) -> ir.Table:
        loans = stored()
        return loans.filter(loans.posted_at <= ibis.literal(at, "timestamp(6)"))

    for at in (datetime(2025, 3, 14, 23, 59, 59), datetime(2025, 3, 15, 0, 0, 0, 250_000), datetime(2025, 1, 1)):
        rows = known(at)
        assert counted.sql(rows) == by_ibis(rows)
    assert counted.compiled == 1


def test_a_day_given_twice_and_two_days_are_two_expressions(counted):
    def opened(first: date, last: date) -> ir.Table:
        loans = stored()
        return loans.filter(loans.opened_on.between(ibis.literal(first), ibis.literal(last)))

    for first, last in ((FRIDAY, FRIDAY), (FRIDAY, SATURDAY), (SATURDAY, FRIDAY), (SATURDAY, SATURDAY)):
        rows = opened(first, last)
        assert counted.sql(rows) == by_ibis(rows)
    assert counted.compiled == 2


def test_columns_that_ibis_names_after_a_view_have_the_name_of_the_present_view(counted):
    def sizes() -> ir.Table:
        loans = stored()
        return loans.aggregate(loans.count())

    for rows in (sizes(), sizes()):
        assert counted.sql(rows) == by_ibis(rows)
        assert rows.columns[0] in counted.sql(rows)
    assert counted.compiled == 1


loans = stored()
ALIKE: dict[str, tuple[ir.Table, ir.Table]] = {
    "number": (loans.filter(loans.amount > 1), loans.filter(loans.amount > 2)),
    "number and truth": (loans.mutate(kept=ibis.literal(1)), loans.mutate(kept=ibis.literal(True))),
    "type of a number": (loans.mutate(kept=ibis.literal(1, "int8")), loans.mutate(kept=ibis.literal(1, "int64"))),
    "text": (loans.filter(loans.loan_id == "L1"), loans.filter(loans.loan_id == "L2")),
    "text and its parts": (
        loans.filter(loans.loan_id.isin(["a", "b"])),
        loans.filter(loans.loan_id.isin(["a','b"])),
    ),
    "name of a column": (loans.mutate(kept=loans.amount), loans.mutate(left=loans.amount)),
    "order of columns": (loans.select("loan_id", "amount"), loans.select("amount", "loan_id")),
    "dropped columns": (loans.drop("amount", "opened_on"), loans.drop("amount", "posted_at")),
    "operation": (loans.filter(loans.amount > 1), loans.filter(loans.amount >= 1)),
    "operands": (loans.mutate(left=loans.amount - 1), loans.mutate(left=1 - loans.amount)),
    "join": (loans.inner_join(loans.view(), "loan_id"), loans.left_join(loans.view(), "loan_id")),
    "table": (
        ibis.table(LOANS, "loans"),
        ibis.table(LOANS, "accounts"),
    ),
    "catalog": (ibis.table(LOANS, "loans", database="a"), ibis.table(LOANS, "loans", database="b")),
    "columns of a view": (
        stored(schema={"loan_id": "string", "amount": "int64"}).drop("amount"),
        stored(schema={"loan_id": "string", "size": "int64"}).drop("size"),
    ),
    "one view and two": (
        loans.semi_join(loans.filter(loans.amount > 1), "loan_id"),
        loans.semi_join((lambda other: other.filter(other.amount > 1))(stored()), "loan_id"),
    ),
    "day and time": (
        loans.filter(loans.posted_at > ibis.literal(FRIDAY)),
        loans.filter(loans.posted_at > ibis.literal(datetime(2025, 3, 14))),
    ),
    "descending": (loans.order_by("amount"), loans.order_by(ibis.desc("amount"))),
    "limit": (loans.limit(1), loans.limit(2)),
    "function": (loans.mutate(kept=loans.amount.sum()), loans.mutate(kept=loans.amount.max())),
    "frame": (
        loans.mutate(kept=loans.amount.sum().over(rows=(-1, 0), order_by="loan_id")),
        loans.mutate(kept=loans.amount.sum().over(rows=(-2, 0), order_by="loan_id")),
    ),
}


@pytest.mark.parametrize("name", ALIKE)
def test_an_expression_that_differs_in_more_than_days_and_names_is_compiled(name, counted):
    for rows in ALIKE[name]:
        assert counted.sql(rows) == by_ibis(rows)
    assert counted.compiled == 2


def test_a_value_of_another_type_is_compiled_each_time(counted):
    for _ in range(2):
        rows = loans.mutate(number=ibis.literal(UUID(int=1)))
        assert counted.sql(rows) == by_ibis(rows)
    assert counted.compiled == 2


@pytest.mark.parametrize(
    "constant",
    [
        ibis.date(2025, 3, 14),
        ibis.date(ibis.literal(2025), ibis.literal(3), ibis.literal(14)),
        ibis.literal([FRIDAY, SATURDAY])[0],
        ibis.literal("2025-03-14").cast("date"),
    ],
    ids=["date", "date of numbers", "array", "text"],
)
def test_a_day_that_is_not_a_literal_stays_as_it_is(constant, counted):
    for day in (FRIDAY, SATURDAY):
        rows = loans.filter(loans.opened_on <= ibis.literal(day), loans.opened_on >= constant)
        assert counted.sql(rows) == by_ibis(rows)


def test_literals_of_one_day_and_two_types_are_exchanged(counted):
    for day in (FRIDAY, SATURDAY):
        rows = loans.filter(loans.opened_on <= ibis.literal(day, "date"), loans.opened_on >= ibis.literal(day, "!date"))
        assert counted.sql(rows) == by_ibis(rows)
    assert counted.compiled == 1


PROGRAM = """
import sys
from datetime import date
from pathlib import Path
import ibis
from lending_pipelines.lake.engines import DuckDBEngine, fast_ibis
compiled, original = [], fast_ibis._compiled_by_ibis
def compile(self, expr, **options):
    compiled.append(expr)
    return original(self, expr, **options)
fast_ibis._compiled_by_ibis = compile
engine = DuckDBEngine(threads=1, sql_file=Path(sys.argv[1]))
engine.backend
days = [date(2025, 3, 14), date(2025, 3, 15)]
rows = ibis.memtable({"opened_on": days, "loan_id": ["L1", "L2"], "a": [1, 2], "b": [3, 4]})
found = engine.backend.to_pyarrow(rows.filter(rows.opened_on == ibis.literal(days[int(sys.argv[2])])).drop("b", "a"))
engine.close()
print(len(compiled), *found["loan_id"].to_pylist())
"""


def query(file: Path, day: int, seed: str) -> str:
    """Query a day in a process of its own. Returns how many expressions it compiled, and the loans found."""
    command = [sys.executable, "-c", PROGRAM, str(file), str(day)]
    environment = os.environ | {"PYTHONHASHSEED": seed}
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def test_the_next_process_compiles_nothing(tmp_path):
    file = tmp_path / "sql.json"
    assert query(file, 0, seed="1") == "1 L1"
    assert list(tmp_path.iterdir()) == [file]
    assert query(file, 1, seed="2") == "0 L2"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"versions": {}, "templates": {"key": ["SELECT 1"]}}'],
)
def test_a_file_that_is_damaged_or_of_other_versions_is_replaced(text, tmp_path, counted):
    file = tmp_path / "sql.json"
    file.write_text(text)
    counted.templates.read(file)
    counted.sql(loans)
    assert counted.compiled == 1
    counted.templates.write(file)
    assert len(json.loads(file.read_text())["templates"]) == 1


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path, counted):
    counted.sql(loans)
    counted.templates.write(tmp_path / "missing" / "sql.json")
    assert not list(tmp_path.iterdir())


def test_the_templates_that_were_used_last_are_kept(tmp_path, counted):
    first, *others = [loans.limit(number) for number in range(KEPT + 1)]
    for rows in (first, *others, first):
        counted.sql(rows)
    file = tmp_path / "sql.json"
    counted.templates.write(file)
    again = Counted()
    again.templates.read(file)
    again.sql(first)
    assert again.compiled == 0
    again.sql(others[0])
    assert again.compiled == 1


def test_rows_are_those_of_the_present_day_and_table():
    engine = DuckDBEngine(threads=1)
    for amounts, day in (([1, 2], FRIDAY), ([3, 4], SATURDAY)):
        rows = ibis.memtable({"opened_on": [FRIDAY, SATURDAY], "amount": amounts})
        of_day = rows.filter(rows.opened_on == ibis.literal(day))
        assert engine.backend.to_pyarrow(of_day.amount.sum()).as_py() == (1 if day == FRIDAY else 4)
        assert engine.batches(of_day).read_all()["amount"].to_pylist() == [1 if day == FRIDAY else 4]
    engine.close()
