"""The commands on reports: which there are, what one takes, make one, and the requests for them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer
from typer.core import TyperCommand

from lending_pipelines.cli import arguments, completion
from lending_pipelines.cli.terminal import echo_step, echo_table, register_session, settle_rows
from lending_pipelines.errors import LendingError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

Status = Annotated[
    Literal["pending", "generating", "completed", "failed"], typer.Option(help="Only requests with this status.")
]


class ReportCommand(TyperCommand):
    """`lending report`, whose --help after a report type is about that type."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Print the help of a report type if --help follows one; otherwise parse the arguments."""
        if "--help" in args and not args[0].startswith("-"):
            typer.echo(_help_of(args[0]))
            ctx.exit()
        return super().parse_args(ctx, args)


def reports() -> None:
    """List the report types with a line each."""
    from lending_pipelines.reports.registry import get, report_types

    echo_table(["type", "what it is"], [[name, get(name).description] for name in report_types()])
    typer.echo("\nlending report TYPE --help prints the parameters of a type.")


def report(
    report_type: Annotated[
        str, typer.Argument(help="A report type: see `lending reports`.", autocompletion=completion.report_types)
    ],
    settings: Annotated[list[str] | None, typer.Option("--set", help="A parameter of the report: name=value.")] = None,
    output_format: Annotated[str, typer.Option("--format", help="csv, xlsx, pdf, json or parquet.")] = "xlsx",
    notify: Annotated[list[str] | None, typer.Option(help="An email address that gets the report.")] = None,
) -> None:
    """Make a report and print its location. `lending report TYPE --help` prints the parameters of a type."""
    from lending_pipelines.runs import run_report

    made = run_report(report_type, _assignments(settings or []), output_format, notify=notify or (), progress=echo_step)
    typer.echo(f"{made['file']}  ({made['dagster/row_count']:,} rows, sha256 {made['sha256']})")


def requests(
    status: Status | None = None,
    limit: arguments.Rows = 20,
) -> None:
    """List report requests and their status."""
    from lending_pipelines.register import ReportRequests

    settle_rows("generating")
    with register_session() as session:
        rows = [
            [
                request.report_id,
                f"{request.requested_at:%Y-%m-%d %H:%M}",
                request.status,
                request.report_type,
                request.requested_by,
                request.file_url or request.error_message or "",
            ]
            for request in ReportRequests(session).recent(status, limit)
        ]
    echo_table(["report_id", "requested", "status", "type", "by", "file or error"], rows)


def ask_again(
    report_id: Annotated[str, typer.Argument(help="The id of a failed request, from `lending requests`.")],
) -> None:
    """Set a failed report request to pending again; the sensor report_requests runs it."""
    from lending_pipelines.register import ReportRequests

    with register_session() as session:
        ReportRequests(session).retry(report_id)


def _help_of(report_type: str) -> str:
    """What a report type is, and every parameter with its default and meaning, from its model."""
    from lending_pipelines.reports.registry import get

    try:
        generator = get(report_type)
    except LendingError as error:
        return f"Error: {error}"
    lines = [f"lending report {report_type} [--set NAME=VALUE]… [--format FORMAT]", "", generator.description, ""]
    for name, field in generator.parameters.model_fields.items():
        lines += [f"  {name}={_default(field)}", *_meaning(field)]
    return "\n".join(lines)


def _default(field: "FieldInfo") -> str:
    value = field.get_default(call_default_factory=True)
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _meaning(field: "FieldInfo") -> Iterator[str]:
    import textwrap

    choices = [str(each) for each in get_args(field.annotation) if isinstance(each, str | int)]
    allowed = f" One of {', '.join(choices)}." if choices else ""
    indent = " " * 6
    yield from textwrap.wrap(
        f"{field.description or ''}{allowed}", 100, initial_indent=indent, subsequent_indent=indent
    )


def _assignments(settings: list[str]) -> dict[str, str]:
    pairs = [setting.partition("=") for setting in settings]
    wrong = [name for name, equals, _ in pairs if not equals]
    if wrong:
        raise LendingError(f"--set {wrong[0]}: write a parameter like name=value")
    return {name: value for name, _, value in pairs}
