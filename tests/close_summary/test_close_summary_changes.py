"""What closing again changed: two managers on two days, stored twice, and the whole book once."""

from datetime import date
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest

from lending_pipelines.close_summary import changed_metrics, changes_as_text, snapshot_versions
from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.tables import TABLES

JAN_1, JAN_2 = date(2025, 1, 1), date(2025, 1, 2)


@pytest.fixture
def lake(tmp_path):
    engine = DuckDBEngine(memory_limit="1GB", threads=1)
    yield Lake(str(tmp_path / "lake"), engine)
    engine.close()


def store(lake, table, *rows):
    """Replace both days by rows of the table; columns that a row does not have are null."""
    names = TABLES[table].names
    full = [dict.fromkeys(names) | {"currency": "USD"} | row for row in rows]
    lake.replace_days(table, ibis.memtable(pa.Table.from_pylist(full, schema=TABLES[table].arrow_schema)), JAN_1, JAN_2)


def manager(day, manager_id, collected, health=50.0, missing=None):
    return {
        "business_date": day,
        "manager_id": manager_id,
        "total_collected": Decimal(collected),
        "health_score": health,
        "missing": missing,
    }


def scope(day, scope, scope_id, loans):
    return {"business_date": day, "scope": scope, "scope_id": scope_id, "loan_count": loans, "bucket_breakdown": "{}"}


@pytest.fixture
def versions(lake):
    """The versions before; then O1 changed on both days, O2 is gone on the second, and so are loans of the book."""
    store(
        lake,
        "manager_snapshots",
        *(manager(day, name, "10.00") for day in (JAN_1, JAN_2) for name in ("O1", "O2")),
    )
    store(lake, "portfolio_snapshots", scope(JAN_1, "branch", "B1", 3), scope(JAN_1, "all", "*", 3))
    versions = snapshot_versions(lake)
    store(
        lake,
        "manager_snapshots",
        manager(JAN_1, "O1", "12.50"),
        manager(JAN_1, "O2", "10.00"),
        manager(JAN_2, "O1", "9.00", health=62.5, missing="collection_rate"),
    )
    store(lake, "portfolio_snapshots", scope(JAN_1, "branch", "B1", 3), scope(JAN_1, "all", "*", 2))
    return versions


def test_each_metric_that_changed_with_its_last_day_and_its_number_of_days(lake, versions):
    found = changed_metrics(lake, versions, JAN_1, JAN_2)
    assert [(each.subject, each.metric, each.days, each.last, each.before, each.after) for each in found] == [
        ("all * USD", "loan_count", 1, JAN_1, 3, 2),
        ("O1 USD", "total_collected", 2, JAN_2, Decimal("10.00"), Decimal("9.00")),
        ("O1 USD", "health_score", 1, JAN_2, 50.0, 62.5),
        ("O1 USD", "missing", 1, JAN_2, None, "collection_rate"),
        ("O2 USD", "total_collected", 1, JAN_2, Decimal("10.00"), None),
        ("O2 USD", "health_score", 1, JAN_2, 50.0, None),
    ]


def test_one_manager_and_some_days(lake, versions):
    assert [each.metric for each in changed_metrics(lake, versions, JAN_1, JAN_1, "O1")] == ["total_collected"]
    assert changed_metrics(lake, versions, JAN_1, JAN_1, "O2") == []


def test_a_table_that_was_not_there_before_is_not_compared(lake, versions):
    assert changed_metrics(lake, {}, JAN_1, JAN_2) == []


def test_the_changes_in_words(lake, versions):
    lines = changes_as_text(changed_metrics(lake, versions, JAN_1, JAN_2)).splitlines()
    assert lines[0] == "Closing again changed 6 metrics"
    assert lines[3].split()[-6:] == ["total_collected", "2025-01-02", "2", "10.00", "9.00", "-1.00"]
    assert lines[4].split()[-3:] == ["50.00000000", "62.50000000", "+12.50000000"]
    assert lines[6].split()[-2:] == ["10.00", "-"]
    assert changes_as_text([]).startswith("Closing again changed no metric")


def test_a_long_list_is_cut_and_says_so(lake, versions):
    many = changed_metrics(lake, versions, JAN_1, JAN_2) * 10
    assert changes_as_text(many).endswith("\n  and 20 more; --verbose lists all")
    assert len(changes_as_text(many, every=True).splitlines()) == 62
