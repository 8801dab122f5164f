"""The rows and batches that a sync refuses, and what it says of them."""

from decimal import Decimal

import pyarrow as pa
import pytest
from syncing import Rows, journal_line, refused, sync_table

from lending_pipelines.conventions import Conventions
from lending_pipelines.sources import SourceError, SyncError
from lending_pipelines.tables import SERVICING
from lending_pipelines.tables.servicing import TRANSACTION_TYPES


def test_an_unknown_transaction_type_is_refused(lake, make_transaction):
    message = refused(Rows(make_transaction(1), make_transaction(2, "gift")), "transactions", lake)
    assert message.startswith("transactions.type: 1 rows have a value that is not one of disbursement, capitalization")
    assert message.endswith("(transaction_id=T2 has 'gift')")


def test_a_null_in_a_required_column_is_refused(lake, make_transaction):
    message = refused(Rows(make_transaction(1, loan_id=None)), "transactions", lake)
    assert message == "transactions.loan_id: 1 rows have no value (transaction_id=T1)"


def test_an_amount_that_is_not_its_components_is_refused(lake, make_transaction):
    message = refused(Rows(make_transaction(1, amount=Decimal("100.31"))), "transactions", lake)
    assert message == "transactions.amount: 1 rows are not principal + interest + fees (transaction_id=T1 has 100.31)"


def test_a_negative_component_is_refused(lake, make_transaction):
    row = make_transaction(1, amount=Decimal("20.20"), interest=Decimal("-40.05"))
    assert refused(Rows(row), "transactions", lake) == (
        "transactions.interest: 1 rows are negative (transaction_id=T1 has -40.05)"
    )


@pytest.mark.parametrize("keys_at_a_time", [1_000, 3])
def test_duplicate_keys_are_refused_with_the_first_few(lake, make_transaction, monkeypatch, keys_at_a_time):
    """Also if they are looked for in groups of few keys."""
    monkeypatch.setattr("lending_pipelines.sources.rules.KEYS_AT_A_TIME", keys_at_a_time)
    twice = [make_transaction(day) for day in range(1, 8)] * 2
    assert refused(Rows(*twice), "transactions", lake) == (
        "transactions.transaction_id: 7 rows have a key that occurs more than once "
        "(transaction_id=T1; transaction_id=T2; transaction_id=T3; transaction_id=T4; transaction_id=T5)"
    )


def test_a_key_of_two_columns_is_shown_whole(lake):
    message = refused(Rows(journal_line(1), journal_line(1)), "journal_lines", lake)
    assert (
        message
        == "journal_lines.entry_id, line_no: 1 rows have a key that occurs more than once (entry_id=E1, line_no=1)"
    )


RED_STORNO = Conventions(negative_journal_lines=True)


@pytest.mark.parametrize(("debit", "credit"), [("10", "10"), ("10", "-5"), ("-10", "10")])
@pytest.mark.parametrize("conventions", [Conventions(), RED_STORNO], ids=["default", "red storno"])
def test_a_journal_line_has_one_side(lake, debit, credit, conventions):
    lines = journal_line(1), journal_line(2, debit=Decimal(debit), credit=Decimal(credit))
    with pytest.raises(SyncError) as error:
        sync_table(Rows(*lines), SERVICING["journal_lines"], lake, conventions=conventions)
    fault = f"journal_lines.debit: 1 rows have both a debit and a credit (entry_id=E1, line_no=2 has {debit}.00)"
    assert fault in str(error.value)


def test_negative_journal_lines_are_refused_with_the_convention_that_allows_them(lake):
    lines = journal_line(1, debit=Decimal(-10)), journal_line(2, debit=Decimal(0), credit=Decimal(-10))
    advice = "where the ledger corrects entries so (red storno), set the convention negative_journal_lines = true"
    assert refused(Rows(*lines), "journal_lines", lake) == (
        f"journal_lines.debit: 1 rows are negative; {advice} (entry_id=E1, line_no=1 has -10.00); "
        f"journal_lines.credit: 1 rows are negative; {advice} (entry_id=E1, line_no=2 has -10.00)"
    )
    assert sync_table(Rows(*lines), SERVICING["journal_lines"], lake, conventions=RED_STORNO).rows_added == 2


def test_a_journal_line_of_nothing_is_taken(lake):
    nothing = journal_line(1, debit=Decimal(0))
    assert sync_table(Rows(nothing), SERVICING["journal_lines"], lake).rows_added == 1


def test_a_reversal_of_nothing_is_refused(lake, make_transaction):
    message = refused(Rows(make_transaction(1, "reversal")), "transactions", lake)
    assert message == "transactions.reverses_id: 1 rows are reversals without reverses_id (transaction_id=T1)"


def test_every_rule_that_is_broken_is_named(lake, make_transaction):
    message = refused(Rows(make_transaction(1, "gift", loan_id=None)), "transactions", lake)
    assert "transactions.type: 1 rows" in message
    assert "transactions.loan_id: 1 rows" in message


def test_values_that_cannot_be_read_and_rules_that_are_broken_are_named_together(lake, make_transaction):
    rows = make_transaction(1, fees="none"), make_transaction(2, "gift", effective_on="soon"), make_transaction(3)
    wrong_sum = make_transaction(4, amount=Decimal("1.00"))
    reversal = make_transaction(5, "reversal", reverses_id="T9")
    message = refused(Rows(*rows, wrong_sum, reversal), "transactions", lake)
    assert message.split("; transactions") == [
        "transactions.effective_on: 1 rows are not dates, such as 2024-01-31 (transaction_id=T2 has 'soon')",
        ".fees: 1 rows are not amounts with at most 2 decimals, up to 9,999,999,999,999,999.99 "
        "(transaction_id=T1 has 'none')",
        f".type: 1 rows have a value that is not one of {', '.join(TRANSACTION_TYPES)} (transaction_id=T2 has 'gift')",
        ".amount: 1 rows are not principal + interest + fees (transaction_id=T4 has 1.00)",
        ".reverses_id: 1 rows reverse a transaction that does not exist (transaction_id=T5 has 'T9')",
    ]


def test_an_adapter_that_gives_another_type_is_refused(lake):
    batch = pa.RecordBatch.from_pydict({"program_id": pa.array([1]), "name": pa.array(["Micro"])})
    with pytest.raises(SourceError, match=r"rows: programs\.program_id must be string, but the adapter returns int64"):
        sync_table(Rows(batches=[batch]), SERVICING["programs"], lake)


def test_an_adapter_that_leaves_out_a_column_is_refused(lake):
    batch = pa.RecordBatch.from_pydict({"program_id": pa.array(["P"])})
    with pytest.raises(
        SourceError, match=r"rows: programs\.name must be string, but the adapter returns no such column"
    ):
        sync_table(Rows(batches=[batch]), SERVICING["programs"], lake)
