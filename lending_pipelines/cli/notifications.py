"""`lending notifications`: lists and shows the notifications of the register, and marks them as read or done."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lending_pipelines.cli import arguments
from lending_pipelines.cli.terminal import echo_table, register_session

if TYPE_CHECKING:
    from collections.abc import Callable

    from lending_pipelines.register import Notifications
    from lending_pipelines.register.models import Notification

notifications = typer.Typer(
    help="Notifications: list and show them, mark them read, record that action was taken.",
    invoke_without_command=True,
)

NotificationId = Annotated[str, typer.Argument(help="The notification's id, or how it begins.")]
NotificationIds = Annotated[list[str], typer.Argument(help="The notifications' ids, or how they begin.")]


@notifications.callback()
def list_notifications(
    context: typer.Context,
    recipient: Annotated[str | None, typer.Option(help="Only those to this recipient.")] = None,
    priority: Annotated[
        Literal["low", "normal", "high", "critical"] | None, typer.Option(help="Only those of this priority.")
    ] = None,
    notification_type: Annotated[
        str | None, typer.Option("--type", help="Only those of this type, like high_par.")
    ] = None,
    unread: Annotated[bool, typer.Option("--unread", help="Only those that are not read.")] = False,
    limit: arguments.Rows = 20,
) -> None:
    """List notifications: alerts, late tapes, failed runs, and what else someone should know."""
    if context.invoked_subcommand is not None:
        return
    from typing import get_args

    from lending_pipelines.errors import LendingError, did_you_mean
    from lending_pipelines.register import Notifications
    from lending_pipelines.register.models import NotificationType

    types = get_args(NotificationType)
    if notification_type is not None and notification_type not in types:
        raise LendingError(
            f"--type {notification_type!r}: there is no such type; {did_you_mean(notification_type, types)}"
        )
    with register_session() as session:
        found = Notifications(session).recent(
            recipient, limit, priority=priority, notification_type=notification_type, unread=unread
        )
        rows = [
            [
                each.notification_id[:8],
                f"{each.created_at:%Y-%m-%d %H:%M}",
                each.priority,
                each.notification_type,
                each.recipient,
                _sent(each),
                "yes" if each.read_at else "no",
                _action(each),
                " ".join(each.subject.split()),
            ]
            for each in found
        ]
    echo_table(["id", "created", "priority", "type", "recipient", "emailed", "read", "action", "subject"], rows)


@notifications.command("show")
def show_notification(notification_id: NotificationId) -> None:
    """Print a notification and mark it read."""
    from lending_pipelines.register import Notifications

    with register_session() as session:
        found = Notifications(session).read(notification_id)
        typer.echo(f"{' '.join(found.subject.split())}\nTo {found.recipient}, emailed: {_sent(found)}\n\n{found.body}")
        if found.error_message:
            typer.echo(f"Last attempt: {found.error_message}")


@notifications.command("read")
def mark_read(notification_ids: NotificationIds) -> None:
    """Mark notifications as read."""
    from lending_pipelines.register import Notifications

    _mark(notification_ids, Notifications.read, "read")


@notifications.command("act")
def take_action(notification_ids: NotificationIds) -> None:
    """Record that the action that notifications require was taken."""
    from lending_pipelines.register import Notifications

    _mark(notification_ids, Notifications.act, "done")


def _mark(notification_ids: list[str], mark: "Callable[[Notifications, str], Notification]", marked: str) -> None:
    """Mark notifications, all or none, and print each."""
    from lending_pipelines.register import Notifications

    with register_session() as session:
        for notification_id in notification_ids:
            found = mark(Notifications(session), notification_id)
            typer.echo(f"{found.notification_id[:8]} is {marked}: {' '.join(found.subject.split())}")


def _sent(notification: "Notification") -> str:
    """When it was sent; whether it may have arrived; how many attempts failed; or that nothing can be sent."""
    from lending_pipelines.alerts.recipients import has_address

    if notification.emailed_at:
        return f"{notification.emailed_at:%Y-%m-%d %H:%M}"
    if notification.sending_at:
        return "not known"
    if notification.channel == "email" and not has_address(notification.recipient):
        return "no address"
    return f"{notification.attempts} failed" if notification.attempts else "-"


def _action(notification: "Notification") -> str:
    return "done" if notification.acted_at else "required" if notification.action_required else "-"
