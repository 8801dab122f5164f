"""The command `lending status`: whether the last close is good, in one page."""

import typer

EXIT_STATUS = {"good": 0, "warnings": 3, "failed": 1}
"""The exit status of each verdict. Typer uses 2 for wrong usage."""


def status() -> None:
    """Show the last closed day: the changes in the book, failures, open deliveries, and days that are not closed.

    Exit status: 0 good, 3 with warnings, 1 failed.
    """
    from lending_pipelines.close_summary import as_text
    from lending_pipelines.runs import status_of_closes

    summary = status_of_closes()
    typer.echo(as_text(summary))
    raise typer.Exit(EXIT_STATUS[summary.verdict])
