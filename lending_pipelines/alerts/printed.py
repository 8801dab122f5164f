"""A notification of an alert as plain text. Its HTML is in mail.py."""

from typing import Any

LOANS_TITLE = "The largest loans behind it"

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
    """What was found. For a resolved alert, this is the last finding."""
    return f"Last finding, on {data['last_on']}: {data['text']}" if data["change"] == "resolved" else data["text"]


def facts(data: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts of an alert as names and values."""
    rows = [
        (data["compares"].replace("_", " "), data["value_text"]),
        ("Threshold", data["threshold_text"]),
        ("Severity", data["severity"]),
        *([("Currency", data["currency"])] if data["currency"] else []),
        ("Day", data["last_on"]),
        ("Rule", data["rule"]),
    ]
    if data.get("without_address"):
        rows.append(("Not emailed", f"{', '.join(data['without_address'])}: no email address in staff"))
    return rows if data["value"] is not None else rows[2:]


def more(data: dict[str, Any]) -> list[tuple[str, str]]:
    """Where to find more: names, each with a command or URL."""
    names = {"alert": "Alert", "report": "Report", "snapshot": "Snapshot"}
    return [(names[name], target) for name, target in data["links"].items()]


def as_text(data: dict[str, Any]) -> str:
    """The notification as lines of text."""
    lines = [finding(data), change(data)]
    if data["advice"]:
        lines.append(data["advice"])
    rows = facts(data)
    width = max(len(name) for name, _ in rows) + 2
    lines += ["", *(f"{name + ':':<{width}}{value}" for name, value in rows)]
    if data["loans"]:
        lines += ["", f"{LOANS_TITLE} ({data['currency']}):"]
        lines += [
            f"  {loan['loan_id']:<20}{loan['principal_outstanding']:>18} outstanding,"
            f" {loan['past_due_amount']:>14} past due, {loan['days_past_due']:>4} days"
            + (f", changed by {loan['change']}" if "change" in loan else "")
            for loan in data["loans"]
        ]
    lines += ["", *(f"{name + ':':<{width}}{target}" for name, target in more(data))]
    return "\n".join(lines) + "\n"
