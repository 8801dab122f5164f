"""Evaluates the rules of dynamic portfolios as Ibis predicates.

lending_pipelines.criteria defines what a rule can say. assignments.py decides which loans join a portfolio.
"""

from collections.abc import Callable
from functools import reduce
from operator import and_, or_

import ibis
import ibis.expr.types as ir

from lending_pipelines.criteria import FIELDS, Condition, Group, Operator, Value

SOURCES = ("loans", "borrowers", "products")
"""The tables that a rule reads."""

_COMPARE: dict[Operator, Callable[[ir.Column, list[ir.Scalar]], ir.BooleanColumn]] = {
    "eq": lambda field, values: field == values[0],
    "ne": lambda field, values: field != values[0],
    "lt": lambda field, values: field < values[0],
    "le": lambda field, values: field <= values[0],
    "gt": lambda field, values: field > values[0],
    "ge": lambda field, values: field >= values[0],
    "between": lambda field, values: field.between(*values),
    "in": lambda field, values: field.isin(values),
    "not_in": lambda field, values: field.notin(values),
}


def terms(read: Callable[[str], ir.Table]) -> ir.Table:
    """Every loan with all fields that a rule can use; `read` returns each of SOURCES by name."""
    loans = read("loans")
    loans = loans.left_join(
        read("borrowers").select("borrower_id", "segment"), "borrower_id", rname="{name}_of_borrower"
    )
    products = read("products").select("product_id", "program_id", "product_type")
    return loans.left_join(products, "product_id", rname="{name}_own").select(*FIELDS)


def predicate(rule: Group | Condition, loans: ir.Table) -> ir.BooleanColumn:
    """Whether a loan of `terms` matches the rule. A loan without a value for a field matches no condition on it."""
    return _holds(rule, loans).fill_null(False)


def _holds(rule: Group | Condition, loans: ir.Table) -> ir.BooleanColumn:
    """Whether a loan matches the rule; null if a missing value leaves the result unknown."""
    if isinstance(rule, Condition):
        return _COMPARE[rule.op](loans[rule.field], [_literal(value, rule.field) for value in rule.values])
    return reduce(and_ if rule.kind == "all" else or_, (_holds(part, loans) for part in rule.parts))


def _literal(value: Value, field: str) -> ir.Scalar:
    # Use the field's type. By default, Ibis uses the narrowest decimal type that fits the value.
    return ibis.literal(value, FIELDS[field].type)
