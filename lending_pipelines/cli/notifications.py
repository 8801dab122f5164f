"""`lending notifications`: what someone should know, as the register has it."""

from typing import Annotated

import typer

from lending_pipelines.cli.terminal import echo_table, register_session


def notifications(
    recipient: Annotated[str | None, typer.Option(help="Only those to this recipient.")] = None,
    limit: Annotated[int, typer.Option(help="How many, the latest first.")] = 20,
) -> None:
    """List notifications: late tapes, failed runs, and what else someone should know."""
    from lending_pipelines.register import Notifications

    with register_session() as session:
        rows = [
            [
                f"{each.created_at:%Y-%m-%d %H:%M}",
                each.priority,
                each.notification_type,
                each.recipient,
                f"{each.emailed_at:%Y-%m-%d %H:%M}" if each.emailed_at else "-",
                " ".join(each.subject.split()),
            ]
            for each in Notifications(session).recent(recipient, limit)
        ]
    echo_table(["created", "priority", "type", "recipient", "emailed", "subject"], rows)
