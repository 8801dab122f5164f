"""Migrations give the schema of the models. Opening is lazy, repeatable and safe for several processes at once."""

import sqlite3
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

from lending_pipelines.register import Investors, Portfolios, Register, RegisterError, ReportRequests, TapeConfigs
from lending_pipelines.register.alert_models import Alert, AlertEvent
from lending_pipelines.register.models import Base, LoanAssignment, Notification, PortfolioLoan, Report


def test_the_migrations_make_exactly_the_models_tables(register):
    plugins = ["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"]
    with register.engine.connect() as connection:
        migrated = MigrationContext.configure(connection, opts={"autogenerate_plugins": plugins})
        assert compare_metadata(migrated, Base.metadata) == []


def test_the_migrations_make_exactly_the_models_constraints(register_url):
    register = Register(register_url)
    register.upgrade()
    migrated = _constraints(register.engine)
    with register.engine.begin() as connection:
        Base.metadata.drop_all(connection)
        Base.metadata.create_all(connection)
    modelled = _constraints(register.engine)
    assert migrated == modelled
    assert modelled["portfolios", "check"] == {"ck_portfolios_status"}
    assert modelled["loan_tape_configs", "foreign_keys"] == {
        "fk_loan_tape_configs_portfolio_id",
        "fk_loan_tape_configs_investor_id",
    }
    register.dispose()


def _constraints(engine: sa.Engine) -> dict[tuple[str, str], object]:
    """Every table's constraint names, and the text of its checks."""
    inspector = sa.inspect(engine)
    found: dict[tuple[str, str], object] = {}
    for table in Base.metadata.tables:
        checks = inspector.get_check_constraints(table)
        found[table, "check"] = {check["name"] for check in checks}
        found[table, "check text"] = {check["name"]: check["sqltext"] for check in checks}
        found[table, "primary_key"] = inspector.get_pk_constraint(table)["name"]
        found[table, "foreign_keys"] = {key["name"] for key in inspector.get_foreign_keys(table)}
        found[table, "unique"] = {key["name"] for key in inspector.get_unique_constraints(table)}
    return found


def test_upgrading_again_keeps_what_is_there(register):
    with register.session() as session:
        Portfolios(session).create("Auto", date(2025, 1, 1))
    register.upgrade()
    with register.session() as session:
        assert [portfolio.name for portfolio in Portfolios(session).all()] == ["Auto"]


# The processes are forked from one that has imported what they need, so that all of them are ready at the same time.
UPGRADE = """
import multiprocessing, sys
import alembic.command, sqlalchemy.dialects.postgresql.psycopg2
from lending_pipelines.register import Register

fork = multiprocessing.get_context("fork")
processes = [fork.Process(target=lambda: Register(sys.argv[1]).upgrade()) for _ in range(3)]
for process in processes:
    process.start()
for process in processes:
    process.join()
print([process.exitcode for process in processes])
"""


def test_processes_may_upgrade_at_once(register_url):
    done = subprocess.run([sys.executable, "-c", UPGRADE, register_url], capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("[0, 0, 0]\n", "", 0)
    with Register(register_url).reading() as connection:
        versions = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all()
    assert versions == ["0015"]


def test_alerts_with_steps_are_kept_and_not_settled(register_url):
    register = Register(register_url)
    with register.engine.connect() as connection, connection.begin():
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(files("lending_pipelines.register") / "migrations"))
        command.upgrade(config, "0014")
        for statement in (
            "INSERT INTO alert_rules (rule_id, name, detector, scope, severity, message, active, settings, saved_at)"
            " VALUES ('r', 'R', 'threshold', 'all', 'warning', '', true, '{}', '2025-01-31')",
            "INSERT INTO alerts (alert_id, rule_id, topic, subject_kind, subject_id, currency, opened_on, last_on,"
            " severity, text, state, changed_at) VALUES ('a', 'r', 't', 'all', '*', '', '2025-01-31', '2025-01-31',"
            " 'warning', '', 'resolved', '2025-01-31')",
            "INSERT INTO alert_events (event_id, alert_id, business_date, number, step, severity)"
            " VALUES ('e', 'a', '2025-01-31', 0, 'opened', 'warning')",
        ):
            connection.execute(sa.text(statement))
    register.upgrade()
    with register.session() as session:
        events = sa.select(AlertEvent.event_id, Alert.is_settled).join(Alert, Alert.alert_id == AlertEvent.alert_id)
        assert [tuple(row) for row in session.execute(events)] == [("e", False)]
    register.dispose()


def test_loans_sold_before_ownership_began_the_day_after_are_dated_anew(register_url):
    register = Register(register_url)
    rows = [
        {"loan": "L1", "day": "2025-01-31", "sale": "s"},
        # Sold on the day after: that assignment stands in the way, and both stay.
        {"loan": "L2", "day": "2025-01-31", "sale": "s"},
        {"loan": "L2", "day": "2025-02-01", "sale": None},
        {"loan": "L3", "day": "2025-01-31", "sale": None},
    ]
    with register.engine.connect() as connection, connection.begin():
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(files("lending_pipelines.register") / "migrations"))
        command.upgrade(config, "0004")
        for statement in (
            "INSERT INTO investors (investor_id, name, investor_type) VALUES ('x', 'X', 'fund')",
            "INSERT INTO portfolios (portfolio_id, name, description, status, priority, opened_on)"
            " VALUES ('p', 'P', '', 'sold', 0, '2025-01-01')",
            "INSERT INTO portfolio_sales (sale_id, portfolio_id, investor_id, sale_date, price, currency, snapshot,"
            " lake_version, recorded_at) VALUES ('s', 'p', 'x', '2025-01-31', 1, 'USD', '{}', '{}', '2025-01-31')",
        ):
            connection.execute(sa.text(statement))
        assignment = sa.text(
            "INSERT INTO loan_assignments (loan_id, assignment_date, investor_id, sale_id)"
            " VALUES (:loan, :day, 'x', :sale)"
        )
        for row in rows:
            connection.execute(assignment, row)
    register.upgrade()
    with register.session() as session:
        dates = sa.select(LoanAssignment.loan_id, LoanAssignment.assignment_date).order_by(sa.text("1, 2"))
        assert [tuple(row) for row in session.execute(dates)] == [
            ("L1", date(2025, 2, 1)),
            ("L2", date(2025, 1, 31)),
            ("L2", date(2025, 2, 1)),
            ("L3", date(2025, 1, 31)),
        ]
    register.dispose()


def test_a_failing_upgrade_leaves_nothing_behind(register_url):
    register = Register(register_url)
    with register.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE notifications (someone_elses INTEGER)")
    with pytest.raises(sa.exc.DBAPIError, match="notifications"):
        register.upgrade()
    assert sa.inspect(register.engine).get_table_names() == ["notifications"]
    register.dispose()


def test_a_register_of_a_newer_version_is_left_alone(register_url):
    register = Register(register_url)
    register.upgrade()
    with register.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(
        RegisterError, match="most likely of a newer version: Can't locate revision identified by '9999'"
    ):
        register.upgrade()
    register.dispose()


def test_nothing_is_opened_before_it_is_used(tmp_path: Path):
    Register(f"sqlite:///{tmp_path / 'home' / 'register.db'}")
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_register_is_named_without_its_password():
    register = Register("postgresql://me:hush@127.0.0.1:1/register")
    with pytest.raises(RegisterError, match=r"me:\*\*\*@127\.0\.0\.1:1/register cannot be opened.*LENDING") as refusal:
        register.upgrade()
    assert "hush" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_url_that_is_none_is_refused():
    with pytest.raises(RegisterError, match=r"write sqlite:///register\.db or postgresql://"):
        Register("register.db")
    with pytest.raises(RegisterError, match="postgres is not supported: write sqlite"):
        Register("postgres://me@127.0.0.1/register")


def test_sqlite_waits_for_other_writers_and_keeps_references(tmp_path: Path):
    register = Register(f"sqlite:///{tmp_path / 'register.db'}")
    register.upgrade()
    with register.session() as session:
        assert session.scalar(sa.text("PRAGMA journal_mode")) == "wal"
        assert session.scalar(sa.text("PRAGMA busy_timeout")) == 60_000
        assert session.scalar(sa.text("PRAGMA foreign_keys")) == 1


def test_a_register_that_another_process_holds_or_that_is_damaged_is_one_line_with_what_to_do(tmp_path: Path):
    file = tmp_path / "register.db"
    Register(f"sqlite:///{file}").upgrade()
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(RegisterError, match=r"register\.db: database is locked: another process holds .* wait until"):
        Register(f"sqlite:///{file}", patience=0).upgrade()
    holder.close()
    for each in tmp_path.iterdir():
        each.unlink()
    file.write_bytes(b"nonsense" * 500)
    with pytest.raises(RegisterError, match="is not a SQLite database: restore it from a backup"):
        Register(f"sqlite:///{file}").upgrade()


def test_an_error_undoes_the_session(register):
    def create_twice() -> None:
        with register.session() as session:
            Portfolios(session).create("Auto", date(2025, 1, 1))
            Portfolios(session).create("Auto", date(2025, 1, 1))

    with pytest.raises(RegisterError, match=r"portfolio 'Auto' .* already exists"):
        create_twice()
    with register.session() as session:
        assert Portfolios(session).all() == []


def test_the_database_itself_refuses_an_unknown_value(register):
    day = date(2025, 1, 1)
    with register.session() as session:
        Portfolios(session).create("Auto", day, portfolio_id="p")
        Portfolios(session).assign("p", ["L1"], day)
        Investors(session).create("Fund", "fund")
        TapeConfigs(session).create("Tape", "p", required_fields=["loan_id"])
        ReportRequests(session).create("trial_balance", {}, "csv", "me")
        session.add(_notification(datetime(2025, 1, 1, tzinfo=UTC)))
    for table, column in (
        ("portfolios", "status"),
        ("portfolio_loans", "method"),
        ("investors", "investor_type"),
        ("loan_tape_configs", "tape_format"),
        ("reports", "status"),
        ("reports", "output_format"),
        ("notifications", "notification_type"),
        ("notifications", "priority"),
    ):
        with pytest.raises(sa.exc.IntegrityError, match=f"ck_{table}_{column}"), register.session() as session:
            session.execute(sa.text(f"UPDATE {table} SET {column} = 'nonsense'"))


def test_instants_come_back_in_utc_and_need_a_zone(register):
    east = timezone(timedelta(hours=9))
    with register.session() as session:
        session.add(_notification(datetime(2025, 1, 1, 8, 30, tzinfo=east)))
    with register.session() as session:
        created = session.scalars(sa.select(Notification.created_at)).one()
        assert created == datetime(2024, 12, 31, 23, 30, tzinfo=UTC)
        assert created.tzinfo is UTC
    with pytest.raises(sa.exc.StatementError, match="has no time zone"), register.session() as session:
        session.add(_notification(datetime(2025, 1, 1)))


def _notification(created_at: datetime) -> Notification:
    return Notification(
        notification_type="run_failed",
        priority="high",
        recipient="me",
        subject="s",
        body="b",
        created_at=created_at,
    )


def test_money_is_exact_and_has_no_fractions_of_a_cent(register):
    largest = Decimal("9999999999999999.99")
    with register.session() as session:
        investor = Investors(session).create("Fund", "fund")
        Investors(session).assign(investor.investor_id, [("L1", largest)], date(2025, 1, 1))
    with register.session() as session:
        assert session.scalars(sa.select(LoanAssignment.purchase_price)).one() == largest
    with pytest.raises(sa.exc.StatementError, match="more than two decimals"), register.session() as session:
        Investors(session).assign(investor.investor_id, [("L2", Decimal("0.005"))], date(2025, 1, 1))


def test_a_json_column_without_a_value_is_null(register):
    with register.session() as session:
        session.add(Report(report_type="t", parameters={}, output_format="csv", requested_by="me"))
    with register.session() as session:
        assert session.scalars(sa.select(Report).where(Report.report_data.is_(None))).one().parameters == {}


def test_an_interval_ends_after_it_begins(register):
    with register.session() as session:
        Portfolios(session).create("Auto", date(2025, 1, 1), portfolio_id="p")
    day = date(2025, 1, 1)
    loan = PortfolioLoan(portfolio_id="p", loan_id="L", assigned_on=day, removed_on=day, method="static")
    with (
        pytest.raises(sa.exc.IntegrityError, match="ck_portfolio_loans_removed_after_assigned"),
        register.session() as session,
    ):
        session.add(loan)


def test_a_text_with_nul_is_refused_by_every_database(register):
    for values in ({"value": "a\0"}, [{"value": "a"}, {"value": "\0"}]):
        with register.session() as session, pytest.raises(RegisterError, match="character NUL"):
            session.execute(sa.text("SELECT 1 WHERE :value = ''"), values)
