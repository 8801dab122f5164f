"""The loans that rules choose: each operator by hand, any rule against plain Python, a range against each day."""

from datetime import date, timedelta
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest
from book import Book, each_day
from hypothesis import given, settings
from hypothesis import strategies as st

from lending_pipelines.criteria import FIELDS, RuledPortfolio, parse_criteria
from lending_pipelines.metrics.assignments import assignments
from lending_pipelines.metrics.criteria import predicate, terms
from lending_pipelines.tables import DERIVED, TABLES

DAY = date(2025, 3, 1)


def lender(*loans):
    """A book of one borrower and two products, with these loans: loan_id and terms."""
    book = Book()
    book.add("borrowers", borrower_id="B1", branch_id="BR1", segment="retail", joined_on=DAY)
    for product, program in (("P1", "G1"), ("P2", "G2")):
        book.add("products", product_id=product, program_id=program, name=product, product_type=f"type of {product}")
    for loan_id, values in loans:
        terms = {
            "borrower_id": "B1",
            "product_id": "P1",
            "branch_id": "BR1",
            "currency": "USD",
            "principal": Decimal(1000),
            "annual_rate": Decimal("0.12"),
            "day_count": "30/360",
            "term_count": 0,
            "payment_frequency": "monthly",
            "approved_on": DAY,
            "disbursed_on": DAY,
        }
        book.add("loans", loan_id=loan_id, **terms | values)
    return book


def meant(rule, book):
    loans = terms(book.read)
    found = loans.filter(predicate(parse_criteria(rule), loans)).loan_id
    return sorted(book.backend.to_pyarrow(found).to_pylist())


def on(field, op, value):
    return {"field": field, "op": op, "value": value}


def test_each_operator():
    book = lender(
        ("low", {"principal": Decimal("999.99"), "product_id": "P2", "credit_score": 600}),
        ("mid", {"principal": Decimal(1000), "credit_score": 700}),
        ("top", {"principal": Decimal("1000.01")}),
    )
    found = {
        "eq": ["mid"],
        "ne": ["low", "top"],
        "lt": ["low"],
        "le": ["low", "mid"],
        "gt": ["top"],
        "ge": ["mid", "top"],
    }
    assert {op: meant(on("principal", op, 1000), book) for op in found} == found
    assert meant(on("principal", "between", [1000, "1000.01"]), book) == ["mid", "top"]
    assert meant(on("product_id", "in", ["P2", "P3"]), book) == ["low"]
    assert meant(on("program_id", "not_in", ["G2"]), book) == ["mid", "top"]
    assert meant(on("product_type", "eq", "type of P2"), book) == ["low"]
    assert meant(on("annual_rate", "eq", 0.12), book) == ["low", "mid", "top"]
    assert meant({"any": [on("credit_score", "lt", 650), on("principal", "gt", 1000)]}, book) == ["low", "top"]
    assert meant({"all": [on("segment", "eq", "retail"), on("disbursed_on", "le", "2025-03-01")]}, book) == [
        "low",
        "mid",
        "top",
    ]
    # The score of `top` is not known: it meets neither a condition on it nor its opposite.
    assert meant(on("credit_score", "eq", 600), book) == ["low"]
    assert meant(on("credit_score", "ne", 600), book) == ["mid"]
    assert meant(on("credit_score", "not_in", [600]), book) == ["mid"]


def test_injection_is_only_text():
    hostile = "x' OR 1=1; DROP TABLE loans; --"
    book = lender(("plain", {}), ("odd", {"region": hostile}))
    assert meant(on("region", "eq", hostile), book) == ["odd"]
    assert meant(on("loan_id", "eq", "' OR ''='"), book) == []


def ruled(portfolio_id, rule, opened_on=DAY, closed_on=None, program_id=None):
    return RuledPortfolio(portfolio_id, parse_criteria(rule), opened_on, closed_on, program_id)


def chosen(book, portfolios, held, first, last):
    """What is chosen on the days, as rows of portfolio_membership."""
    table = ibis.memtable(pa.Table.from_pylist(held, schema=DERIVED["portfolio_membership"].arrow_schema))
    rows = book.backend.to_pyarrow(assignments(book.read, portfolios, table, first, last)).to_pylist()
    assert len({row["loan_id"] for row in rows}) == len(rows)
    return [row | {"portfolio_name": row["portfolio_id"], "removed_on": None, "method": "dynamic"} for row in rows]


def where(rows):
    return {row["loan_id"]: (row["portfolio_id"], row["assigned_on"].day) for row in rows}


EVERY = on("currency", "eq", "USD")


def test_the_first_portfolio_that_is_open_takes_a_loan_on_the_first_day_it_is_there():
    book = lender(
        ("early", {"disbursed_on": date(2025, 2, 1)}),
        ("late", {"disbursed_on": date(2025, 3, 4)}),
        ("never", {"disbursed_on": None}),
        ("big", {"principal": Decimal(5000), "disbursed_on": date(2025, 3, 2)}),
    )
    big = ruled("big loans", on("principal", "gt", 2000))
    rest = ruled("rest", EVERY, opened_on=date(2025, 3, 2))
    last = date(2025, 3, 5)
    assert where(chosen(book, [big, rest], [], DAY, last)) == {
        "early": ("rest", 2),
        "late": ("rest", 4),
        "big": ("big loans", 2),
    }
    # The order in which they choose counts among those open on the day only.
    assert where(chosen(book, [rest, ruled("now", EVERY)], [], DAY, last))["early"] == ("now", 1)
    closed = ruled("rest", EVERY, opened_on=date(2025, 3, 2), closed_on=date(2025, 3, 4))
    assert where(chosen(book, [closed], [], DAY, last)) == {"early": ("rest", 2), "big": ("rest", 2)}


def test_a_portfolio_of_a_program_takes_loans_of_that_program_alone():
    # P1 is of program G1, P2 of G2; what product P3 belongs to is not known.
    book = lender(("one", {"product_id": "P1"}), ("two", {"product_id": "P2"}), ("three", {"product_id": "P3"}))
    of_two = ruled("of two", EVERY, program_id="G2")
    assert where(chosen(book, [of_two], [], DAY, DAY)) == {"two": ("of two", 1)}
    assert where(chosen(book, [of_two, ruled("rest", EVERY)], [], DAY, DAY)) == {
        "one": ("rest", 1),
        "two": ("of two", 1),
        "three": ("rest", 1),
    }


def test_a_loan_that_is_held_stays_and_goes_back_to_no_portfolio_that_it_left():
    book = lender(("held", {}), ("later", {}), ("left", {}), ("free", {}))
    held = [
        {"portfolio_id": portfolio, "loan_id": loan, "assigned_on": start, "removed_on": end, "method": "static"}
        for portfolio, loan, start, end in (
            ("other", "held", DAY, None),
            ("other", "later", date(2025, 4, 1), None),
            ("one", "left", DAY, date(2025, 3, 3)),
        )
    ]
    last = date(2025, 3, 5)
    assert where(chosen(book, [ruled("one", EVERY)], held, DAY, last)) == {"free": ("one", 1)}
    assert where(chosen(book, [ruled("two", EVERY)], held, DAY, last)) == {"free": ("two", 1), "left": ("two", 3)}


days = st.integers(-2, 4).map(lambda n: DAY + timedelta(days=n))
rules = st.sampled_from([EVERY, on("principal", "ge", 1000), on("product_id", "eq", "P1"), on("principal", "lt", 1000)])


@st.composite
def worlds(draw):
    loans = [
        (
            f"L{number}",
            {
                "disbursed_on": draw(st.none() | days),
                "principal": Decimal(draw(st.sampled_from([500, 1500]))),
                "product_id": draw(st.sampled_from(["P1", "P2"])),
            },
        )
        for number in range(draw(st.integers(1, 6)))
    ]
    portfolios = [
        ruled(f"PF{number}", draw(rules), draw(days), draw(st.none() | days))
        for number in range(draw(st.integers(1, 3)))
    ]
    held = []
    for loan_id, _ in loans:
        start, end = draw(days), draw(st.none() | days)
        if draw(st.booleans()) and (end is None or end > start):
            portfolio_id = draw(st.sampled_from(["PF0", "PF1", "by hand"]))
            interval = {"assigned_on": start, "removed_on": end, "method": "static"}
            held.append({"portfolio_id": portfolio_id, "loan_id": loan_id} | interval)
    return loans, portfolios, held


@settings(max_examples=12)
@given(worlds())
def test_a_range_chooses_what_its_days_choose_one_after_the_other(world):
    loans, portfolios, held = world
    book = lender(*loans)
    last = DAY + timedelta(days=2)
    at_once = chosen(book, portfolios, held, DAY, last)
    one_by_one = list(held)
    for day in each_day(DAY, last):
        one_by_one += chosen(book, portfolios, one_by_one, day, day)
    assert where(at_once) == where(one_by_one[len(held) :])
    # Once done, nothing is left to do.
    assert chosen(book, portfolios, held + at_once, DAY, last) == []


TYPED = {
    "string": st.sampled_from(["P1", "P2", "", "it's; --", "G1", "type of P1"]),
    "date": days.map(str),
    "int64": st.integers(0, 3),
    "decimal(18, 2)": st.sampled_from([0, 500, "999.99", 1000.5]),
    "decimal(12, 8)": st.sampled_from([0, 0.12, "0.120001"]),
}


@st.composite
def conditions(draw):
    name = draw(st.sampled_from(sorted(FIELDS)))
    column = FIELDS[name]
    text = column.type == "string"
    ops = ("eq", "ne", "in", "not_in") if text else ("eq", "ne", "lt", "le", "gt", "ge", "between", "in", "not_in")
    values = st.sampled_from(column.values) if column.values else TYPED[column.type]
    op = draw(st.sampled_from(ops))
    if op == "between":
        low, high = draw(values), draw(values)
        low, high = sorted((low, high), key=lambda value: Decimal(value) if column.type[:3] == "dec" else value)
        return on(name, op, [low, high])
    return on(name, op, draw(st.lists(values, min_size=1, max_size=3)) if op in ("in", "not_in") else draw(values))


any_rule = st.recursive(
    conditions(),
    lambda parts: st.builds(
        lambda kind, some: {kind: some}, st.sampled_from(["all", "any"]), st.lists(parts, min_size=1, max_size=3)
    ),
    max_leaves=5,
)
PYTHON = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "between": lambda a, b: b[0] <= a <= b[1],
    "in": lambda a, b: a in b,
    "not_in": lambda a, b: a not in b,
}


def holds(rule, loan):
    """A rule on a loan in plain Python, straight from its JSON."""
    for kind, those in (("all", all), ("any", any)):
        if kind in rule:
            return those(holds(part, loan) for part in rule[kind])
    held = loan[rule["field"]]
    if held is None:
        return False

    def typed(value):
        return type(held)(str(value)) if isinstance(held, Decimal) else str(value) if isinstance(held, str) else value

    values = rule["value"]
    if isinstance(held, date):
        held = str(held)
    values = [typed(value) for value in values] if isinstance(values, list) else typed(values)
    return PYTHON[rule["op"]](held, values)


ODD = lender(
    ("L1", {"region": "it's; --", "term_count": 2, "credit_score": 1}),
    ("L2", {"principal": Decimal(500), "product_id": "P2", "purpose": "", "matures_on": DAY}),
    ("L3", {"disbursed_on": None, "annual_rate": Decimal(0), "product_id": "P1"}),
)
LOANS = ODD.backend.to_pyarrow(terms(ODD.read)).to_pylist()


@settings(max_examples=40)
@given(any_rule)
def test_any_rule_means_what_it_means_in_python(rule):
    assert meant(rule, ODD) == sorted(loan["loan_id"] for loan in LOANS if holds(rule, loan))


@pytest.mark.parametrize("engine", [ibis.duckdb, ibis.pyspark], ids=["duckdb", "spark"])
def test_a_choice_can_be_said_to_either_engine(engine):
    rule = {"any": [on("annual_rate", "between", [0.1, 0.2]), on("approved_on", "in", ["2025-01-31"])]}
    portfolios = [ruled("one", rule, closed_on=DAY), ruled("two", on("region", "not_in", ["it's"]))]
    rows = assignments(_table, portfolios, _table("portfolio_membership"), DAY, DAY)
    assert "it's" not in engine.compile(rows)  # quoted as the engine quotes
    assert engine.compile(rows).startswith(("SELECT", "WITH"))


def _table(name):
    return ibis.table(TABLES[name].schema, name=name)
