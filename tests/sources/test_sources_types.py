"""Every type that a table or view may show, read with the database's own meaning or refused by table, column and value.

A case replaces one column of a servicing table by an expression in a view. The others get a value of their type.
"""

import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from lending_pipelines.sources import SourceError, open_source
from lending_pipelines.sources.canonical.equality import against, is_loose, within
from lending_pipelines.tables import SERVICING
from lending_pipelines.tables.sql import servicing_metadata

COLUMNS = {
    "text": ("programs", "name"),
    "money": ("wallet_transactions", "amount"),
    "rate": ("modifications", "before_rate"),
    "count": ("modifications", "before_term"),
    "day": ("users", "joined_on"),
    "instant": ("wallet_transactions", "occurred_at"),
    "flag": ("compliance_checks", "passed"),
}
"""A column of each kind, by the kind."""

_OTHERS = {
    "string": "CAST('x' AS text)",
    "date": "CAST('2024-01-31' AS {date})",
    "timestamp(6)": "CAST('2024-01-31 10:00:00' AS {timestamp})",
}
"""The values of the other columns, by type; the rest are 1."""


def read_as(engine: sa.Engine, kind: str, expression: str) -> Any:
    """The value that a view with that expression as its column is read as."""
    table, name = COLUMNS[kind]
    # SQLite has no type for dates: they are text.
    types = dict.fromkeys(("date", "timestamp"), "text") if engine.dialect.name == "sqlite" else {}
    types = {"date": "date", "timestamp": "timestamp"} | types
    cells = [
        f"{expression if column.name == name else _OTHERS.get(column.type, '1').format(**types)} AS {column.name}"
        for column in SERVICING[table].columns
    ]
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {table}")
        connection.exec_driver_sql(f"CREATE VIEW {table} AS SELECT {', '.join(cells)}")
    source = open_source("canonical", engine.url.render_as_string(hide_password=False))
    with source.snapshot() as reader:
        (batch,) = reader.read(SERVICING[table])
    return batch[name][0].as_py()


def refusal(engine: sa.Engine, kind: str, expression: str) -> str:
    """What is said of the value: the fault without the table and the column."""
    with pytest.raises(SourceError) as error:
        read_as(engine, kind, expression)
    table, name = COLUMNS[kind]
    prefix = f"canonical: table {table} cannot be read: {table}.{name}: 1 rows are not "
    assert str(error.value).startswith(prefix)
    return str(error.value).partition(" has ")[2].removesuffix(")")


@pytest.fixture(scope="module")
def postgres(postgres_server: sa.Engine) -> Iterator[sa.Engine]:
    """A database with types of its own."""
    name = f"test_{uuid4().hex}"
    with postgres_server.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine = sa.create_engine(postgres_server.url.set(database=name), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TYPE state AS ENUM ('verified', 'failed'); CREATE DOMAIN amount AS money;"
            "CREATE DOMAIN fine_amount AS numeric(18, 4); CREATE DOMAIN code AS char(5);"
            "CREATE DOMAIN outer_code AS code"
        )
    yield engine
    with postgres_server.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


POSTGRESQL = [
    ("money", "12::smallint", Decimal("12.00")),
    ("money", "12::int", Decimal("12.00")),
    ("money", "9999999999999999::bigint", Decimal("9999999999999999.00")),
    ("money", "12.5::numeric", Decimal("12.50")),
    ("money", "12.5::numeric(18, 2)", Decimal("12.50")),
    ("money", "12.5::numeric(30, 10)", Decimal("12.50")),
    ("money", "12::numeric(9, 0)", Decimal("12.00")),
    ("money", "9999999999999999.99::numeric", Decimal("9999999999999999.99")),
    ("money", "12.5::fine_amount", Decimal("12.50")),
    ("money", "'12.50'::money", Decimal("12.50")),
    ("money", "'-12.50'::amount", Decimal("-12.50")),
    ("money", "'92233720368547758.07'::money / 100", Decimal("922337203685477.58")),
    ("money", "NULL::money", None),
    ("money", "12345.67::real", Decimal("12345.67")),
    ("money", "1234567890.12::double precision", Decimal("1234567890.12")),
    ("money", "'12.50'::text", Decimal("12.50")),
    ("rate", "0.15::real", Decimal("0.15")),
    ("rate", "0.1250::numeric(9, 4)", Decimal("0.125")),
    ("rate", "0.12345678::double precision", Decimal("0.12345678")),
    ("rate", "0.12345678::numeric(12, 8)", Decimal("0.12345678")),
    ("count", "12::smallint", 12),
    ("count", "12::int", 12),
    ("count", "9223372036854775807::bigint", 2**63 - 1),
    ("count", "12.0::numeric", 12),
    ("count", "12::real", 12),
    ("count", "12::double precision", 12),
    ("count", "'12'::varchar(9)", 12),
    ("text", "7::smallint", "7"),
    ("text", "7::int", "7"),
    ("text", "7::bigint", "7"),
    ("text", "7.00::numeric(9, 2)", "7"),
    ("text", "'L1 '::text", "L1 "),
    ("text", "'L1'::varchar(9)", "L1"),
    # The padding of char(n) counts in no comparison of the database.
    ("text", "'L1'::char(5)", "L1"),
    ("text", "'L1'::code", "L1"),
    ("text", "'L1'::outer_code", "L1"),
    ("text", "'8EEEE505-D7BB-493B-94AE-0CE9CED7AF75'::uuid", "8eeee505-d7bb-493b-94ae-0ce9ced7af75"),
    ("text", "'verified'::state", "verified"),
    ("day", "'2024-01-31'::date", date(2024, 1, 31)),
    ("day", "'2024-01-31 00:00'::timestamp", date(2024, 1, 31)),
    ("day", "'2024-01-31 00:00+00'::timestamptz", date(2024, 1, 31)),
    ("day", "'2024-01-31'::text", date(2024, 1, 31)),
    ("instant", "'2024-01-31'::date", datetime(2024, 1, 31)),
    ("instant", "'2024-01-31 10:00:00.123456'::timestamp", datetime(2024, 1, 31, 10, 0, 0, 123456)),
    ("instant", "'2024-01-31 10:00+02'::timestamptz", datetime(2024, 1, 31, 8)),
    ("flag", "true", True),
    ("flag", "NULL::boolean", None),
    ("flag", "0::smallint", False),
    ("flag", "1::numeric", True),
    ("flag", "'t'::char(3)", True),
    ("flag", "'false'::text", False),
]


@pytest.mark.parametrize(("kind", "expression", "expected"), POSTGRESQL)
def test_a_value_of_postgresql_is_read_as_the_database_means_it(postgres, kind, expression, expected):
    found = read_as(postgres, kind, expression)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("kind", "expression", "shown"),
    [
        ("money", "12.345::numeric", "12.345"),
        ("money", "'NaN'::numeric", "'NaN'"),
        ("money", "10000000000000000::bigint", "10000000000000000"),
        ("money", "12.345::double precision", "12.345"),
        ("money", "'Infinity'::double precision", "inf"),
        # A real has 7 digits: it cannot tell 1,234,567.89 from 1,234,567.90.
        ("money", "1234567.89::real", "1234567.875"),
        ("money", "'1,250.00'::text", "'1,250.00'"),
        ("money", "true", "True"),
        ("rate", "0.123456789::numeric", "0.123456789"),
        ("count", "12.5::numeric", "12.5"),
        ("count", "12.5::double precision", "12.5"),
        ("text", "7.5::numeric", "7.5"),
        ("text", "true", "True"),
        ("text", "'2024-01-31'::date", "2024-01-31"),
        ("text", "'\\x4c31'::bytea", "b'L1'"),
        ("text", "ARRAY['a']", "['a']"),
        ("day", "'2024-01-31 10:00'::timestamp", "2024-01-31 10:00:00"),
        ("day", "'2024-01-31 00:00+02'::timestamptz", "2024-01-30 22:00:00+00:00"),
        ("day", "'infinity'::date", "'infinity'"),
        ("day", "20240131", "20240131"),
        ("instant", "1706695200::bigint", "1706695200"),
        ("instant", "'10:00'::time", "10:00:00"),
        ("flag", "2::int", "2"),
        ("flag", "'yes'::text", "'yes'"),
    ],
)
def test_a_value_of_postgresql_that_does_not_fit_is_refused_with_its_column(postgres, kind, expression, shown):
    assert refusal(postgres, kind, expression) == shown


STORAGE_CLASSES = {"integer": "1", "real": "1.5", "text": "'ab'", "blob": "x'3031'", "null": "NULL"}
"""A value of each storage class of SQLite."""

SQLITE = {
    # Kind: what is read for each storage class, in their order; text is what is said of a value that is refused.
    "money": (Decimal("1.00"), Decimal("1.50"), "'ab'", "b'01'", None),
    "rate": (Decimal("1.00000000"), Decimal("1.50000000"), "'ab'", "b'01'", None),
    "count": (1, "1.5", "'ab'", "b'01'", None),
    "day": ("1", "1.5", "'ab'", "b'01'", None),
    "instant": ("1", "1.5", "'ab'", "b'01'", None),
    "flag": (True, "1.5", "'ab'", "b'01'", None),
}


@pytest.fixture
def sqlite(tmp_path) -> sa.Engine:
    return sa.create_engine(f"sqlite:///{tmp_path / 'servicing.db'}", poolclass=sa.NullPool)


@pytest.mark.parametrize("storage", STORAGE_CLASSES)
@pytest.mark.parametrize("kind", SQLITE)
def test_each_storage_class_of_sqlite_in_each_kind_of_column(sqlite, kind, storage):
    expected = SQLITE[kind][list(STORAGE_CLASSES).index(storage)]
    if isinstance(expected, str):
        assert refusal(sqlite, kind, STORAGE_CLASSES[storage]) == expected
    else:
        assert read_as(sqlite, kind, STORAGE_CLASSES[storage]) == expected


@pytest.mark.parametrize(
    ("kind", "expression", "expected"),
    [
        ("text", "7", "7"),
        ("text", "7.0", "7"),
        ("text", "'ab'", "ab"),
        ("text", "NULL", None),
        ("money", "0.1 + 0.2", Decimal("0.30")),
        ("money", "'9999999999999999.99'", Decimal("9999999999999999.99")),
        ("rate", "0.12345678", Decimal("0.12345678")),
        ("count", "12.0", 12),
        ("count", "'12'", 12),
        ("day", "'2024-01-31'", date(2024, 1, 31)),
        ("day", "'2024-01-31 00:00:00'", date(2024, 1, 31)),
        ("day", "'2024-01-31T00:00:00.000'", date(2024, 1, 31)),
        ("instant", "'2024-01-31'", datetime(2024, 1, 31)),
        ("instant", "'2024-01-31T10:00:00+02:00'", datetime(2024, 1, 31, 8)),
        ("flag", "'t'", True),
        ("flag", "'FALSE'", False),
    ],
)
def test_a_value_of_sqlite_that_converts_without_loss_is_taken(sqlite, kind, expression, expected):
    assert read_as(sqlite, kind, expression) == expected


@pytest.mark.parametrize(
    ("kind", "expression", "shown"),
    [
        ("text", "7.5", "7.5"),
        ("text", "x'4c31'", "b'L1'"),
        ("money", "12.345", "12.345"),
        ("money", "1234567890123456.78", "1234567890123456.8"),
        ("day", "'2024-01-31 10:00:00'", "'2024-01-31 10:00:00'"),
        ("day", "'31.01.2024'", "'31.01.2024'"),
        ("flag", "2", "2"),
    ],
)
def test_a_value_of_sqlite_that_does_not_fit_is_refused_with_its_column(sqlite, kind, expression, shown):
    assert refusal(sqlite, kind, expression) == shown


def test_ids_that_sqlite_takes_for_equal_are_refused_unless_spelled_alike(sqlite):
    """Loan L1 is spelled l1 in an assignment; collector s1 has two spellings, and no staff."""
    with sqlite.begin() as connection:
        for statement in (
            "CREATE TABLE loans (loan_id TEXT COLLATE NOCASE)",
            "CREATE TABLE collection_assignments (loan_id TEXT COLLATE NOCASE, assigned_on TEXT, "
            "collector_id TEXT COLLATE NOCASE, queue TEXT COLLATE NOCASE, released_on TEXT)",
            "INSERT INTO loans VALUES ('L1'), ('L2')",
            "INSERT INTO collection_assignments VALUES ('l1', '2024-01-01', 's1', 'A', NULL), "
            "('L2', '2024-01-01', 'S1', 'a', NULL)",
        ):
            connection.exec_driver_sql(statement)
    source = open_source("canonical", sqlite.url.render_as_string())
    problem = (
        "have an id that the database treats as equal to another spelling: use one spelling, for example by lower()"
    )
    with source.snapshot() as reader, pytest.raises(SourceError) as error:
        list(reader.read(SERVICING["collection_assignments"], None))
    assert str(error.value) == (
        "canonical: table collection_assignments cannot be read: "
        f"collection_assignments.loan_id: 1 rows {problem} ('l1' and 'L1'); "
        f"collection_assignments.collector_id: 1 rows {problem} ('S1' and 's1')"
    )
    with sqlite.begin() as connection:
        connection.exec_driver_sql("UPDATE collection_assignments SET loan_id = upper(loan_id), collector_id = 'S1'")
    with source.snapshot() as reader:
        (batch,) = reader.read(SERVICING["collection_assignments"], None)
    assert batch["loan_id"].to_pylist() == ["L1", "L2"]


@pytest.mark.parametrize(("collation", "compared"), [("", []), ("COLLATE NOCASE", ["GROUP BY loans.loan_id"])])
def test_spellings_are_compared_only_in_a_sqlite_database_that_names_a_collation(
    sqlite_database, make_loan, collation, compared
):
    """The name of the column collateral_value is not the keyword."""
    sqlite_database.insert("loans", make_loan())
    sqlite_database.execute(f"CREATE TABLE notes (note TEXT {collation})")
    found = []

    @sa.event.listens_for(sa.Engine, "before_cursor_execute")
    def listen(connection, cursor, statement, *others):
        found.extend(re.findall(r"GROUP BY [\w.]+", statement))

    try:
        with sqlite_database.source.snapshot() as reader:
            list(reader.read(SERVICING["loans"], None))
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", listen)
    assert found[:1] == compared


@pytest.mark.parametrize(
    ("type_", "loose"),
    [
        (postgresql.CITEXT(), True),
        (postgresql.DOMAIN("code", postgresql.DOMAIN("inner_code", postgresql.CITEXT())), True),
        (sa.Text(collation="without_case"), True),
        (sa.Text(collation="C"), False),
        (sa.Text(), False),
        (postgresql.UUID(), False),
    ],
)
def test_which_types_of_postgresql_compare_by_more_than_the_spelling(type_, loose):
    # The server that tests run has neither citext nor ICU: here the types are given as SQLAlchemy reads them.
    assert is_loose(type_, {"without_case"}) == loose


def test_the_spellings_of_an_id_are_compared_on_postgresql_too(postgres):
    """No column there is loose; the queries are run on plain text, where they find nothing."""
    with postgres.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE loans (loan_id text); CREATE TABLE officer_assignments (loan_id text)")
        connection.exec_driver_sql("INSERT INTO loans VALUES ('L1'); INSERT INTO officer_assignments VALUES ('l1')")
        tables = servicing_metadata().tables
        column = tables["officer_assignments"].columns["loan_id"]
        assert connection.execute(within(column, "C")).all() == []
        assert connection.execute(against(column, tables["loans"].alias("parent").columns["loan_id"], "C")).all() == []
        connection.exec_driver_sql("DROP TABLE loans, officer_assignments")
