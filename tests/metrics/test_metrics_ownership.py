"""loan_ownership from the register's assignments and from the servicing system's owners."""

from datetime import date
from decimal import Decimal

import ibis
import pyarrow as pa

from lending_pipelines.metrics.ownership import loan_ownership
from lending_pipelines.tables import TABLES


def rows(table, *listed):
    schema = TABLES[table].arrow_schema
    return ibis.memtable(pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in listed], schema))


def test_owners_of_the_servicing_system_count_for_loans_without_an_assignment():
    june, july = date(2025, 6, 1), date(2025, 7, 1)
    assigned = rows("loan_ownership", ("I1", "Fund", "L1", june, None, Decimal("90.00")))
    owners = rows(
        "loan_owners", ("L1", july, "I2", "Bank", None, None), ("L2", june, "I2", "Bank", july, Decimal("80.00"))
    )
    found = loan_ownership(assigned, owners).order_by("loan_id").to_pyarrow().to_pylist()
    assert [tuple(row.values()) for row in found] == [
        ("I1", "Fund", "L1", june, None, Decimal("90.00")),
        ("I2", "Bank", "L2", june, july, Decimal("80.00")),
    ]


def test_an_investor_has_the_name_of_the_register_or_else_of_the_latest_assignment():
    may, june, july = date(2025, 5, 1), date(2025, 6, 1), date(2025, 7, 1)
    assigned = rows("loan_ownership", ("I1", "Fund", "L1", june, None, None))
    owners = rows(
        "loan_owners",
        ("L2", july, "I1", "The Fund", None, None),
        ("L3", may, "I2", "A Bank", None, None),
        ("L4", june, "I2", "Z Bank", None, None),
        ("L5", june, "I2", "Y Bank", None, None),
    )
    found = loan_ownership(assigned, owners).order_by("loan_id").to_pyarrow().to_pylist()
    assert [(row["loan_id"], row["investor_name"]) for row in found] == [
        ("L1", "Fund"),
        ("L2", "Fund"),
        ("L3", "Y Bank"),
        ("L4", "Y Bank"),
        ("L5", "Y Bank"),
    ]
