"""A tape's configuration is checked before it is kept, whether it comes from a program or from a file."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from lending_pipelines.errors import LendingError
from lending_pipelines.register import Portfolios, Register, RegisterError, TapeConfigs
from lending_pipelines.tapes import DEFAULT_FIELDS, TapeError, load_tape_config, save_tape_config, tape_spec


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    register = Register(f"sqlite:///{tmp_path / 'register.db'}")
    register.upgrade()
    with register.session() as opened:
        Portfolios(opened).create("Pool", date(2025, 1, 1), portfolio_id="p")
        yield opened
    register.dispose()


@pytest.mark.parametrize(("zone", "hours"), [("Etc/GMT+12", -12), ("Etc/GMT-14", 14)])
def test_a_tape_is_delivered_from_the_lenders_day_on(session, monkeypatch, zone, hours):
    monkeypatch.setenv("LENDING_TIMEZONE", zone)
    before = datetime.now(UTC)
    config = save_tape_config(session, "Plain", "p")

    # The two zones never have the same date, so the date of this machine is wrong in one of them.
    assert config.deliver_from in {(now + timedelta(hours=hours)).date() for now in (before, datetime.now(UTC))}


def test_a_saved_configuration_is_the_tape_that_it_says(session):
    save_tape_config(session, "Plain", "p")
    fields = ["loan_id", {"field": "borrower_id", "as": "obligor"}]
    save_tape_config(session, "Personal", "p", required_fields=fields, allow_pii=True, tape_schedule="quarterly")
    save_tape_config(
        session,
        "AL",
        "p",
        template="sec_schedule_al_auto_loans",
        template_values={"originatorName": "Acme"},
        tape_format="xml",
    )

    specs = {config.name: tape_spec(config) for config in TapeConfigs(session).active()}
    assert [field.field for field in specs["Plain"].fields] == list(DEFAULT_FIELDS)
    assert [column.name for column in specs["Personal"].columns] == ["loan_id", "obligor"]
    assert (specs["AL"].tape_format, specs["AL"].columns[0].name) == ("xml", "assetTypeNumber")
    assert specs["AL"].template_values == {"originatorName": "Acme"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"required_fields": ["loan_id", "principal_outstandin"]}, "did you mean 'principal_outstanding'"),
        ({"required_fields": ["loan_id", "credit_score"]}, "credit_score is personal data"),
        ({"tape_schedule": "fortnightly"}, "tape_schedule 'fortnightly' is not valid"),
        ({"template": "esma_annex_5"}, "unknown tape template 'esma_annex_5'"),
        ({"template": "esma_annex5_auto", "allow_pii": True}, "AUTL1.*set them in template_values"),
        ({"holiday_calendar": "XNYSE", "business_day_convention": "following"}, "did you mean 'XNYS'"),
        (
            {"tape_schedule": "0 0 15 6 *", "holiday_calendar": "XNYSE", "business_day_convention": "following"},
            "unknown holiday_calendar 'XNYSE'",
        ),
        ({"holiday_calendar": "XNYS"}, "holiday_calendar needs a business_day_convention"),
        ({"business_day_convention": "folowing"}, "unknown business_day_convention 'folowing': did you mean"),
        ({"delivery_url": "sftp://me:hush@host/in"}, "contains a password"),
        ({"recipient_email": "ann@harbour.example, bob"}, "'bob' is not an email address"),
        ({"owner_email": "capital markets"}, "'capital markets' is not an email address"),
        (
            {"deliver_from": "2025-03-31"},
            "deliver_from is '2025-03-31': write a date from 1900-01-01 to 2199-12-31, without quotes",
        ),
        ({"late_after_hours": -1}, "late_after_hours is -1: write a whole number of hours from 0 to 8,784"),
        ({"late_after_hours": 100_000_000}, "late_after_hours is 100000000: write a whole number of hours"),
        ({"deliver_from": date(1, 1, 1)}, "write a date from 1900-01-01 to 2199-12-31"),
        ({"tape_format": "pdf"}, "tape_format: Input should be"),
        ({"allow_empty": "no"}, "allow_empty is 'no': write true or false, without quotes"),
        (
            {"required_fields": ["loan_id", "ballance"], "tape_schedule": "fortnightly"},
            "unknown field 'ballance'.*; tape 'Daily': tape_schedule 'fortnightly' is not valid",
        ),
    ],
)
def test_a_wrong_configuration_is_refused_and_not_kept(session, settings, message):
    with pytest.raises(TapeError, match=message):
        save_tape_config(session, "Daily", "p", **settings)
    assert TapeConfigs(session).active() == []


def test_a_configuration_is_read_from_a_file(session, tmp_path):
    file = tmp_path / "tape.toml"
    file.write_text(
        'name = "Autos"\nportfolio = "Pool"\ntemplate = "sec_schedule_al_auto_loans"\ntape_format = "csv"\n'
        '[template_values]\nvehicleNewUsedCode = { new = "1", used = "2" }\n'
    )
    config = load_tape_config(session, file)
    assert (config.name, config.portfolio_id) == ("Autos", "p")
    assert tape_spec(config).template_values == {"vehicleNewUsedCode": {"new": "1", "used": "2"}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('name = "A"\nportfolio = "Poole"', "there is no portfolio 'Poole': did you mean 'Pool'"),
        ('name = "A"\nportfolio = "Pool"\ninvestor = "Nobody"', "there is no investor 'Nobody'"),
        (
            'portfolio = "Poole"\ninvestor = "Nobody"\ntape_shedule = "daily"',
            "unknown setting 'tape_shedule'.*; add name = .*; there is no portfolio 'Poole'.*; .*investor 'Nob",
        ),
        (
            'name = "A"\nportfolio = "Pool"\ntape_shedule = "daily"',
            "unknown setting 'tape_shedule': did you mean 'tape_sch",
        ),
        ('portfolio = "Pool"', 'add name = "'),
        ("name =", "cannot be read: Invalid value"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(session, tmp_path, content, message):
    file = tmp_path / "tape.toml"
    file.write_text(content)
    with pytest.raises((TapeError, RegisterError), match=message) as refusal:
        load_tape_config(session, file)
    assert isinstance(refusal.value, LendingError)
    assert "\n" not in str(refusal.value)
