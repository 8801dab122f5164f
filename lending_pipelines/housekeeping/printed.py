"""Chores as text for a terminal, and as Markdown for the materialization page of the asset."""

from collections.abc import Sequence

from tabulate import tabulate

from lending_pipelines.housekeeping.chore import Chore

_HEADER = ["", "rows", "files", "MB"]


def as_text(chores: Sequence[Chore], *, applied: bool) -> str:
    """The chores as lines of text."""
    return _printed(chores, "plain", applied, "  ")


def as_markdown(chores: Sequence[Chore], *, applied: bool) -> str:
    """The chores as Markdown."""
    return _printed(chores, "github", applied, "- ")


def _printed(chores: Sequence[Chore], style: str, applied: bool, bullet: str) -> str:
    due = [chore for chore in chores if chore.is_due]
    title = "Removed" if applied else "Would be removed"
    rows = [[chore.subject, f"{chore.rows:,}", f"{chore.files:,}", _megabytes(chore.bytes)] for chore in due]
    total = sum(chore.bytes for chore in due)
    table = tabulate(rows, _HEADER, tablefmt=style, disable_numparse=True, colalign=("left", *["right"] * 3))
    parts = [f"{title}: {_megabytes(total)} MB\n\n{table}" if due else f"{title}: nothing"]
    parts += _listed("Details", [(c.subject, c.detail) for c in due], bullet)
    parts += _listed("Kept", [(c.subject, c.kept) for c in chores], bullet)
    return "\n\n".join(parts)


def _listed(title: str, texts: Sequence[tuple[str, str]], bullet: str) -> list[str]:
    lines = [f"{bullet}{subject}: {text}" for subject, text in texts if text]
    return ["\n".join([f"{title}:", "", *lines] if bullet == "- " else [f"{title}:", *lines])] if lines else []


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f}"
