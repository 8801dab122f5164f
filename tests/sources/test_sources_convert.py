from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import islice

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lending_pipelines.sources.batches import UnreadableValues, record_batches
from lending_pipelines.sources.convert import to_arrow
from lending_pipelines.tables import SERVICING

MONEY = pa.decimal128(18, 2)
RATE = pa.decimal128(12, 8)
INSTANT = pa.timestamp("us")


@pytest.mark.parametrize(
    ("values", "type_", "expected"),
    [
        ([1, 2.5, None], MONEY, [Decimal("1.00"), Decimal("2.50"), None]),
        ([0.1 + 0.2], MONEY, [Decimal("0.30")]),
        ([100], MONEY, [Decimal("100.00")]),
        ([Decimal("1.5"), Decimal("1.500")], MONEY, [Decimal("1.50"), Decimal("1.50")]),
        (
            ["12.50", "-3", "+0.500000000000000000000", None],
            MONEY,
            [Decimal(n) for n in ("12.50", "-3.00", "0.50")] + [None],
        ),
        (["9999999999999999.99"], MONEY, [Decimal("9999999999999999.99")]),
        ([0.0664], RATE, [Decimal("0.06640000")]),
        ([Decimal("0.12345678")], RATE, [Decimal("0.12345678")]),
        # What a real shows: 0.15, although it is stored as 0.1500000059604645.
        (pa.array([0.15, 0.0664], pa.float32()), RATE, [Decimal("0.15000000"), Decimal("0.06640000")]),
        (pa.array([12345.67], pa.float32()), MONEY, [Decimal("12345.67")]),
        ([None, None], MONEY, [None, None]),
        (pa.array([None], pa.string()), MONEY, [None]),
        (["2025-01-31"], pa.date32(), [date(2025, 1, 31)]),
        (["2025-01-31 00:00:00", "2025-02-28"], pa.date32(), [date(2025, 1, 31), date(2025, 2, 28)]),
        (["2025-01-31T00:00:00.000000Z"], pa.date32(), [date(2025, 1, 31)]),
        ([datetime(2025, 1, 31), None], pa.date32(), [date(2025, 1, 31), None]),
        ([date(2025, 1, 31)], pa.date32(), [date(2025, 1, 31)]),
        (["2025-01-31 10:00:00.250000"], INSTANT, [datetime(2025, 1, 31, 10, 0, 0, 250000)]),
        (["2025-01-31T10:00:00+02:00"], INSTANT, [datetime(2025, 1, 31, 8)]),
        ([datetime(2025, 1, 31, 10, tzinfo=timezone(timedelta(hours=2)))], INSTANT, [datetime(2025, 1, 31, 8)]),
        ([datetime(2025, 1, 31, 10, tzinfo=UTC)], INSTANT, [datetime(2025, 1, 31, 10)]),
        ([date(2025, 1, 31)], INSTANT, [datetime(2025, 1, 31)]),
        ([1, 0, None], pa.bool_(), [True, False, None]),
        (["t", "F", "true", "False", "1", "0", None], pa.bool_(), [True, False, True, False, True, False, None]),
        ([1.0, 0.0], pa.bool_(), [True, False]),
        ([Decimal("3"), Decimal("4.00")], pa.int64(), [3, 4]),
        (["3", "-4.0"], pa.int64(), [3, -4]),
        ([7, -8, None], pa.string(), ["7", "-8", None]),
        ([7.0], pa.string(), ["7"]),
        ([Decimal("12345678901234567890.00")], pa.string(), ["12345678901234567890"]),
    ],
)
def test_what_converts_without_loss_is_taken(values, type_, expected):
    assert to_arrow(values, type_).to_pylist() == expected


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        ([1.005], MONEY),
        ([Decimal("1.005")], MONEY),
        (["1.005"], MONEY),
        (["1,250.00"], MONEY),
        (["1e3"], MONEY),
        ([""], MONEY),
        ([0.00001], MONEY),
        ([1_497_481_943.005], MONEY),
        # A float of this size is a whole number of 64ths: 0.78 was meant perhaps, 0.75 is stored.
        ([1_234_567_890_123_456.78], MONEY),
        (pa.array([1_234_567.89], pa.float32()), MONEY),
        (pa.array([0.001], pa.float32()), MONEY),
        ([float("nan")], MONEY),
        ([float("inf")], MONEY),
        ([Decimal("NaN")], MONEY),
        ([1e17], MONEY),
        ([10**17], MONEY),
        (["10000000000000000.00"], MONEY),
        ([True], MONEY),
        ([b"5"], MONEY),
        ([0.123456789], RATE),
        (["abc"], pa.date32()),
        (["2025-02-30"], pa.date32()),
        (["2025-01-31 10:00:00"], pa.date32()),
        (["2025-01-31T00:00:00+02:00"], pa.date32()),
        ([datetime(2025, 1, 31, 10)], pa.date32()),
        ([date(2025, 1, 31), datetime(2025, 1, 31, 10)], pa.date32()),
        ([20250131], pa.date32()),
        (["yesterday"], INSTANT),
        ([1738317600], INSTANT),
        ([2], pa.bool_()),
        ([0.5], pa.bool_()),
        (["yes"], pa.bool_()),
        ([3.5], pa.int64()),
        (["3.5"], pa.int64()),
        ([True], pa.int64()),
        ([7.5], pa.string()),
        ([Decimal("7.5")], pa.string()),
        ([True], pa.string()),
        ([date(2025, 1, 31)], pa.string()),
        ([b"L1"], pa.string()),
    ],
)
def test_what_does_not_is_refused(values, type_):
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
        to_arrow(values, type_)


@given(st.lists(st.integers(-(10**15), 10**15), min_size=1))
@example([1_497_481_943_038])
def test_cents_survive_a_float_exactly(cents):
    amounts = [Decimal(n).scaleb(-2) for n in cents]
    assert to_arrow([float(amount) for amount in amounts], MONEY).to_pylist() == amounts


def test_columns_of_several_types_are_taken_value_by_value():
    instants = ("2025-01-31 10:00:00", "2025-01-31T10:00:00Z", "2025-01-31T11:00:00+01:00")
    columns = [("W1", 2, "W3"), ("A", "A", "A"), (Decimal("1.5"), 2.25, "3"), instants]

    (batch,) = record_batches("canonical", SERVICING["wallet_transactions"], [columns])

    assert batch["wallet_transaction_id"].to_pylist() == ["W1", "2", "W3"]
    assert batch["amount"].to_pylist() == [Decimal("1.50"), Decimal("2.25"), Decimal("3.00")]
    assert batch["occurred_at"].to_pylist() == [datetime(2025, 1, 31, 10)] * 3


def test_one_error_names_all_faults_of_all_columns_and_groups():
    table = SERVICING["wallet_transactions"]
    now = "2025-01-01 00:00:00"
    groups = [
        [("W1", "W2", "W3"), ("A", "A", "A"), (1.25, "much", 1.001), (now, "noon", now)],
        [("W4", "W5"), ("A", b"B"), (None, "more"), (now, now)],
    ]
    reading = record_batches("canonical", table, groups)

    # What can be converted is handed out until the end.
    assert [batch["amount"].to_pylist() for batch in islice(reading, 2)] == [
        [Decimal("1.25"), None, None],
        [None, None],
    ]
    with pytest.raises(UnreadableValues) as error:
        next(reading)
    assert str(error.value) == (
        "canonical: table wallet_transactions cannot be read: "
        "wallet_transactions.wallet_id: 1 rows are not text (wallet_transaction_id=W5 has b'B'); "
        "wallet_transactions.amount: 3 rows are not amounts with at most 2 decimals, up to 9,999,999,999,999,999.99 "
        "(wallet_transaction_id=W2 has 'much'; wallet_transaction_id=W3 has 1.001; "
        "wallet_transaction_id=W5 has 'more'); "
        "wallet_transactions.amount: 1 rows have no value (wallet_transaction_id=W4); "
        "wallet_transactions.occurred_at: 1 rows are not timestamps, such as 2024-01-31 10:00:00 "
        "(wallet_transaction_id=W2 has 'noon')"
    )


def test_a_column_that_is_wrong_throughout_is_not_looked_at_to_the_end():
    names = [f"P{n}" for n in range(900)]
    reading = record_batches("canonical", SERVICING["programs"], [[names, [b""] * 900]] * 3)

    assert [batch["name"].null_count for batch in islice(reading, 3)] == [900, 900, 900]
    with pytest.raises(UnreadableValues, match=r"programs\.name: 1800 or more rows are not text .*=P0 has b''"):
        next(reading)
