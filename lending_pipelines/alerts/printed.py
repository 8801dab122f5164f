"""A notification of an alert as plain text. Its HTML is in mail.py."""

from typing import Any

from lending_pipelines.alerts.words import compared, number

_CHANGES = {
    "opened": "This alert opened on {opened_on}.",
    "escalated": "This alert opened on {opened_on} and is critical now.",
    "eased": "This alert opened on {opened_on} and is a warning now; it was critical.",
    "resolved": "This alert opened on {opened_on} and was resolved on {resolved_on}.",
}


def change(data: dict[str, Any]) -> str:
    """What happened to the alert, in one sentence."""
    return _CHANGES[data["change"]].format(**data)


def finding(data: dict[str, Any]) -> str:
    """What was found; of a resolved alert, what was found last."""
    return f"Last finding, on {data['last_on']}: {data['text']}" if data["change"] == "resolved" else data["text"]


def facts(data: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts of an alert as names and values."""
    value, limit = (number(data[name], data["kind"], data["currency"]) for name in ("value", "threshold"))
    side = compared(data["operator"]) if data["operator"] else "limit"
    rows = [
        (data["number"].replace("_", " "), value),
        ("Threshold", f"{side} {limit}"),
        ("Severity", data["severity"]),
        ("Day", data["last_on"]),
        ("Rule", data["rule"]),
    ]
    return rows if data["value"] is not None else rows[2:]


def more(data: dict[str, Any]) -> list[tuple[str, str]]:
    """Where more is found: a name, and a command or a URL."""
    names = {"alert": "Alert", "report": "Report", "snapshot": "Snapshot"}
    return [(names[name], target) for name, target in data["links"].items()]


def as_text(data: dict[str, Any]) -> str:
    """The notification as lines of text."""
    lines = [finding(data), change(data)]
    if data["advice"]:
        lines.append(data["advice"])
    lines += ["", *(f"{name + ':':<22}{value}" for name, value in facts(data))]
    if data["loans"]:
        lines += ["", f"Largest loans behind it ({data['currency']}):"]
        lines += [
            f"  {loan['loan_id']:<20}{loan['principal_outstanding']:>18} outstanding,"
            f" {loan['past_due_amount']:>14} past due, {loan['days_past_due']:>4} days"
            for loan in data["loans"]
        ]
    lines += ["", *(f"{name + ':':<22}{target}" for name, target in more(data))]
    return "\n".join(lines) + "\n"
