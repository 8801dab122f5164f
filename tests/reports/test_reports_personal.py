"""Personal data is in a report only when its form allows it; a report that leaves it out says so."""

import pytest
from tiny_lake import rows

from lending_pipelines.errors import LendingError
from lending_pipelines.tables import TABLES
from lending_pipelines.tapes.catalogue import CATALOGUE


def test_a_borrower_is_left_out_and_printed_when_allowed(report):
    hidden, shown = report("loan_tape"), report("loan_tape", allow_pii=True)
    assert "borrower_id" not in rows(hidden, "Loan tape")[0]
    told = "Personal data is left out: Borrower ID in Loan tape. Set allow_pii=true to print it."
    assert hidden.notes == [*shown.notes, told]
    assert rows(shown, "Loan tape")[0]["borrower_id"] == "x"


def test_a_tape_of_personal_data_alone_is_refused(report):
    with pytest.raises(LendingError, match=r"all requested columns are personal data \(borrower_id\): set allow_pii"):
        report("loan_tape", fields=["borrower_id"])


def test_tables_say_once_which_columns_are_personal():
    personal = {name for table in TABLES.values() for name in table.names if table.column(name).personal}
    assert personal == {
        "borrower_id",
        "credit_score",
        "joined_on",
        "left_on",
        "locked_by",
        "officer_id",
        "full_name",
        "email",
        "memo",
        "detail",
        "reference",
        "acknowledged_by",
        "reason",
        "finding",
    }
    # A borrower's id is personal wherever it stands.
    for name in ("borrower_id", "officer_id"):
        holders = [table.column(name) for table in TABLES.values() if name in table.names]
        assert len(holders) > 2
        assert all(column.personal for column in holders)
    assert {name for name, field in CATALOGUE.items() if field.pii} == {
        "borrower_id",
        "credit_score",
        "borrower_joined_on",
        "officer_id",
        "officer_name",
    }
