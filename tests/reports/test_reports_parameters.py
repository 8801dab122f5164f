import typing

import pytest

from lending_pipelines.errors import LendingError
from lending_pipelines.reports.parameters import parse_parameters
from lending_pipelines.reports.registry import get, report_types


def parse(report_type, **values):
    return parse_parameters(report_type, get(report_type).parameters, values)


@pytest.mark.parametrize("report_type", report_types())
def test_every_field_has_a_default_a_description_and_a_plain_type(report_type):
    model = get(report_type).parameters
    assert model() == parse(report_type)
    for name, field in model.model_fields.items():
        assert field.description, name
        assert field.default is not None, name
        origin = typing.get_origin(field.annotation)
        assert origin in (list, typing.Literal) or field.annotation in (str, int, float, bool), name


@pytest.mark.parametrize("report_type", report_types())
def test_the_stamp_has_every_parameter_as_text(report_type):
    stamp = parse(report_type).stamp()
    assert set(stamp) == set(get(report_type).parameters.model_fields)
    assert all(isinstance(value, str) for value in stamp.values())


@pytest.mark.parametrize(
    ("report_type", "values", "said"),
    [
        (
            "trial_balance",
            {"as_of": "31/01/2025"},
            "report trial_balance: as_of is '31/01/2025': write a date like 2025-01-31, or latest",
        ),
        ("trial_balance", {"as_off": "latest"}, "unknown parameter as_off; did you mean 'as_of'?"),
        ("portfolio_summary", {"by": "officer"}, "by is 'officer': write 'portfolio', 'program', 'product'"),
        ("portfolio_summary", {"history": 0}, "history is 0: Input should be greater than or equal to 1"),
        ("portfolio_summary", {"portfolio": "P1", "branch": "B1"}, "choose only one of portfolio, branch"),
        ("loan_tape", {"fields": "loan_id, principle_outstanding"}, "did you mean 'principal_outstanding'"),
        ("loan_tape", {"fields": "loan_id,loan_id"}, "write loan_id once"),
        ("loan_tape", {"fields": []}, "name at least one field"),
        ("general_ledger", {"from_date": "latest"}, "write a date like 2025-01-31, or month_start"),
    ],
)
def test_an_error_says_what_to_write(report_type, values, said):
    with pytest.raises(LendingError) as raised:
        parse(report_type, **values)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_text_of_a_command_line_becomes_numbers_and_lists():
    assert parse("portfolio_summary", history="24").history == 24
    assert parse("loan_tape", fields="loan_id, currency").fields == ["loan_id", "currency"]
