"""The asset alerts of a small lender's close, and the commands on its alerts."""

from datetime import timedelta

import sqlalchemy as sa
from homes import LAST, lending, materialise

from lending_pipelines.alerts.rule_files import load_rules
from lending_pipelines.alerts.saved_rules import saved_rules
from lending_pipelines.register.alert_models import Alert, AlertDay, AlertEvent, AlertFinding
from lending_pipelines.register.models import Notification

DAYS = [LAST - timedelta(days=n) for n in range(4, -1, -1)]


def out(*arguments):
    done = lending(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def kept(home):
    with home.register() as session:
        alerts = session.scalars(sa.select(Alert).order_by(Alert.alert_id)).all()
        events = session.scalars(sa.select(AlertEvent).order_by(AlertEvent.alert_id, AlertEvent.number)).all()
        notifications = session.scalars(sa.select(Notification).where(Notification.alert_id.is_not(None))).all()
        return (
            [(each.alert_id, each.last_on, each.resolved_on, each.severity, each.value, each.text) for each in alerts],
            [(each.alert_id, each.business_date, each.step, each.severity, each.value) for each in events],
            sorted((each.recipient, each.subject, each.body) for each in notifications),
        )


def forget(home):
    with home.register() as session:
        for table in (Notification, AlertEvent, Alert, AlertFinding, AlertDay):
            session.execute(sa.delete(table))


def test_a_close_raises_alerts_and_its_materialization_shows_each(home):
    metadata = materialise(LAST, LAST, "alerts")
    alerts, _, notifications = kept(home)
    still_open = [alert for alert in alerts if alert[2] is None]
    assert len(still_open) == metadata["open"] > 0
    assert all(alert_id in metadata["open_alerts"] for alert_id, *_ in still_open)
    assert notifications


def test_days_shuffled_end_as_one_backfill(home):
    forget(home)
    materialise(DAYS[0], DAYS[-1], "alerts")
    at_once = kept(home)
    forget(home)
    for day in (DAYS[3], DAYS[0], DAYS[4], DAYS[2], DAYS[1], DAYS[0]):
        materialise(day, day, "alerts")
    assert at_once[0]
    assert kept(home) == at_once


def test_an_alert_is_listed_shown_acknowledged_and_snoozed(home):
    headers, first, *_ = out("alerts").splitlines()
    assert headers.split() == ["alert", "severity", "state", "opened", "resolved", "currency", "what"]
    alert_id = first.split()[0]
    out("alerts", "acknowledge", alert_id, "--reason", "calling", "--by", "ann")
    shown = out("alerts", "show", alert_id)
    assert "acknowledged" in shown
    assert "calling" in shown
    until = str(LAST + timedelta(days=7))
    out("alerts", "snooze", alert_id, "--until", until, "--reason", "flood", "--by", "ann")
    assert f"snoozed until {until}" in out("alerts", "--all")
    assert "is open:" in out("alerts", "reopen", alert_id, "--reason", "no flood", "--by", "bob")
    assert f"snoozed until {until}" not in out("alerts", "--all")
    steps = out("alerts", "show", alert_id)
    assert all(reason in steps for reason in ("calling", "flood", "no flood"))


def test_rules_are_shown_checked_and_applied(home, tmp_path):
    file = tmp_path / "rules.toml"
    file.write_text(out("alert-rules", "show"), encoding="utf-8")
    with home.register() as session:
        assert load_rules(file) == list(saved_rules(session).values())
    assert "0 added, 0 changed" in out("alert-rules", "apply", str(file))
    file.write_text(
        '[[rules]]\nname = "Mine"\nmetric = "portfolio_snapshots.par_30"\nscope = "branch"\nsubjects = ["nowhere"]\n'
        'operator = ">"\nthreshold = "1 %"\n'
        '[[rules]]\nname = "Late"\nmetric = "aging_buckets.loan_count"\noperator = ">"\nthreshold = 1\n'
        'where = { bucket = "31-61" }\n'
        '[[rules]]\nname = "Cash"\nmetric = "trial_balance.balance"\noperator = ">"\nthreshold = 1\n'
        'where = { account_code = "9x" }\n',
        encoding="utf-8",
    )
    refused = lending("alert-rules", "check", str(file))
    assert refused.returncode == 1
    assert "rule 'Mine': subjects: there is no branch 'nowhere'" in refused.stderr
    assert "rule 'Late': where: '31-61' is not a value of bucket; use one of '1-29', '120+', '30-59'" in refused.stderr
    assert "rule 'Cash': where: there is no account '9x'" in refused.stderr


def test_notifications_are_filtered_read_and_acted_on(home):
    out("notifications", "--priority", "critical", "--type", "portfolio_health_critical", "--unread")
    rows = out("notifications", "--unread", "--limit", "1000").splitlines()[1:]
    critical = out("notifications", "--priority", "critical", "--unread", "--limit", "1000").splitlines()[1:]
    assert 0 < len(critical) < len(rows)
    notification_id = critical[0].split()[0]
    out("notifications", "act", notification_id)
    assert len(out("notifications", "--unread", "--limit", "1000").splitlines()[1:]) == len(rows) - 1
    assert notification_id in out("notifications", "--limit", "1000")
