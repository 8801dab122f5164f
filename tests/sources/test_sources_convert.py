from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lending_pipelines.sources import SourceError
from lending_pipelines.sources.convert import record_batch, to_arrow
from lending_pipelines.tables import SERVICING

MONEY = pa.decimal128(18, 2)
INSTANT = pa.timestamp("us")


@pytest.mark.parametrize(
    ("values", "type_", "expected"),
    [
        ([1, 2.5, None], MONEY, [Decimal("1.00"), Decimal("2.50"), None]),
        ([0.1 + 0.2], MONEY, [Decimal("0.30")]),
        ([100], MONEY, [Decimal("100.00")]),
        ([Decimal("1.5"), Decimal("1.500")], MONEY, [Decimal("1.50"), Decimal("1.50")]),
        ([0.0664], pa.decimal128(9, 6), [Decimal("0.066400")]),
        ([None, None], MONEY, [None, None]),
        (["2025-01-31"], pa.date32(), [date(2025, 1, 31)]),
        ([date(2025, 1, 31)], pa.date32(), [date(2025, 1, 31)]),
        (["2025-01-31 10:00:00.250000"], INSTANT, [datetime(2025, 1, 31, 10, 0, 0, 250000)]),
        (["2025-01-31T10:00:00+02:00"], INSTANT, [datetime(2025, 1, 31, 8)]),
        ([datetime(2025, 1, 31, 10, tzinfo=timezone(timedelta(hours=2)))], INSTANT, [datetime(2025, 1, 31, 8)]),
        ([datetime(2025, 1, 31, 10, tzinfo=UTC)], INSTANT, [datetime(2025, 1, 31, 10)]),
        ([date(2025, 1, 31)], INSTANT, [datetime(2025, 1, 31)]),
        ([1, 0, None], pa.bool_(), [True, False, None]),
        ([Decimal("3"), Decimal("4")], pa.int64(), [3, 4]),
    ],
)
def test_what_means_the_same_is_taken(values, type_, expected):
    assert to_arrow(values, type_).to_pylist() == expected


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (1.005, MONEY),
        (Decimal("1.005"), MONEY),
        (0.00001, MONEY),
        (1_497_481_943.005, MONEY),
        (float("nan"), MONEY),
        (Decimal("NaN"), MONEY),
        (1e17, MONEY),
        (10**17, MONEY),
        ("12.50", MONEY),
        (True, MONEY),
        (0.1234567, pa.decimal128(9, 6)),
        ("abc", pa.date32()),
        ("2025-02-30", pa.date32()),
        ("2025-01-31 10:00:00", pa.date32()),
        (datetime(2025, 1, 31, 10), pa.date32()),
        (20250131, pa.date32()),
        ("yesterday", INSTANT),
        (1738317600, INSTANT),
        (2, pa.bool_()),
        ("true", pa.bool_()),
        (3.5, pa.int64()),
        ("3", pa.int64()),
        (7, pa.string()),
    ],
)
def test_what_does_not_is_refused(value, type_):
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
        to_arrow([value], type_)


@given(st.lists(st.integers(-(10**15), 10**15), min_size=1))
@example([1_497_481_943_038])
def test_cents_survive_a_float_exactly(cents):
    amounts = [Decimal(n).scaleb(-2) for n in cents]
    assert to_arrow([float(amount) for amount in amounts], MONEY).to_pylist() == amounts


def test_harmless_mixtures_are_taken_value_by_value():
    instants = ("2025-01-31 10:00:00", "2025-01-31T10:00:00Z", "2025-01-31T11:00:00+01:00")
    columns = [("W1", "W2", "W3"), ("A", "A", "A"), (Decimal("1.5"), 2.25, 3), instants]

    batch = record_batch("canonical", SERVICING["wallet_transactions"], columns)

    assert batch["amount"].to_pylist() == [Decimal("1.50"), Decimal("2.25"), Decimal("3.00")]
    assert batch["occurred_at"].to_pylist() == [datetime(2025, 1, 31, 10)] * 3


def test_an_error_names_the_rows_by_their_keys():
    table = SERVICING["wallet_transactions"]
    columns = [("W1", "W2", "W3"), ("A", "A", "A"), (1.25, "much", 1.001), ("2025-01-01 00:00:00",) * 3]

    with pytest.raises(SourceError) as error:
        record_batch("canonical", table, columns)

    assert str(error.value) == (
        "canonical: wallet_transactions.amount must be decimal(18, 2), but 2 or more rows are not: "
        "wallet_transaction_id=W2 has 'much'; wallet_transaction_id=W3 has 1.001"
    )
