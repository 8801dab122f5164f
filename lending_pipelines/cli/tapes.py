"""The commands on loan tapes: their configurations, fields and templates, and their delivery.

Commands only parse, call and print. tapes/ validates configurations; register/ records deliveries.
"""

import shlex
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lending_pipelines.cli import arguments, completion
from lending_pipelines.cli.terminal import (
    Yes,
    balances_by,
    confirm,
    echo_as_of,
    echo_step,
    echo_table,
    record,
    register_session,
    settle_rows,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from lending_pipelines.register.models import LoanTapeConfig, TapeDelivery

Status = Annotated[
    Literal["pending", "delivering", "delivered", "failed"] | None, typer.Option(help="Only those with this status.")
]


tapes = typer.Typer(help="Loan tapes: list, show, edit, pause, resume and retire them.", invoke_without_command=True)

TapeName = Annotated[str, typer.Argument(help="The name of the tape's configuration.", autocompletion=completion.tapes)]


@tapes.callback()
def list_tapes(context: typer.Context) -> None:
    """List the tapes with their portfolio, schedule, format, destination, and loans and balances."""
    if context.invoked_subcommand is not None:
        return
    from lending_pipelines.register import Portfolios, TapeConfigs, destinations

    day, balances = balances_by("portfolio_id")
    rows = []
    with register_session() as session:
        for config in TapeConfigs(session).all():
            portfolio = Portfolios(session).get(config.portfolio_id)
            loans, balance = balances.get(portfolio.portfolio_id, (0, "0.00"))
            to = ", ".join(destination for _, destination in destinations(config)) or "-"
            row = [config.name, _status(config), config.tape_schedule, config.template or config.tape_format]
            rows.append([*row, to, portfolio.name, f"{loans:,}", balance])
    headers = ["name", "status", "schedule", "format", "destination", "portfolio", "loans", "balance"]
    echo_table(headers, rows, ("loans", "balance"))
    if rows:
        echo_as_of(day)


@tapes.command("show")
def show_tape(name: TapeName) -> None:
    """Print a tape's configuration as a TOML file, which `lending tapes edit` takes back."""
    from lending_pipelines.register import TapeConfigs
    from lending_pipelines.tapes import tape_config_as_toml

    with register_session() as session:
        config = TapeConfigs(session).by_name(name)
        typer.echo(f"# {config.config_id}, {_status(config)}\n{tape_config_as_toml(session, config)}", nl=False)


@tapes.command("edit")
def edit_tape(
    name: TapeName,
    file: Annotated[str, typer.Argument(help="A TOML file with all settings, as `lending tapes show` prints them.")],
) -> None:
    """Give a tape the settings of a file, once they are checked. Tapes that were made stay as they are."""
    from lending_pipelines.tapes import edit_tape_config

    with register_session() as session:
        config = edit_tape_config(session, name, file)
        typer.echo(f"{config.name}: {config.template or config.tape_format}, {config.tape_schedule}")


@tapes.command("pause")
def pause_tape(name: TapeName) -> None:
    """Neither make nor deliver a tape until it is resumed."""
    _set_active(name, False)
    typer.echo(f"{name} is paused: `lending tapes resume` makes it again")


@tapes.command("resume")
def resume_tape(name: TapeName) -> None:
    """Make and deliver a paused tape again."""
    _set_active(name, True)
    typer.echo(f"{name} is active")


@tapes.command("retire")
def retire_tape(name: TapeName, yes: Yes = False) -> None:
    """End a tape for good; its files and deliveries stay. Asks first."""
    from lending_pipelines.register import TapeConfigs
    from lending_pipelines.settings import Settings

    with register_session() as session:
        TapeConfigs(session).by_name(name)
    confirm(f"Retire tape {name!r}. It cannot be resumed, and its name stays taken.", [], yes=yes)
    with register_session() as session:
        TapeConfigs(session).retire(name, Settings.from_environment().today)
    typer.echo(f"{name} is retired")


def _set_active(name: str, active: bool) -> None:
    from lending_pipelines.register import TapeConfigs

    with register_session() as session:
        TapeConfigs(session).set_active(name, active)


def _status(config: "LoanTapeConfig") -> str:
    if config.retired_on is not None:
        return f"retired {config.retired_on}"
    return "active" if config.active else "paused"


_DELIVERY = ["day", "status", "tape", "destination", "receipt or reason"]


def tape_config(
    file: Annotated[str, typer.Argument(help="A TOML file: name, portfolio, tape_schedule, required_fields, …")],
) -> None:
    """Validate and save a loan tape's configuration."""
    from lending_pipelines.tapes import load_tape_config

    with register_session() as session:
        config = load_tape_config(session, file)
        typer.echo(f"{config.name}: {config.tape_format}, {config.tape_schedule}  ({config.config_id})")
        if config.delivery_url or config.recipient_email:
            typer.echo(
                f"Tapes of {config.deliver_from} and later are delivered by the running UI or daemon. To deliver an "
                f"earlier one, run `lending deliver {shlex.quote(config.name)} DAY` or set deliver_from."
            )


def tape_fields() -> None:
    """List every field of the tape catalogue: type, unit, whether it is personal, meaning."""
    from lending_pipelines.tapes import CATALOGUE

    rows = [
        [field.name, field.type, field.unit, "personal" if field.pii else "", field.description]
        for field in CATALOGUE.values()
    ]
    echo_table(["field", "type", "unit", "personal", "meaning"], rows)


def tape_templates(
    name: Annotated[
        str, typer.Argument(help="A template, to list its fields. Empty: all templates with coverage.")
    ] = "",
) -> None:
    """List the loan tape templates and how many of their fields have data."""
    from lending_pipelines.tapes import template, template_names

    if not name:
        for each in template_names():
            counts = ", ".join(f"{count} {filling}" for filling, count in template(each).coverage().items())
            typer.echo(f"{each:<28}{len(template(each).fields):>5} fields: {counts}")
        return
    for field in template(name).fields:
        says = field.field or field.constant or field.missing or ""
        typer.echo(f"{field.code:<42}{field.filling:<16}{says:<28}{field.format:<20}{field.name}")


def deliveries(
    status: Status = None,
    limit: arguments.Rows = 20,
) -> None:
    """List tape deliveries: destination, status, and what pending ones wait for."""
    from lending_pipelines.register import TapeDeliveries

    settle_rows("delivering")
    with register_session() as session:
        echo_table(
            _DELIVERY, [_as_row(session, delivery) for delivery in TapeDeliveries(session).recent(status, limit)]
        )


def deliver(
    tape: TapeName,
    on: Annotated[
        datetime, typer.Argument(parser=arguments.day, metavar=arguments.DAY, help="The business date of the tape.")
    ],
) -> None:
    """Deliver a day's tape now where it has not been delivered, including waiting and failed deliveries."""
    from lending_pipelines.jobs import deliver_run_config
    from lending_pipelines.register import TapeConfigs, TapeDeliveries
    from lending_pipelines.runs import run_job

    run_job("deliver_tape", deliver_run_config(tape, on.date(), failed=True), progress=echo_step)
    with register_session() as session:
        deliveries = TapeDeliveries(session).of_day(TapeConfigs(session).by_name(tape).config_id, on.date())
        echo_table(_DELIVERY, [_as_row(session, delivery) for delivery in deliveries])


def approve_correction(
    tape: TapeName,
    on: Annotated[
        datetime, typer.Argument(parser=arguments.day, metavar=arguments.DAY, help="The business date of the tape.")
    ],
    by: Annotated[str, typer.Option("--by", help="Who approves.")],
) -> None:
    """Approve the correction of a day's tape: it is delivered next, or at once with `lending deliver`."""
    from lending_pipelines.register import TapeConfigs, TapeDeliveries

    with register_session() as session:
        approved = TapeDeliveries(session).approve(TapeConfigs(session).by_name(tape), on.date(), by)
        record(session, "tapes.approve", f"tape {tape} of {on.date()}", f"approved by {by.strip()}")
        echo_table(_DELIVERY, [_as_row(session, delivery) for delivery in approved])


def _as_row(session: "Session", delivery: "TapeDelivery") -> list[str]:
    """A delivery as a row of _DELIVERY: its receipt, or what it waits for."""
    from lending_pipelines.register import TapeConfigs

    tape = TapeConfigs(session).get(delivery.config_id).name
    correction = f" correction {delivery.correction}" if delivery.correction else ""
    when = delivery.delivered_at
    receipt = f"{when:%Y-%m-%d %H:%M}  {delivery.rows:,} rows  {delivery.sha256}" if when else ""
    day, last = str(delivery.business_date), receipt or delivery.error_message or ""
    return [day, delivery.status, f"{tape}{correction}", delivery.destination, last]


COMMANDS = (tape_config, tape_fields, tape_templates, deliveries, deliver, approve_correction)
