"""The commands on loan tapes: their configurations, fields and templates, and their delivery.

Commands only parse, call and print. tapes/ validates configurations; register/ records deliveries.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lending_pipelines.cli.terminal import register_session, tell_step

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from lending_pipelines.register.models import TapeDelivery

Status = Annotated[
    Literal["pending", "delivering", "delivered", "failed"] | None, typer.Option(help="Only those with this status.")
]


def tape_config(
    file: Annotated[str, typer.Argument(help="A TOML file: name, portfolio, tape_schedule, required_fields, …")],
) -> None:
    """Validate and save a loan tape's configuration."""
    from lending_pipelines.tapes import load_tape_config

    with register_session() as session:
        config = load_tape_config(session, file)
        typer.echo(f"{config.name}: {config.tape_format}, {config.tape_schedule}  ({config.config_id})")


def tape_fields() -> None:
    """List every field of the tape catalogue: type, unit, whether it is personal, meaning."""
    from lending_pipelines.tapes import CATALOGUE

    for field in CATALOGUE.values():
        personal = "personal" if field.pii else ""
        typer.echo(f"{field.name:<28}{field.type:<16}{field.unit:<22}{personal:<10}{field.description}")


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
    limit: Annotated[int, typer.Option(help="Maximum number of deliveries, latest day first.")] = 20,
) -> None:
    """List tape deliveries: destination, status, and what pending ones wait for."""
    from lending_pipelines.register import TapeDeliveries

    with register_session() as session:
        for delivery in TapeDeliveries(session).recent(status, limit):
            typer.echo(_told(session, delivery))


def deliver(
    tape: Annotated[str, typer.Argument(help="The name of the tape's configuration.")],
    on: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="The business date of the tape.")],
) -> None:
    """Deliver a day's tape now where it has not been delivered, including waiting and failed deliveries."""
    from lending_pipelines.jobs import deliver_run_config
    from lending_pipelines.register import TapeConfigs, TapeDeliveries
    from lending_pipelines.runs import run_job

    run_job("deliver_tape", deliver_run_config(tape, on.date(), failed=True), progress=tell_step)
    with register_session() as session:
        for delivery in TapeDeliveries(session).of_day(TapeConfigs(session).by_name(tape).config_id, on.date()):
            typer.echo(_told(session, delivery))


def _told(session: "Session", delivery: "TapeDelivery") -> str:
    """A delivery as one line: its receipt, or what it waits for."""
    from lending_pipelines.register import TapeConfigs

    tape = TapeConfigs(session).get(delivery.config_id).name
    correction = f" correction {delivery.correction}" if delivery.correction else ""
    when = delivery.delivered_at
    receipt = f"{when:%Y-%m-%d %H:%M}  {delivery.rows:,} rows  {delivery.sha256}" if when else ""
    return (
        f"{delivery.business_date}  {delivery.status:<10}  {tape}{correction}  {delivery.destination}"
        f"  {receipt or delivery.error_message or ''}"
    )


COMMANDS = (tape_config, tape_fields, tape_templates, deliveries, deliver)
