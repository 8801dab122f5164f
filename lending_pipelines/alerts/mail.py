"""Notifications of alerts as email: HTML and plain text, with inline charts. outbox.py sends them.

The HTML uses tables and inline styles, because mail clients support little else.
"""

from collections.abc import Sequence
from datetime import date
from email.message import EmailMessage
from html import escape
from typing import Any

from lending_pipelines.alerts import chart, printed

_COLOURS = {"critical": "#B3261E", "warning": "#B26A00", "resolved": "#1B7F4B", "eased": "#1B7F4B"}
_FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_FOOTER = "This mail is sent by lending_pipelines. Who gets it is set in the alert rules."
GREY = "#5F6368"
"""The colour of less important text."""


def alert_message(data: dict[str, Any], lender: str) -> EmailMessage:
    """The mail of one notification."""
    return _message(data["title"], printed.as_text(data), page(lender, [_card(data, 0)]), [data])


def digest_message(entries: Sequence[dict[str, Any]], day: date, lender: str) -> EmailMessage:
    """The daily mail with the notifications that are not urgent."""
    title = f"Alerts of {day}: {_counted(entries)}"
    parts = [f"{data['title']}\n{'-' * len(data['title'])}\n{printed.as_text(data)}" for data in entries]
    cards = [_card(data, number) for number, data in enumerate(entries)]
    heading = row(f'<div style="font-size:20px;font-weight:600">{escape(title)}</div>')
    return _message(title, "\n".join(parts), page(lender, [heading, *cards]), entries)


def _message(title: str, text: str, html: str, entries: Sequence[dict[str, Any]]) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = " ".join(title.split())
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    body = message.get_body(("html",))
    assert isinstance(body, EmailMessage)
    for number, data in enumerate(entries):
        if picture := chart.png(data):
            name = f"history-{number}.png"
            body.add_related(picture, "image", "png", cid=f"<{_cid(number)}>", filename=name, disposition="inline")
    return message


def _cid(number: int) -> str:
    return f"history-{number}@alerts"


def _counted(entries: Sequence[dict[str, Any]]) -> str:
    """How many alerts opened, eased and were resolved."""
    words = {"opened": "opened", "escalated": "escalated", "eased": "eased", "resolved": "resolved"}
    counts = {word: sum(data["change"] == change for data in entries) for change, word in words.items()}
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def page(lender: str, rows: Sequence[str], footer: str = _FOOTER) -> str:
    """The HTML of a mail with these rows."""
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"></head>
<body style="margin:0;padding:0;background:#F1F3F4;{_FONT};font-size:14px;line-height:1.45;color:#202124">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0"><tr><td align="center" style="padding:24px 8px">
<table role="presentation" width="640" cellpadding="0" cellspacing="0" style="max-width:640px;width:100%">
<tr><td style="padding:0 4px 12px;color:{GREY};font-size:13px">{escape(lender or "lending_pipelines")}</td></tr>
{"".join(rows)}
<tr><td style="padding:4px;color:{GREY};font-size:12px">{footer}</td></tr>
</table></td></tr></table></body></html>
"""


def row(content: str, colour: str = "#FFFFFF") -> str:
    """A white box of a mail, with a line of this colour at the top."""
    return (
        f'<tr><td style="background:#FFFFFF;border-top:4px solid {colour};padding:20px 24px">{content}</td></tr>'
        '<tr><td style="height:16px;line-height:16px">&nbsp;</td></tr>\n'
    )


def _card(data: dict[str, Any], number: int) -> str:
    """One alert: what changed and why, its number and threshold, its history, and the loans behind it."""
    word = data["change"] if data["change"] in ("resolved", "eased") else data["severity"]
    colour = _COLOURS[word]
    parts = [
        f'<div style="color:{colour};font-size:12px;font-weight:700;letter-spacing:.06em">{word.upper()}</div>',
        f'<div style="font-size:18px;font-weight:600;margin:4px 0 8px">{escape(_heading(data))}</div>',
        f'<p style="margin:0 0 4px">{escape(printed.finding(data))}</p>',
        f'<p style="margin:0 0 12px;color:{GREY}">{escape(printed.change(data))}</p>',
    ]
    if data["advice"]:
        parts.append(f'<p style="margin:0 0 12px"><b>{escape(data["advice"])}</b></p>')
    parts.append(_facts(printed.facts(data)))
    if len(data["history"]) >= chart.FEWEST_DAYS:
        title = f"{data['number']} by day, up to {data['last_on']}"
        parts.append(
            f'<div style="margin:16px 0 4px;color:{GREY};font-size:12px">{escape(title)}</div>'
            f'<img src="cid:{_cid(number)}" width="592" style="width:100%;max-width:592px;height:auto"'
            f' alt="{escape(title)}">'
        )
    if data["loans"]:
        parts.append(_loans(data))
    parts += [f'<div style="margin-top:14px;font-size:13px">{_more(data)}</div>']
    return row("".join(parts), colour)


def _heading(data: dict[str, Any]) -> str:
    return data["title"].partition(": ")[2] or data["title"]


def _facts(rows: Sequence[tuple[str, str]]) -> str:
    cells = "".join(
        f'<tr><td style="padding:3px 24px 3px 0;color:{GREY}">{escape(name)}</td>'
        f'<td style="padding:3px 0;font-variant-numeric:tabular-nums"><b>{escape(value)}</b></td></tr>'
        for name, value in rows
    )
    return f'<table role="presentation" cellpadding="0" cellspacing="0">{cells}</table>'


def _loans(data: dict[str, Any]) -> str:
    names = {
        "loan_id": "Loan",
        "principal_outstanding": f"Outstanding, {data['currency']}",
        "past_due_amount": "Past due",
        "days_past_due": "Days past due",
        "change": "Change",
    }
    header = [names[column] for column in data["loans"][0]]
    styles = ["left", *["right"] * (len(header) - 1)]
    head = "".join(
        f'<th style="text-align:{side};padding:6px 8px 6px 0;border-bottom:1px solid #DADCE0;color:{GREY};'
        f'font-weight:500;font-size:12px">{escape(name)}</th>'
        for name, side in zip(header, styles, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="text-align:{side};padding:6px 8px 6px 0;border-bottom:1px solid #F1F3F4">'
            f"{escape(str(value))}</td>"
            for value, side in zip(loan.values(), styles, strict=True)
        )
        + "</tr>"
        for loan in data["loans"]
    )
    return (
        f'<div style="margin:16px 0 4px;color:{GREY};font-size:12px">{printed.LOANS_TITLE}</div>'
        f'<table cellpadding="0" cellspacing="0" style="width:100%;border-collapse:collapse;'
        f'font-variant-numeric:tabular-nums"><tr>{head}</tr>{body}</table>'
    )


def _more(data: dict[str, Any]) -> str:
    shown = []
    for name, target in printed.more(data):
        code = f'<a href="{escape(target)}" style="color:#0B57D0">{escape(target)}</a>' if "://" in target else (
            f'<code style="background:#F1F3F4;padding:2px 5px">{escape(target)}</code>'
        )  # fmt: skip
        shown.append(f'<div style="margin-top:4px"><span style="color:{GREY}">{name}</span> {code}</div>')
    return "".join(shown)
