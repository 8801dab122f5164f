"""The demonstration: which home it takes, which days it has, and what is wrong in it on purpose."""

import io
from datetime import UTC, date, datetime, timedelta
from importlib import import_module

import pytest
import sqlalchemy as sa
from homes import LAST, Home, lending

from lending_pipelines.cli.demo_home import MARKER, DemoError, demo_spec, new_home
from lending_pipelines.errors import LendingError
from lending_pipelines.sample import SampleSpec
from lending_pipelines.settings import Settings

SPEC = SampleSpec(300, date(2025, 12, 1), date(2026, 1, 31), 1, "healthy")


def test_it_ends_yesterday_and_begins_with_the_month_17_months_before(monkeypatch):
    monkeypatch.delenv("LENDING_TIMEZONE", raising=False)
    yesterday = datetime.now(UTC).date() - timedelta(days=1)

    assert demo_spec().last == yesterday
    # June 2026 is month 6; 17 months before it is January 2025.
    assert demo_spec(date(2026, 6, 30)) == SampleSpec(3000, date(2025, 1, 1), date(2026, 6, 30), 1, "healthy")
    assert demo_spec(date(2026, 1, 1)).first == date(2024, 8, 1)
    with pytest.raises(DemoError, match=f"write a last day up to {yesterday}"):
        demo_spec(yesterday + timedelta(days=1))


def test_its_home_has_a_settings_file_with_the_first_day(empty_home, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME")
    monkeypatch.delenv("LENDING_START_DATE")
    settings = new_home(SPEC, yes=False)

    assert (settings.home, settings.start_date) == (empty_home.folder, date(2025, 12, 1))
    assert settings.lender_name == "Lakeside Lending (demonstration)"


@pytest.mark.slow
def test_status_and_alerts_name_what_is_wrong_on_purpose(empty_home, monkeypatch):
    from lending_pipelines.cli import demo

    monkeypatch.delenv("DAGSTER_HOME")
    monkeypatch.setattr(demo, "REPORTS", {"trial_balance": "csv", "weekly_summary": "pdf"})
    # "Yesterday" of this test; the days since then are not closed.
    for name in ("runs", "sensors.alert_watch"):
        monkeypatch.setattr(import_module(f"lending_pipelines.{name}"), "last_ended_day", lambda: SPEC.last)
    printed: list[str] = []
    demo.run_demo(new_home(SPEC, yes=False), SPEC, printed.append, lambda step, seconds: None)
    status = lending("status")
    text = " ".join(status.stdout.split())

    # 3: warnings only.
    assert status.returncode == 3, status.stdout
    assert "Warnings (2)" in status.stdout
    # The entry of 275.00 on 29 January takes the ledger below the loans on that day and the two after it.
    assert "ledger_ties_out fails for 3 rows on 3 days from 2026-01-29 to 2026-01-31" in text
    assert "difference -275.00" in text
    assert "tape 'Harvest monthly': the tape of 2026-01-31" in text
    assert "is late: tape 'Harvest monthly' of 2026-01-31: data changed after the day was closed" in text
    assert "(servicing data or conventions of 1 loan)" in text
    # The other tapes arrived, and the end of the output says where to look.
    assert len(list((empty_home.folder / "delivered").glob("*/*.manifest.json"))) == 2
    assert any(line.startswith(f"`LENDING_HOME={empty_home.folder} lending status` shows") for line in printed)
    # The weekly summary of the last week that ended on a Sunday, 25 January.
    (summary,) = (empty_home.folder / "exports").glob("reports/weekly_summary/2026-01-25/*.pdf")
    assert f"The weekly summary that managers would get is {summary}" in printed
    # The five people of the portal come last.
    assert [line.split()[0] for line in printed[-5:]] == ["admin", "controller", "manager", "investor", "customer"]
    alerts = [" ".join(line.split()) for line in lending("alerts").stdout.splitlines()]
    assert any("Tape Harvest monthly of 2026-01-31 is late" in line for line in alerts)
    assert any(line.endswith(f"lists the {len(alerts) - 1} open alerts of it.") for line in printed)


def test_the_demo_touches_no_home_but_its_own(home, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME")
    before = home.versions()

    with pytest.raises(DemoError, match="has other content: set LENDING_HOME to a new folder"):
        new_home(SPEC, yes=False)

    assert home.versions() == before
    assert not (home.folder / MARKER).exists()


def test_the_demo_asks_before_it_deletes_reports_that_it_did_not_make(home, monkeypatch):
    from lending_pipelines.register import ReportRequests

    monkeypatch.delenv("DAGSTER_HOME")
    (home.folder / MARKER).touch()
    with home.register() as session:
        for who in ("demo", "ann"):
            report = ReportRequests(session).create("trial_balance", {}, "csv", who)
            ReportRequests(session).start(report, "run", {})
            ReportRequests(session).complete(report, file_url=f"/{who}.csv", sha256="0", report_data={})
    before = home.versions()
    asked = []
    monkeypatch.setattr("typer.echo", lambda text, **_: asked.append(text))
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))

    with pytest.raises(LendingError, match="nothing was changed"):
        new_home(SPEC, yes=False)

    assert asked[0].endswith("You made 1 reports there:\n  /ann.csv")
    assert home.versions() == before


def test_its_five_people_sign_in_to_the_portal_and_see_what_is_theirs(home, monkeypatch):
    from fastapi.testclient import TestClient

    from lending_pipelines.cli.demo_people import add_sign_ins, lines
    from lending_pipelines.portal.app import create_app

    (home.folder / MARKER).touch()
    settings = Settings.from_environment()
    passwords = []
    for _ in range(2):
        with home.register() as session:
            session.execute(sa.text("DELETE FROM account_roles"))
            session.execute(sa.text("DELETE FROM accounts"))
        password, made = add_sign_ins(settings, "Harbour Income Fund")
        passwords.append(password)
    printed = "\n".join(lines(settings, password, made))

    # Each demo has a password of its own, which is printed and not stored.
    assert len(set(passwords)) == 2
    assert password in printed
    assert "http://127.0.0.1:8000" in printed
    assert password.encode() not in (home.folder / "register.db").read_bytes()
    last = home.rows("loan_positions", LAST, LAST)
    staff = home.rows("staff")
    app = create_app(settings)
    loans, opened = {}, {}
    for each in made:
        browser = TestClient(app)
        assert browser.post("/sign-in", data={"name": each.username, "password": password}).status_code == 200
        first = browser.get("/")
        opened[each.role] = (first.status_code, first.url.path)
        loans[each.role] = browser.get("/api/v1/positions", params={"limit": 1000, "status": "active"}).json()["data"]
    app.state.portal.close()
    assert opened == {role: (200, "/account" if role == "user" else "/today") for role in opened}
    assert list(opened) == ["admin", "controller", "manager", "investor", "user"]
    active = [row for row in last if row["status"] == "active"]
    assert len(loans["admin"]) == len(loans["controller"]) == len(active)
    scopes = {each.role: each.scope for each in made}
    leader = scopes["manager"]["manager"]
    team = {leader, *(row["staff_id"] for row in staff if row["team_leader_id"] == leader)}
    (fund,) = scopes["investor"]["investors"]
    expected = {
        "manager": {row["loan_id"] for row in active if row["officer_id"] in team},
        "investor": {row["loan_id"] for row in active if row["investor_id"] == fund},
        "user": {row["loan_id"] for row in active if row["borrower_id"] == scopes["user"]["borrower"]},
    }
    for role, own in expected.items():
        assert own
        assert {row["loan_id"] for row in loans[role]} == own, role
    (user,) = {row["user_id"] for row in home.rows("users") if row["borrower_id"] == scopes["user"]["borrower"]}
    assert any(row["user_id"] == user for row in home.rows("wallets"))


def test_its_people_are_added_to_no_home_but_its_own(home):
    from lending_pipelines.cli.demo_people import add_sign_ins
    from lending_pipelines.register import Accounts

    with pytest.raises(DemoError, match="was not made by the demo: add people with `lending people add`"):
        add_sign_ins(Settings.from_environment(), "Harbour Income Fund")
    with home.register() as session:
        assert Accounts(session).all() == []


@pytest.mark.parametrize("variable", ["LENDING_SERVICING_URL", "LENDING_LAKE", "LENDING_REGISTER_URL", "DAGSTER_HOME"])
def test_the_demo_is_refused_while_a_variable_points_elsewhere(empty_home: Home, monkeypatch, variable):
    monkeypatch.delenv("DAGSTER_HOME")
    monkeypatch.setenv(variable, "elsewhere")

    with pytest.raises(DemoError, match=f"the demo creates its own data: unset {variable} first"):
        new_home(SPEC, yes=False)

    assert not empty_home.folder.exists()
