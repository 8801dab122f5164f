"""Personal data is in a report only when its form allows it; a report that leaves it out says so."""

import json

import pytest
import tiny_lake
from tiny_lake import rows

from lending_pipelines.errors import LendingError
from lending_pipelines.exports.export import export
from lending_pipelines.reports.parameters import PersonalData
from lending_pipelines.reports.registry import get, report_types
from lending_pipelines.tables import TABLES
from lending_pipelines.tapes.catalogue import CATALOGUE

PERSONS = {
    "borrowers": ("borrower_id",),
    "staff": ("full_name", "email"),
    "loans": ("officer_id",),
    "journal_lines": ("memo",),
    "compliance_checks": ("detail",),
}
WITHOUT_STAFF_NUMBERS = {"manager_performance", "collection_performance", "weekly_summary"}
"""Reports on the work of staff, which name them by their numbers."""


@pytest.fixture(scope="module")
def persons(home_lake):
    """Every value of a lender's personal columns that is long enough to be nothing else, by column."""
    found = {}
    for table, names in PERSONS.items():
        rows_of = home_lake.table(table).select(names).to_pyarrow()
        for name in names:
            found[name] = {value for value in rows_of[name].to_pylist() if value and len(value) > 3}
    return found


# A statement of account is refused without personal data (test_reports_borrower_statement.py).
@pytest.mark.parametrize("report_type", [name for name in report_types() if name != "borrower_statement"])
def test_no_report_names_a_person_unless_allowed(home_source, persons, report_type, tmp_path):
    book = tiny_lake.generate(home_source, report_type)
    text = json.loads(export(book, "json", str(tmp_path / "report")) and (tmp_path / "report.json").read_text())
    values = {value for table in text["tables"] for row in table["rows"] for value in row.values()}
    for name, personal in persons.items():
        if not (name == "officer_id" and report_type in WITHOUT_STAFF_NUMBERS):
            assert values & personal == set(), name
    assert [column.name for table in book.tables for column in table.columns if column.personal] == []

    if not issubclass(get(report_type).parameters, PersonalData):
        assert not any("Personal data" in note for note in book.notes)
        return
    allowed = tiny_lake.generate(home_source, report_type, allow_pii=True)
    assert allowed.parameters["allow_pii"] == "True"
    assert not any("Personal data" in note for note in allowed.notes)
    for shown, hidden in zip(allowed.tables, book.tables, strict=True):
        assert [column for column in shown.columns if not column.personal] == list(hidden.columns)
        assert (len(shown.frame), shown.totals) == (len(hidden.frame), hidden.totals)
        if shown.personal and not shown.frame.empty:
            (note,) = [note for note in book.notes if "Personal data is left out" in note]
            names = ", ".join(column.label for column in shown.personal)
            assert f"{names} in {shown.title}" in note
            assert note.endswith("Set allow_pii=true to print it.")


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
