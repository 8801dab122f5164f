"""The commands on alerts, alert rules and notifications.

Commands only parse, call and print. alerts/ validates rules and decides on alerts; register/ stores them.
"""

import getpass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lending_pipelines.bounds import MOST_LISTED
from lending_pipelines.cli import arguments
from lending_pipelines.cli.terminal import echo_table, known_names, register_session

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from lending_pipelines.alerts.rules import AlertRule
    from lending_pipelines.register.alert_models import Alert

Severity = Annotated[Literal["warning", "critical"] | None, typer.Option(help="Only those of this severity.")]
AlertId = Annotated[str, typer.Argument(help="The alert's id, or how it begins.")]
Reason = Annotated[str, typer.Option(help="Why.")]
By = Annotated[str, typer.Option(help="Who takes the step. Empty: the user of this computer.")]
Limit = Annotated[
    int, typer.Option(min=1, max=MOST_LISTED, help="Maximum number listed, the most severe and latest first.")
]

alerts = typer.Typer(help="Alerts: list, show, acknowledge, snooze and reopen them.", invoke_without_command=True)
alert_rules = typer.Typer(help="Alert rules: list, show, check and apply them.", invoke_without_command=True)


@alerts.callback()
def list_alerts(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Include resolved alerts.")] = False,
    severity: Severity = None,
    subject: Annotated[str | None, typer.Option(help="Only those on this subject, by its id.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only those of this rule, by its name.")] = None,
    limit: Limit = 100,
) -> None:
    """List the alerts that are not resolved, critical ones first."""
    if context.invoked_subcommand is not None:
        return
    from lending_pipelines.register import AlertRules, Alerts
    from lending_pipelines.register.alert_models import OPEN_STATES

    with register_session() as session:
        if rule is not None:
            AlertRules(session).by_name(rule)
        states = () if everything else OPEN_STATES
        found = Alerts(session).listed(states=states, severity=severity, subject=subject, rule=rule, limit=limit)
        rows = [[*_summary(alert), alert.text] for alert in found]
    echo_table(["alert", "severity", "state", "opened", "resolved", "currency", "what"], rows)
    if not rows:
        what = "alert" if everything else "open alert"
        typer.echo(f"No {what} matches." if severity or subject or rule else f"There is no {what}.")


@alerts.command("show")
def show_alert(alert_id: AlertId) -> None:
    """Print an alert: its steps, the loans behind it, and who is notified."""
    from lending_pipelines.alerts.words import measured
    from lending_pipelines.register import Alerts

    with register_session() as session:
        alert = Alerts(session).get(alert_id)
        events = Alerts(session).events(alert.alert_id)
        rule = _rule(session, alert)
    details = alert.details or {}
    typer.echo(f"{alert.text}\n")
    facts = {
        "alert": alert.alert_id,
        "rule": rule.name,
        "severity": alert.severity,
        "currency": alert.currency or "-",
        "state": _state(alert),
        "opened": alert.opened_on,
        "last found": alert.last_on,
        "resolved": alert.resolved_on or "-",
        "what to do": details.get("advice") or "-",
        "notified": ", ".join(details.get("recipients", [])) or "-",
    }
    for name, value in facts.items():
        typer.echo(f"{name:<12}{value}")
    typer.echo("")
    values = ["" if event.value is None else measured(rule, event.value, alert.currency) for event in events]
    steps = [
        [event.business_date, event.step, event.severity, value, event.by or "-", event.reason or ""]
        for event, value in zip(events, values, strict=True)
    ]
    echo_table(["day", "step", "severity", "value", "by", "reason"], steps, ("value",))
    if loans := details.get("loans"):
        typer.echo("")
        columns = list(loans[0])
        echo_table(
            [name.replace("_", " ") for name in columns],
            [[loan[name] for name in columns] for loan in loans],
            [name.replace("_", " ") for name in columns[1:]],
        )


@alerts.command("acknowledge")
def acknowledge_alert(alert_id: AlertId, reason: Reason, by: By = "") -> None:
    """Record that somebody works on an alert. It stays open until its rule no longer holds."""
    from lending_pipelines.register import Alerts

    with register_session() as session:
        alert = Alerts(session).acknowledge(alert_id, by or getpass.getuser(), reason)
        typer.echo(f"{alert.alert_id} is acknowledged: {alert.text}")


@alerts.command("snooze")
def snooze_alert(
    alert_id: AlertId,
    until: Annotated[
        datetime,
        typer.Option(parser=arguments.day, metavar=arguments.DAY, help="The last business date of the snooze."),
    ],
    reason: Reason,
    by: By = "",
) -> None:
    """Notify nobody of an alert up to a business date, unless it becomes critical."""
    from lending_pipelines.register import Alerts

    with register_session() as session:
        alert = Alerts(session).snooze(alert_id, by or getpass.getuser(), reason, until.date())
        typer.echo(f"{alert.alert_id} is snoozed until {alert.snoozed_until}: {alert.text}")


@alerts.command("reopen")
def reopen_alert(alert_id: AlertId, reason: Reason, by: By = "") -> None:
    """Undo the acknowledgement or the snooze of an alert. The steps before stay in its record."""
    from lending_pipelines.register import Alerts

    with register_session() as session:
        alert = Alerts(session).reopen(alert_id, by or getpass.getuser(), reason)
        typer.echo(f"{alert.alert_id} is open: {alert.text}")


@alerts.command("history")
def alert_history(
    subject: Annotated[str | None, typer.Option(help="Only alerts on this subject, by its id.")] = None,
    limit: Limit = 100,
) -> None:
    """List resolved alerts, and how long they were open."""
    from lending_pipelines.register import Alerts

    with register_session() as session:
        found = Alerts(session).listed(states=("resolved",), subject=subject, limit=limit)
        rows = []
        for alert in found:
            days = (alert.resolved_on - alert.opened_on).days if alert.resolved_on else 0
            rows.append([*_summary(alert), f"{days}", alert.acknowledged_by or "-", alert.text])
    headers = ["alert", "severity", "state", "opened", "resolved", "currency", "days", "by", "last finding"]
    echo_table(headers, rows, ("days",))
    if not rows:
        typer.echo("No alert was resolved.")


@alert_rules.callback()
def list_rules(context: typer.Context) -> None:
    """List the rules, and how many alerts of each are open."""
    if context.invoked_subcommand is not None:
        return
    from lending_pipelines.alerts.record import open_alerts
    from lending_pipelines.alerts.saved_rules import saved_rules

    with register_session() as session:
        rules = saved_rules(session)
        still_open = [alert.rule_id for alert in open_alerts(session)]
    rows = [
        [rule.name, rule.severity, "active" if rule.active else "not active", _watched(rule), still_open.count(rule_id)]
        for rule_id, rule in rules.items()
    ]
    echo_table(["name", "severity", "status", "condition", "open"], rows, ("open",))


@alert_rules.command("show")
def show_rules() -> None:
    """Print the rules as a TOML file, which `lending alert-rules apply` takes back."""
    from lending_pipelines.alerts.rule_files import rules_text
    from lending_pipelines.alerts.saved_rules import saved_rules

    with register_session() as session:
        typer.echo(rules_text(saved_rules(session).values()), nl=False)


@alert_rules.command("defaults")
def default_rules(
    apply: Annotated[
        bool, typer.Option(help="Save these rules in the register. Other rules stay as they are.")
    ] = False,
) -> None:
    """Print the shipped rules as a TOML file, or apply them."""
    from lending_pipelines.alerts import rule_files
    from lending_pipelines.alerts.saved_rules import save_rules

    if not apply:
        typer.echo(rule_files.default_rules_text(), nl=False)
        return
    with register_session() as session:
        _echo_saved(*save_rules(session, rule_files.default_rules()))


@alert_rules.command("metrics")
def list_metrics(
    table: Annotated[str | None, typer.Option(help="Only those of this table, like close_summary.")] = None,
) -> None:
    """List the metrics that a rule can watch: what each is a number of, for which scopes, and the keys for `where`."""
    from lending_pipelines.alerts.catalogue import METRICS
    from lending_pipelines.errors import LendingError, did_you_mean

    tables = sorted({metric.table for metric in METRICS.values()})
    if table is not None and table not in tables:
        raise LendingError(f"table: no metric is of {table!r}; {did_you_mean(table, tables)}")
    rows = [
        [name, metric.kind, ", ".join(metric.scopes), ", ".join(metric.keys) or "-", metric.description]
        for name, metric in METRICS.items()
        if table in (None, metric.table)
    ]
    echo_table(["metric", "kind", "scopes", "where", "meaning"], rows)


@alert_rules.command("check")
def check_rules(file: Annotated[str, typer.Argument(help="A TOML file with [[rules]].")]) -> None:
    """Check a rules file, and the ids that it names, without saving it."""
    rules = _checked(file)
    typer.echo(f"{file}: {len(rules)} {'rule is' if len(rules) == 1 else 'rules are'} valid")


@alert_rules.command("apply")
def apply_rules(file: Annotated[str, typer.Argument(help="A TOML file with [[rules]].")]) -> None:
    """Check a rules file and save its rules by name. Rules that it does not name stay as they are."""
    from lending_pipelines.alerts.saved_rules import save_rules, saved_rules

    rules = _checked(file)
    with register_session() as session:
        saved_rules(session)
        _echo_saved(*save_rules(session, rules))


def _checked(file: str) -> "list[AlertRule]":
    """The rules of a file. Raises AlertRuleError if a rule is not valid or names something that does not exist."""
    from lending_pipelines.alerts.rule_files import load_rules
    from lending_pipelines.alerts.saved_rules import named_fields, require_names
    from lending_pipelines.conventions import Conventions
    from lending_pipelines.settings import Settings

    rules = load_rules(file)
    chosen = Settings.from_environment().conventions_file
    conventions = Conventions.load(chosen)
    with known_names(*named_fields(rules)) as names, register_session() as session:
        require_names(session, rules, names, conventions)
    return rules


def _echo_saved(added: int, changed: int) -> None:
    typer.echo(f"{added} added, {changed} changed. They apply from the next close.")


def _watched(rule: "AlertRule") -> str:
    """The condition of a rule in short, and the subjects that it watches."""
    from lending_pipelines.alerts.words import condition

    named = ", ".join((*rule.subjects, *rule.tables))
    if rule.detector in ("close_late", "data_received", "tape_late"):
        each = named
    elif rule.detector == "close_summary":
        each = "each close"
    else:
        each = named or ("all loans" if rule.scope == "all" else f"each {rule.scope}")
    return ", ".join(part for part in (condition(rule), each) if part)


def _summary(alert: "Alert") -> list[str]:
    resolved = str(alert.resolved_on) if alert.resolved_on else "-"
    return [alert.alert_id[:8], alert.severity, _state(alert), str(alert.opened_on), resolved, alert.currency or "-"]


def _state(alert: "Alert") -> str:
    return f"snoozed until {alert.snoozed_until}" if alert.state == "snoozed" else alert.state


def _rule(session: "Session", alert: "Alert") -> "AlertRule":
    from lending_pipelines.alerts.saved_rules import saved_rules

    return saved_rules(session)[alert.rule_id]
