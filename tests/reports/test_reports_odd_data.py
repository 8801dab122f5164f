"""Every report of the registry on no data and on one loan gives a file or says what is missing."""

import one_loan
import pytest
from report_files import written
from tiny_lake import asked, generate

from lending_pipelines.conventions import Conventions
from lending_pipelines.errors import LendingError
from lending_pipelines.lake import Lake
from lending_pipelines.lake.engines import DuckDBEngine
from lending_pipelines.reports.parameters import ScopeFilters, parse_parameters
from lending_pipelines.reports.registry import get, report_types
from lending_pipelines.resources import LakeReportSource

REPORTS = report_types()
OF_LOANS = [name for name in REPORTS if issubclass(get(name).parameters, ScopeFilters)]
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
    found = written(book, tmp_path)
    assert [table["no_data"] for table in found["tables"] if not table["rows"]] == [
        table.no_data for table in book.for_programs().tables if table.frame.empty
    ]
    generator = get(report_type)
    covered = generator.covers(parse_parameters(report_type, generator.parameters, values), loan)
    assert set(covered) <= set(loan.days("loan_positions"))


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
