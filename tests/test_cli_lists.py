"""The commands that list what there is, and those that change tapes; what Tab offers."""

import os
from decimal import Decimal

import pytest
from homes import LAST, MONTHLY_TAPE, PORTFOLIO, YEARLY_TAPE, Home
from typer.testing import CliRunner

from lending_pipelines.cli import app, completion
from lending_pipelines.errors import LendingError
from lending_pipelines.register import RegisterError
from lending_pipelines.reports.registry import get, report_types


def lending(*arguments: str) -> str:
    """What the command prints; the error that it ends with is raised."""
    done = CliRunner().invoke(app, arguments)
    if isinstance(done.exception, LendingError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_reports_lists_every_type_with_a_line():
    lines = lending("reports").splitlines()
    assert [line.split()[0] for line in lines[1 : 1 + len(report_types())]] == report_types()
    assert all(get(name).description in line for name, line in zip(report_types(), lines[1:], strict=False))


@pytest.mark.parametrize("report_type", report_types())
def test_the_help_of_a_report_type_has_every_parameter_with_its_default_and_meaning(report_type):
    told = " ".join(lending("report", report_type, "--help").split())
    for name, field in get(report_type).parameters.model_fields.items():
        assert f" {name}=" in told
        assert " ".join(field.description.split()) in told


def test_the_help_of_a_report_says_what_a_parameter_may_be():
    told = lending("report", "portfolio_summary", "--help")
    assert "  as_of=latest\n" in told
    assert "One of month, day." in told
    # Without a type, it is the help of the command.
    assert "--set" in lending("report", "--help")
    assert "did you mean 'trial_balance'" in lending("report", "trial_balanc", "--help")


def test_portfolios_and_investors_are_listed_with_loans_and_balances_of_the_last_closed_day(home: Home):
    rows = home.rows("loan_positions", LAST, LAST)

    def held(column: str) -> str:
        """The number of loans and their balance in each currency, as they are printed."""
        found = [row for row in rows if row[column]]
        balances = {row["currency"]: Decimal(0) for row in sorted(found, key=lambda row: row["currency"])}
        for row in found:
            balances[row["currency"]] += row["principal_outstanding"]
        return f"{len(found)}  " + " + ".join(f"{amount:,} {currency}" for currency, amount in balances.items())

    headers, line, _, day = lending("portfolio", "list").splitlines()
    assert headers.split() == ["name", "status", "priority", "opened", "closed", "kind", "loans", "balance"]
    assert line.startswith(PORTFOLIO)
    assert line.endswith(held("portfolio_id"))
    assert day == f"Loans and balances are those of {LAST}."

    assert lending("investor", "list").splitlines()[1].endswith(held("investor_id"))


def test_tapes_are_listed_shown_edited_paused_resumed_and_retired(home: Home, tmp_path, monkeypatch):
    headers, *lines = lending("tapes").splitlines()
    assert headers.split()[:4] == ["name", "status", "schedule", "format"]
    assert [line.split("  ")[0] for line in lines[:2]] == [MONTHLY_TAPE, YEARLY_TAPE]

    shown = lending("tapes", "show", YEARLY_TAPE)
    assert 'investor = "Harbour Income Fund"\n' in shown
    assert '{ "field" = "principal_outstanding", "as" = "balance" }' in shown
    file = tmp_path / "tape.toml"
    # What is shown is taken back as it is.
    file.write_text(shown)
    lending("tapes", "edit", YEARLY_TAPE, str(file))
    assert lending("tapes", "show", YEARLY_TAPE) == shown

    file.write_text(shown.replace('tape_format = "xlsx"', 'tape_format = "parquet"\nlate_after_hours = 5'))
    assert lending("tapes", "edit", YEARLY_TAPE, str(file)) == "Fund yearly: parquet, 0 0 14 3 *\n"
    assert "late_after_hours = 5\n" in lending("tapes", "show", YEARLY_TAPE)
    file.write_text(shown.replace('"product_name"', '"product_nam"'))
    with pytest.raises(LendingError, match="did you mean 'product_name'"):
        lending("tapes", "edit", YEARLY_TAPE, str(file))
    file.write_text(shown.replace(YEARLY_TAPE, "Other"))
    with pytest.raises(LendingError, match="a tape keeps its name, write name = 'Fund yearly'"):
        lending("tapes", "edit", YEARLY_TAPE, str(file))
    assert 'tape_format = "parquet"' in lending("tapes", "show", YEARLY_TAPE)

    from lending_pipelines.register import TapeConfigs

    def active() -> list[str]:
        with home.register() as session:
            return [config.name for config in TapeConfigs(session).active()]

    lending("tapes", "pause", MONTHLY_TAPE)
    assert active() == [YEARLY_TAPE]
    lending("tapes", "resume", MONTHLY_TAPE)
    assert active() == [MONTHLY_TAPE, YEARLY_TAPE]
    lending("tapes", "retire", MONTHLY_TAPE, "--yes")
    assert active() == [YEARLY_TAPE]
    for command in (("resume", MONTHLY_TAPE), ("pause", MONTHLY_TAPE), ("retire", MONTHLY_TAPE, "--yes")):
        with pytest.raises(RegisterError, match="was retired on 20"):
            lending("tapes", *command)


def test_notifications_are_listed_the_latest_first(empty_home: Home):
    from lending_pipelines.register import Notifications

    assert lending("notifications") == ""
    with empty_home.register() as session:
        for subject in ("Tape late", "Run failed"):
            Notifications(session).create("run_failed", "high", recipient="ann", subject=subject, body="…")
    headers, *lines = lending("notifications").splitlines()
    columns = ["id", "created", "priority", "type", "recipient", "emailed", "read", "action", "subject"]
    assert headers.split() == columns
    assert sorted(line.split("  ")[-1].strip() for line in lines) == ["Run failed", "Tape late"]
    assert lending("notifications", "--recipient", "bob") == ""


def test_tab_offers_report_types_and_the_names_in_the_register(home: Home):
    assert completion.report_types("") == report_types()
    assert completion.report_types("trial") == ["trial_balance"]
    assert completion.portfolios("Con") == [PORTFOLIO]
    assert completion.investors("") == ["Harbour Income Fund"]
    assert completion.tapes("Fund") == [YEARLY_TAPE]
    words = {"_LENDING_COMPLETE": "complete_bash", "COMP_WORDS": "lending tapes show Fund", "COMP_CWORD": "3"}
    done = CliRunner(env=words).invoke(app, [], prog_name="lending")
    assert done.stdout.split("\n")[0] == YEARLY_TAPE


def test_tab_offers_nothing_without_a_register(empty_home: Home, monkeypatch):
    assert completion.portfolios("") == []
    monkeypatch.setitem(os.environ, "LENDING_REGISTER_URL", "no://where")
    assert completion.tapes("") == []
    assert not empty_home.folder.exists()


@pytest.mark.parametrize("command", ["tapes", "deliveries", "requests", "portfolio list", "portfolio sales"])
def test_an_empty_list_is_said_to_be_empty(empty_home: Home, command):
    done = CliRunner().invoke(app, command.split())
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "The list is empty.\n")


def test_a_new_tape_says_from_which_day_on_it_is_delivered(empty_home: Home, tmp_path):
    file = tmp_path / "tape.toml"
    text = 'name = "Fund monthly"\nportfolio = "All"\n'
    lending("portfolio", "create", "All", "--opened", "2025-01-01")
    file.write_text(text)
    assert len(lending("tape-config", str(file)).splitlines()) == 1

    file.write_text(text.replace("Fund", "Bank") + f'delivery_url = "{tmp_path}/out"\ndeliver_from = 2025-03-31\n')
    told = lending("tape-config", str(file))
    assert "Tapes of 2025-03-31 and later are delivered by the running UI or daemon." in told
    assert "`lending deliver 'Bank monthly' DAY`" in told
