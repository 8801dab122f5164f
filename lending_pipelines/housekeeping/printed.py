"""Chores as text for a terminal, and as Markdown for the materialization page of the asset."""

from collections.abc import Callable, Sequence

from tabulate import tabulate

from lending_pipelines.housekeeping.chore import Chore
from lending_pipelines.markdown import escaped

_HEADER = ["", "rows", "files", "MB"]


def as_text(chores: Sequence[Chore], *, applied: bool) -> str:
    """The chores as lines of text."""
    return _printed(chores, "plain", applied, "  ", str)


def as_markdown(chores: Sequence[Chore], *, applied: bool) -> str:
    """The chores as Markdown."""
    return _printed(chores, "github", applied, "- ", escaped)


def _printed(chores: Sequence[Chore], style: str, applied: bool, bullet: str, text: Callable[[object], str]) -> str:
    due = [chore for chore in chores if chore.is_due]
    title = "Removed" if applied else "Would be removed"
    rows = [[text(chore.subject), f"{chore.rows:,}", f"{chore.files:,}", _megabytes(chore.bytes)] for chore in due]
    total = sum(chore.bytes for chore in due)
    table = tabulate(rows, _HEADER, tablefmt=style, disable_numparse=True, colalign=("left", *["right"] * 3))
    parts = [f"{title}: {_megabytes(total)} MB\n\n{table}" if due else f"{title}: nothing"]
    parts += _listed("Details", [(text(c.subject), text(c.detail or "")) for c in due], bullet)
    parts += _listed("Kept", [(text(c.subject), text(c.kept or "")) for c in chores], bullet)
    return "\n\n".join(parts)


def _listed(title: str, texts: Sequence[tuple[str, str]], bullet: str) -> list[str]:
    lines = [f"{bullet}{subject}: {told}" for subject, told in texts if told]
    return ["\n".join([f"{title}:", "", *lines] if bullet == "- " else [f"{title}:", *lines])] if lines else []


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f}"
