"""Every report of the registry on a whole lender: its files, headlines, numbers before the book, and persons."""

import json
from functools import cache

import pytest
from report_files import written
from tiny_lake import asked, generate

from lending_pipelines.conventions import Conventions
from lending_pipelines.exports.export import export
from lending_pipelines.reports import headlines
from lending_pipelines.reports.parameters import InPeriod, PersonalData, parse_parameters
from lending_pipelines.reports.registry import get, report_types
from lending_pipelines.resources import LakeReportSource

REPORTS = report_types()
# A statement of account needs a loan, which there is none of before the book began.
IN_PERIODS = [name for name in REPORTS if issubclass(get(name).parameters, InPeriod) and name != "borrower_statement"]
BEFORE = {"period": "custom", "from_date": "1999-01-01", "to_date": "1999-03-31"}
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
def lender(home_lake):
    return LakeReportSource(home_lake, Conventions())


@pytest.fixture(scope="module")
def whole(lender):
    """The book of a report on the whole lender with the parameters of its form, made once."""
    return cache(lambda report_type: generate(lender, report_type, **asked(lender, report_type)))


@pytest.fixture(scope="module")
def persons(home_lake):
    """Every value of a lender's personal columns that is long enough to be nothing else, by column."""
    found = {}
    for table, names in PERSONS.items():
        rows_of = home_lake.table(table).select(names).to_pyarrow()
        for name in names:
            found[name] = {value for value in rows_of[name].to_pylist() if value and len(value) > 3}
    return found


def _numbers(book):
    """The amounts, counts and rates that a book prints, nulls left out."""
    return [
        (table.title, column.name, value)
        for table in book.tables
        for column in table.columns
        if column.kind in ("money", "count", "rate", "ratio", "percent")
        for value in table.arrow()[column.name].to_pylist()
        if value is not None
    ]


@pytest.mark.parametrize("report_type", REPORTS)
def test_a_whole_lender_is_a_file_in_every_format_with_currencies_apart(report_type, whole, tmp_path):
    book = whole(report_type)
    assert written(book, tmp_path)["report_type"] == report_type
    for table in book.tables:
        if any(column.kind == "money" for column in table.columns):
            assert {"currency", "asset_type"} & {*table.names} or table.title.endswith(("USD", "EUR")), table.title


@pytest.mark.parametrize("report_type", REPORTS)
def test_headlines_do_not_depend_on_the_length_of_lists_and_histories(report_type, lender, whole):
    parameters = parse_parameters(report_type, get(report_type).parameters, asked(lender, report_type))
    smallest = headlines._smallest(parameters)
    if not smallest:
        return
    made = whole(report_type), generate(lender, report_type, **smallest)
    numbers = [book.headlines and book.headlines.arrow().to_pylist() for book in made]
    assert numbers[0] == numbers[1]
    # The lender modified no loan, and none of its closed days differs.
    assert numbers[0] or report_type in ("modification_summary", "restatement")


@pytest.mark.parametrize("report_type", IN_PERIODS)
def test_a_period_before_the_book_began_prints_no_numbers(report_type, lender):
    book = generate(lender, report_type, **BEFORE)
    assert [number for number in _numbers(book) if number] == []


# A statement of account is refused without personal data (test_reports_borrower_statement.py).
@pytest.mark.parametrize("report_type", [name for name in REPORTS if name != "borrower_statement"])
def test_no_report_names_a_person_unless_allowed(report_type, lender, whole, persons, tmp_path):
    book = whole(report_type)
    text = json.loads(export(book, "json", str(tmp_path / "report")) and (tmp_path / "report.json").read_text())
    values = {value for table in text["tables"] for row in table["rows"] for value in row.values()}
    for name, personal in persons.items():
        if not (name == "officer_id" and report_type in WITHOUT_STAFF_NUMBERS):
            assert values & personal == set(), name
    assert [column.name for table in book.tables for column in table.columns if column.personal] == []

    if not issubclass(get(report_type).parameters, PersonalData):
        assert not any("Personal data" in note for note in book.notes)
        return
    allowed = generate(lender, report_type, allow_pii=True)
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
