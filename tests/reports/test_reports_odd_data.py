"""Every report of the registry on no data, on one loan and on a whole lender gives a file or says what is missing."""

import json
from functools import cache
from pathlib import Path
from typing import get_args

import one_loan
import pytest
from tiny_lake import asked, generate

from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.exports.export import WITH_FIRST_PAGE, export
from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.register.models import OutputFormat
from lending_pipelines.reports import headlines
from lending_pipelines.reports.parameters import InPeriod, ScopeFilters, parse_parameters
from lending_pipelines.reports.registry import get, report_types
from lending_pipelines.resources import LakeReportSource

REPORTS = report_types()
# A statement of account needs a loan, which there is none of before the book began.
IN_PERIODS = [name for name in REPORTS if issubclass(get(name).parameters, InPeriod) and name != "borrower_statement"]
OF_LOANS = [name for name in REPORTS if issubclass(get(name).parameters, ScopeFilters)]
BEFORE = {"period": "custom", "from_date": "1999-01-01", "to_date": "1999-03-31"}
BEGIN = "has no days yet: run lending close --from"


@pytest.fixture(scope="module")
def lakes(tmp_path_factory):
    """A lake of that name, empty at first."""
    folder, engine = tmp_path_factory.mktemp("lakes"), DuckDBEngine()
    yield lambda name: Lake(str(folder / name), engine)
    engine.close()


def _source(lake):
    return LakeReportSource(lake, Conventions())


@pytest.fixture(scope="module")
def nothing(lakes):
    return _source(lakes("nothing"))


@pytest.fixture(scope="module")
def no_loans(lakes):
    lake = lakes("no_loans")
    one_loan.synced(lake, {})
    return _source(lake)


@pytest.fixture(scope="module")
def loan(lakes):
    lake = lakes("one_loan")
    one_loan.closed(lake)
    return _source(lake)


@pytest.fixture(scope="module")
def lender(lakes, closed_home):
    return _source(Lake(str(closed_home.folder / "lake"), lakes("lender").engine))


@pytest.fixture(scope="module")
def whole(lender):
    """The book of a report on the whole lender with the parameters of its form, made once."""
    return cache(lambda report_type: generate(lender, report_type, **asked(lender, report_type)))


def _files(book, folder):
    """Write the book in every format; what its JSON says."""
    for output_format in get_args(OutputFormat):
        file = export(book, output_format, str(folder / book.report_type))
        assert Path(file.url).stat().st_size == file.bytes > 100
        tables = book.tables if output_format in WITH_FIRST_PAGE else book.for_programs().tables
        printed = [len(table.frame) if table.printed_rows is None else table.printed_rows for table in tables]
        most = printed if output_format == "pdf" else [len(table.frame) for table in tables]
        assert file.rows == sum(min(len(table.frame), rows) for table, rows in zip(tables, most, strict=True))
    written = json.loads((folder / f"{book.report_type}.json").read_text(encoding="utf-8"))
    for table in written["tables"]:
        assert bool(table["no_data"]) != bool(table["rows"]), table["title"]
    assert (written["no_data"] is None) == any(table["rows"] for table in written["tables"])
    return written


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
def test_before_the_first_close_it_says_what_to_do(report_type, nothing, no_loans):
    with pytest.raises(LendingError, match=f"{BEGIN}|was never written to .*: run `lending sync` first"):
        generate(nothing, report_type, **asked(nothing, report_type))
    with pytest.raises(LendingError, match=BEGIN):
        generate(no_loans, report_type, **asked(no_loans, report_type))


@pytest.mark.parametrize("report_type", REPORTS)
def test_one_loan_of_a_source_with_little_else_is_a_file_in_every_format(report_type, loan, tmp_path):
    values = {"portfolio": one_loan.LONG_NAME} if report_type in OF_LOANS else asked(loan, report_type)
    book = generate(loan, report_type, **values)
    assert values.get("portfolio", "") in book.title
    written = _files(book, tmp_path)
    assert [table["no_data"] for table in written["tables"] if not table["rows"]] == [
        table.no_data for table in book.for_programs().tables if table.frame.empty
    ]
    generator = get(report_type)
    covered = generator.covers(parse_parameters(report_type, generator.parameters, values), loan)
    assert set(covered) <= set(loan.days("loan_positions"))


@pytest.mark.parametrize("report_type", REPORTS)
def test_a_whole_lender_is_a_file_in_every_format_with_currencies_apart(report_type, whole, tmp_path):
    book = whole(report_type)
    written = _files(book, tmp_path)
    assert written["report_type"] == report_type
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


@pytest.mark.parametrize("report_type", OF_LOANS)
def test_a_portfolio_that_is_not_there_is_an_error_with_the_names_that_are(report_type, loan):
    with pytest.raises(LendingError, match=f"no portfolio 'Кредиты' on 2025-02-28; .*{one_loan.LONG_NAME}"):
        generate(loan, report_type, portfolio="Кредиты")


@pytest.mark.parametrize("report_type", REPORTS)
def test_every_field_of_its_form_has_a_default_and_says_what_it_is(report_type):
    generator = get(report_type)
    for name, field in generator.parameters.model_fields.items():
        assert not field.is_required(), name
        assert field.default not in (None, ""), name
        assert len(field.description) > 10, name
    assert parse_parameters(report_type, generator.parameters, {}) == generator.parameters()
