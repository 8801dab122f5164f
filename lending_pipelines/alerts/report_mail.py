"""The mail with a report: headline numbers, charts and the first rows of tables, with the file attached.

exports/mail.py saves the content with the notification. outbox.py sends the mail.
"""

import hashlib
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from html import escape
from typing import Any

from lending_pipelines.alerts import mail
from lending_pipelines.delivery import DeliveryError
from lending_pipelines.places import LINK_DAYS, PlaceError, opened, signed_link

_FIGURES_A_ROW = 4
"""The number of headline numbers in a row."""
_FOOTER = "This mail is sent by lending_pipelines, because the report was requested for this address."
_SCALE = 2
_KEPT = {"left": "text-align:left;", "right": "text-align:right;white-space:nowrap;"}
"""The style of a cell by its side. A number, on the right, is not wrapped."""


def report_message(content: Mapping[str, Any], text: str, lender: str, limit: int) -> EmailMessage:
    """The mail.

    Args:
        content: What exports/mail.py saved with the notification.
        text: The same as plain text.
        lender: The lender's name.
        limit: The maximum bytes of an attachment. For a larger file, the mail has a link or the location.

    Raises:
        DeliveryError: The file cannot be read, or is not the one that was made.
    """
    file = content["file"]
    where = "" if file["bytes"] <= limit else _where(file)
    message = EmailMessage()
    message["Subject"] = content["title"]
    message.set_content(f"{text}\n{where}\n" if where else text)
    message.add_alternative(mail.page(lender, _rows(content, where), _FOOTER), subtype="html")
    body = message.get_body(("html",))
    assert isinstance(body, EmailMessage)
    for number, chart in enumerate(content["charts"]):
        body.add_related(_png(chart["spec"]), "image", "png", cid=f"<{_cid(number)}>", disposition="inline")
    if not where:
        subtype = "pdf" if file["name"].endswith(".pdf") else "octet-stream"
        message.add_attachment(_read(file), "application", subtype, filename=file["name"])
    return message


def _read(file: Mapping[str, Any]) -> bytes:
    try:
        with opened(file["url"]) as (fs, path):
            content = bytes(fs.cat_file(path))
    except (OSError, PlaceError) as error:
        raise DeliveryError(f"report {file['url']} cannot be read: {error}") from error
    if hashlib.sha256(content).hexdigest() != file["sha256"]:
        raise DeliveryError(f"report {file['url']} was changed after it was made: it is not sent")
    return content


def _where(file: Mapping[str, Any]) -> str:
    """Where the file is that is too large to attach: a link, or its location."""
    if link := signed_link(file["url"]):
        return f"The file is too large to attach. The link is valid for {LINK_DAYS} days: {link}"
    return f"The file is too large to attach. It is {file['url']}"


def _png(spec: Mapping[str, Any]) -> bytes:
    import vl_convert

    return bytes(vl_convert.vegalite_to_png(dict(spec), scale=_SCALE))


def _cid(number: int) -> str:
    return f"chart-{number}@report"


def _rows(content: Mapping[str, Any], where: str) -> list[str]:
    parts = [f'<div style="font-size:20px;font-weight:600;margin:0 0 4px">{escape(content["title"])}</div>']
    if content["compared_with"]:
        parts.append(f'<div style="color:{mail.GREY};font-size:13px">Change from {content["compared_with"]}</div>')
    parts += [
        f'<p style="margin:12px 0 0;padding:8px 12px;background:#FCE8E6;color:#8C1D18">{escape(line)}</p>'
        for line in content["alerts"]
    ]
    parts += [_figures(found) for found in content["headlines"]]
    last = escape(where) if where else f"The full report is attached: {escape(content['file']['name'])}"
    rows = [mail.row("".join(parts))]
    rows += [mail.row(_chart(chart, number)) for number, chart in enumerate(content["charts"])]
    rows += [mail.row(_table(table)) for table in content["tables"]]
    return [*rows, mail.row(last)]


def _figures(found: Mapping[str, Any]) -> str:
    """The headline numbers of a currency, in rows of _FIGURES_A_ROW."""
    figures = found["figures"]
    lines = [figures[first : first + _FIGURES_A_ROW] for first in range(0, len(figures), _FIGURES_A_ROW)]
    cells = "".join(f"<tr>{''.join(map(_figure, line))}</tr>" for line in lines)
    currency = f'<div style="font-weight:600;margin:16px 0 4px">{escape(found["currency"])}</div>'
    return (
        f'{currency if found["currency"] else ""}<table role="presentation" width="100%" cellpadding="0"'
        f' cellspacing="0" style="table-layout:fixed">{cells}</table>'
    )


def _figure(figure: Mapping[str, str]) -> str:
    change = f"<b>{escape(figure['change'])}</b> {escape(figure['previous'])}".removeprefix("<b></b> ") or "&nbsp;"
    return (
        '<td style="padding:6px 8px 6px 0;vertical-align:top">'
        f'<div style="color:{mail.GREY};font-size:12px">{escape(figure["label"])}</div>'
        f'<div style="font-size:16px;font-weight:600;font-variant-numeric:tabular-nums">{escape(figure["value"])}</div>'
        f'<div style="color:{mail.GREY};font-size:11px">{change}</div></td>'
    )


def _chart(chart: Mapping[str, Any], number: int) -> str:
    return (
        f'<img src="cid:{_cid(number)}" width="592" style="width:100%;max-width:592px;height:auto"'
        f' alt="{escape(chart["title"])}">'
    )


def _table(table: Mapping[str, Any]) -> str:
    sides = ["right" if column["right"] else "left" for column in table["columns"]]
    head = "".join(
        f'<th style="text-align:{side};padding:6px 8px 6px 0;border-bottom:1px solid #DADCE0;color:{mail.GREY};'
        f'font-weight:500;font-size:12px">{escape(column["label"])}</th>'
        for column, side in zip(table["columns"], sides, strict=True)
    )
    lines = zip(table["rows"], table["marked"], strict=True)
    body = "".join(_line(row, sides, marked=marked) for row, marked in lines)
    more = f'<div style="margin-top:8px;color:{mail.GREY};font-size:12px">{escape(table["more"])}</div>'
    rows = (
        '<table cellpadding="0" cellspacing="0" style="width:100%;border-collapse:collapse;font-size:13px;'
        f'font-variant-numeric:tabular-nums"><tr>{head}</tr>{body}</table>'
    )
    return (
        f'<div style="font-size:16px;font-weight:600;margin:0 0 6px">{escape(table["title"])}</div>'
        f"{rows if table['rows'] else ''}{more if table['more'] else ''}"
    )


def _line(row: Sequence[str], sides: Sequence[str], *, marked: bool) -> str:
    colour = "background:#FCE8E6;" if marked else ""
    cells = "".join(
        f'<td style="{colour}{_KEPT[side]}padding:5px 8px 5px 0;border-bottom:1px solid #F1F3F4">{escape(value)}</td>'
        for value, side in zip(row, sides, strict=True)
    )
    return f"<tr>{cells}</tr>"
