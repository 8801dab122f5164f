"""A close summary as text for a terminal, and as Markdown for the materialization page of the asset."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from tabulate import tabulate

from lending_pipelines.close_summary.book import BookSummary
from lending_pipelines.close_summary.changes import MetricChange
from lending_pipelines.close_summary.summary import CloseSummary, Finding, LastRun
from lending_pipelines.markdown import escaped
from lending_pipelines.metrics.movements import FLOWS

CHANGES_SHOWN = 40
"""The number of changed metrics that are listed, unless all are requested."""

Rows = list[list[str]]
Heading = Callable[[str], str]
Text = Callable[[object], str]

BREAKS_SHOWN = 10
"""The number of listed control accounts that do not tie out."""


def as_text(summary: CloseSummary) -> str:
    """The summary as lines of text."""
    return _printed(summary, "plain", heading=lambda title: title, bullet="  ", text=str)


def as_markdown(summary: CloseSummary) -> str:
    """The summary as Markdown."""
    return _printed(summary, "github", heading=lambda title: f"### {title}", bullet="- ", text=escaped)


def changes_as_text(changes: Sequence[MetricChange], every: bool = False) -> str:
    """The changed metrics as a table: the first CHANGES_SHOWN, or with `every` all of them."""
    if not changes:
        return "Closing again changed no metric of portfolio_snapshots and manager_snapshots."
    shown = changes if every else changes[:CHANGES_SHOWN]
    rows = [
        [each.table, each.subject, each.metric, str(each.last), str(each.days), *_before_and_after(each)]
        for each in shown
    ]
    header = ["Table", "Of", "Metric", "Last day", "Days", "Before", "After", "Change"]
    align = ("left", "left", "left", "left", "right", "right", "right", "right")
    lines = [f"Closing again changed {len(changes)} metric{'s' * (len(changes) > 1)}"]
    lines.append(tabulate(rows, header, tablefmt="plain", disable_numparse=True, colalign=align))
    if len(shown) < len(changes):
        lines.append(f"  and {len(changes) - len(shown)} more; --verbose lists all")
    return "\n".join(lines)


def value_as_text(value: Any, sign: str = "") -> str:
    """A metric's value: amounts to the cent, ratios to eight decimals, a dash for none.

    `sign` is the sign option of a format specification, such as `+`.
    """
    match value:
        case None:
            return "-"
        case float():
            return format(value, f"{sign},.8f")
        case int():
            return format(value, f"{sign},")
        case Decimal():
            return format(value, f"{sign},f")
        case _:
            return str(value)


def _before_and_after(change: MetricChange) -> list[str]:
    known = _is_number(change.before) and _is_number(change.after)
    difference = value_as_text(change.after - change.before, "+") if known else ""
    return [value_as_text(change.before), value_as_text(change.after), difference]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal)


def _printed(summary: CloseSummary, style: str, *, heading: Heading, bullet: str, text: Text) -> str:
    parts = [heading(text(_title(summary)))]
    for title, severity in (("Errors", "error"), ("Warnings", "warning")):
        findings = [finding for finding in summary.findings if finding.severity == severity]
        if findings:
            parts.append("\n".join([heading(f"{title} ({len(findings)})"), *_listed(findings, bullet, text)]))
    if summary.last_run:
        parts.append(_run(summary.last_run))
    if summary.book:
        for title, header, rows in _tables(summary.book):
            # Amounts are text already; tabulate would convert them to numbers again.
            align = ("left", *("right" for _ in header[1:]))
            rows = [[text(cell) for cell in row] for row in rows]
            table = tabulate(rows, list(map(text, header)), tablefmt=style, disable_numparse=True, colalign=align)
            parts.append(f"{heading(title)}\n\n{table}" if style == "github" else f"{heading(title)}\n{table}")
        parts.append("\n".join(map(text, _ties(summary.book))))
        parts.append(f"Tapes of {summary.day} delivered: {summary.tapes_delivered}.")
    return "\n\n".join(parts)


def _title(summary: CloseSummary) -> str:
    verdict = {"good": "good", "warnings": "warnings", "failed": "FAILED"}[summary.verdict]
    day = f"last closed day {summary.day}" if summary.day else "no day is closed"
    return f"{summary.lender}: {day}: {verdict}" if summary.lender else f"{day.capitalize()}: {verdict}"


def _listed(findings: Sequence[Finding], bullet: str, text: Text) -> list[str]:
    return [f"{bullet}{text(finding.subject)}: {text(finding.text)}" for finding in findings]


def _run(run: LastRun) -> str:
    started = f" started at {run.started_at:%Y-%m-%d %H:%M} UTC" if run.started_at else ""
    took = f" and took {run.seconds:,.0f} s" if run.seconds is not None else ""
    return f"Last close: run {run.run_id}{started}{took}: {run.status}."


def _tables(book: BookSummary) -> list[tuple[str, list[str], Rows]]:
    currencies = [row["currency"] for row in book.movements]
    before = str(book.before) if book.before else "Opening"
    lines = [(f"Principal outstanding, {before}", "opening"), *((name, name) for name in FLOWS)]
    lines.append((f"Principal outstanding, {book.day}", "closing"))
    money = [
        [label.replace("_", " ").capitalize(), *(_amount(row[name], name in FLOWS) for row in book.movements)]
        for label, name in lines
    ]
    for label, name in (("Past due", "past_due"), ("Active loans", "loans")):
        for day, side in ((before, "opening"), (str(book.day), "closing")):
            values = [row[f"{side}_{name}"] for row in book.movements]
            money.append([f"{label}, {day}", *(f"{value:,}" for value in values)])
    counts = [[name, "" if old is None else f"{old:,}", f"{new:,}"] for name, (old, new) in book.rows.items()]
    return [
        ("Movements", ["", *currencies], money),
        ("Rows", ["Table", str(book.before or ""), str(book.day)], counts),
    ]


def _amount(value: Decimal, signed: bool) -> str:
    return f"{value:+,}" if signed and value else f"{value:,}"


def _ties(book: BookSummary) -> list[str]:
    if not book.tieouts:
        return ["Ledger: no control account is compared."]
    tied = book.tieouts - len(book.breaks)
    lines = [f"Ledger: {tied} of {book.tieouts} control accounts tie."]
    for row in book.breaks[:BREAKS_SHOWN]:
        lines.append(
            f"  {row['control_for']} {row['currency']}: ledger {row['ledger_balance']:,}, loans"
            f" {row['subledger_balance']:,}, difference {row['difference']:,}"
        )
    if len(book.breaks) > BREAKS_SHOWN:
        lines.append(f"  and {len(book.breaks) - BREAKS_SHOWN} more")
    return lines
