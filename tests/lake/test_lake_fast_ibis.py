"""The faster functions of lake/engines/fast_ibis.py and fast_graph.py against those of Ibis that they replace.

The replaced functions are private ones of Ibis and sqlglot, so the versions are named in VERSIONS. After an upgrade,
compare the functions of both releases, adapt the faster ones, and set VERSIONS.
"""

import re
from collections.abc import Callable
from datetime import date
from inspect import getattr_static
from typing import Any

import ibis
import ibis.expr.operations as ops
import pytest
from ibis.backends import pyspark
from ibis.backends.sql.compilers import DuckDBCompiler, PySparkCompiler
from ibis.common.patterns import InstanceOf

from lending_pipelines.conventions import Conventions
from lending_pipelines.lake.engines import fast_ibis
from lending_pipelines.metrics import delinquency, ledger, managers, portfolios, positions
from lending_pipelines.tables import TABLES

DAY = date(2025, 3, 14)

loans = ibis.table(
    {"loan_id": "string", "amount": "decimal(18, 2)", "opened_on": "date", "tags": "array<string>"}, "loans"
)
payments = ibis.table({"loan_id": "string", "paid_on": "date", "amount": "decimal(18, 2)"}, "payments")
CONSTANT = ibis.memtable({"loan_id": ["L1"]})


def read(name: str) -> Any:
    return ibis.table(TABLES[name].schema, name)


def daily(name: str) -> Any:
    conventions, rows = Conventions(), read("loan_positions")
    match name:
        case "loan_positions":
            return positions.loan_positions(read, DAY, DAY, conventions)
        case "aging_transitions":
            return delinquency.aging_transitions(rows, DAY, DAY, conventions)
        case "portfolio_snapshots":
            return portfolios.portfolio_snapshots(rows, read, DAY, DAY, conventions)
        case "manager_snapshots":
            return managers.manager_snapshots(rows, read, DAY, DAY, conventions)
    return ledger.ledger_tieouts(rows, read("trial_balance"), read("journal_lines"), read("gl_accounts"), DAY, DAY)


EXPRESSIONS: dict[str, Callable[[], Any]] = {
    "join with columns of earlier tables": lambda: (
        loans.filter(loans.amount > 0)
        .mutate(twice=loans.amount * 2)
        .join(payments, "loan_id")
        .select(loans.loan_id, "twice", payments.amount.name("paid"))
    ),
    "join with itself": lambda: (lambda again: loans.join(again, loans.opened_on < again.opened_on))(loans.view()),
    "the same subquery twice": lambda: (
        lambda sums: sums.join(sums.view(), "loan_id", how="left").filter(lambda rows: rows.total > 0)
    )(payments.group_by("loan_id").aggregate(total=payments.amount.sum())),
    "semi join and subquery": lambda: loans.semi_join(payments, "loan_id").filter(
        lambda rows: rows.loan_id.isin(payments.loan_id)
    ),
    "window and filter on it": lambda: payments.mutate(
        place=ibis.row_number().over(group_by="loan_id", order_by=ibis.desc("paid_on"))
    ).filter(lambda rows: rows.place == 0),
    "first of a window": lambda: payments.mutate(
        opened=payments.paid_on.first().over(group_by="loan_id", order_by="paid_on")
    ),
    "nulls of any type": lambda: loans.mutate(
        nothing=ibis.null("date"), either=ibis.ifelse(loans.amount > 0, loans.amount, ibis.null()), none=None
    ).fill_null({"nothing": DAY}),
    "nulls of a required type": lambda: loans.mutate(size=ops.IfElse(ibis.null().op(), 1, 2).to_expr()),
    "a random value is not that of a column": lambda: (lambda draw: loans.mutate(draw=draw).filter(draw > 1))(
        ibis.random() + loans.amount
    ),
    "rows that are random": lambda: (lambda rows: rows.filter(rows.draw > 0.5).select("loan_id", "draw"))(
        loans.mutate(draw=ibis.random())
    ),
    "rows of an array": lambda: loans.select("loan_id", tag=loans.tags.unnest()).distinct().order_by("tag"),
    "cases": lambda: loans.mutate(
        size=ibis.cases((loans.amount < 10, "small"), (loans.amount.between(10, 20), "middle"), else_="large")
    ).drop("tags"),
    "union and difference": lambda: ibis.union(loans.select("loan_id"), payments.select("loan_id"), distinct=True),
    "constant rows": lambda: CONSTANT.join(loans, "loan_id", how="anti"),
    "nothing dropped": lambda: loans.drop_null("amount").limit(3),
} | {
    name: lambda name=name: daily(name)
    for name in ("loan_positions", "aging_transitions", "portfolio_snapshots", "manager_snapshots", "ledger_tieouts")
}

ERRORS: dict[str, Callable[[], Any]] = {
    "unknown column": lambda: ops.Field(loans, "balance"),
    "missing argument": lambda: ops.Add(loans.amount),
    "argument too many": lambda: ops.Lowercase(loans.loan_id, 2),
    "argument of another name": lambda: ops.Lowercase(text=loans.loan_id),
    "argument given twice": lambda: ops.Lowercase(loans.loan_id, arg=loans.loan_id),
    "argument of another type": lambda: ops.Lowercase(loans.amount),
    "column of another table": lambda: loans.select(payments.paid_on),
    "rewrite to another type": lambda: ops.Lowercase(loans.loan_id).replace({loans.loan_id.op(): loans.amount.op()}),
    "rewrite by a pattern to another type": lambda: ops.Lowercase(loans.loan_id).replace(
        InstanceOf(ops.Field) >> loans.amount.op()
    ),
    "unknown argument beside one with a default": lambda: ops.Substring(loans.loan_id, 1, size=2),
    "sum of texts": lambda: loans.loan_id.sum(),
}


def sql(make: Callable[[], Any]) -> list[str]:
    """The SQL for both engines."""
    expression = make()
    return [
        compiler.to_sqlglot(expression).sql(dialect=compiler.dialect)
        for compiler in (DuckDBCompiler(), PySparkCompiler())
    ]


def error(make: Callable[[], Any]) -> tuple[type, str]:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        make()
    return caught.type, re.sub(" at 0x[0-9a-f]+", "", str(caught.value))


@pytest.fixture(scope="module", autouse=True)
def spark_options() -> None:
    """The options of Ibis that compiling for Spark reads; they are there once its backend is."""
    pyspark.Backend().register_options()


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable, Callable], Any]:
    """Calls a function with Ibis as it is released."""

    def call(function: Callable, make: Callable) -> Any:
        with monkeypatch.context() as patch:
            for owner, name, original in fast_ibis.ORIGINALS:
                patch.setattr(owner, name, original)
            return function(make)

    return call


def test_the_installed_versions_are_those_whose_functions_are_replaced():
    assert fast_ibis.install()
    assert all(getattr_static(owner, name) is not original for owner, name, original in fast_ibis.ORIGINALS)


def test_other_versions_keep_their_functions(monkeypatch, plain):
    monkeypatch.setattr(fast_ibis, "version", {"ibis-framework": "12.0.10", "sqlglot": "30.1", "duckdb": "2.0.0"}.get)
    assert plain(lambda install: install(), fast_ibis.install.__wrapped__) is False
    assert plain(
        lambda make: [getattr_static(owner, name) is original for owner, name, original in fast_ibis.ORIGINALS], None
    )


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_the_sql_is_the_same(name, plain):
    assert sql(EXPRESSIONS[name]) == plain(sql, EXPRESSIONS[name])


def test_rows_values_and_columns_are_the_same(plain):
    engine = ibis.duckdb.connect()
    rows = ibis.memtable({"loan_id": ["L1", "L2"], "cents": [110, 250]}).mutate(on=ibis.literal(DAY))
    rows = rows.mutate(amount=rows.cents.cast("decimal(18, 2)") / 100, nothing=ibis.null("date"))
    for expression in (rows, rows.amount, rows.amount.sum(), rows.filter(rows.loan_id == "")):
        found = engine.to_pyarrow(expression)
        assert found.equals(plain(engine.to_pyarrow, expression))
    engine.disconnect()


def test_batches_are_the_same_and_hold_the_number_of_rows(monkeypatch):
    engine = ibis.duckdb.connect()
    query = "SELECT n, n::DECIMAL(18, 2) AS amount, DATE '2025-03-14' AS day FROM range(5000) AS numbers(n) ORDER BY n"
    found = list(fast_ibis.read_batches(engine.con, query, 2048))
    monkeypatch.setattr(fast_ibis, "install", lambda: False)
    assert found == list(fast_ibis.read_batches(engine.con, query, 2048))
    assert [batch.num_rows for batch in found] == [2048, 2048, 904]
    engine.disconnect()


def test_a_query_that_fails_says_the_same(plain):
    engine = ibis.duckdb.connect()
    number = ibis.memtable({"text": ["1", "one"]}).text.cast("int64")
    assert error(lambda: engine.to_pyarrow(number)) == plain(error, lambda: engine.to_pyarrow(number))
    engine.disconnect()


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_the_same(name, plain):
    assert error(ERRORS[name]) == plain(error, ERRORS[name])


def test_a_pattern_of_types_that_a_graph_lacks_leaves_it_as_it_is(plain):
    node = loans.filter(loans.amount > 0).op()
    for pattern in (InstanceOf(ops.Sample) >> node, (InstanceOf(ops.Limit) >> node) | (InstanceOf(ops.Sort) >> node)):
        assert node.replace(pattern) is node
        assert plain(node.replace, pattern) is node


def test_a_graph_that_follows_an_equal_one_is_found_and_rewritten_as_such(plain):
    def fields(make: Callable) -> list[Any]:
        return make().find(ops.Field, ordered=True)

    def rewritten(make: Callable) -> Any:
        return make().replace(InstanceOf(ops.Greater) >> ops.Less(loans.amount, 0))

    def make() -> Any:
        return loans.filter(loans.amount > 0).select("loan_id").op()

    assert make() is not make()
    assert fields(make) == fields(make) == plain(fields, make)
    assert rewritten(make) == rewritten(make) == plain(rewritten, make) != make()
