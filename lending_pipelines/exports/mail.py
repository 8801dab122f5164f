"""What a mail with a report shows, as JSON values: headline numbers, charts, the first rows of some tables, the file.

Which tables and columns a mail shows is decided by the report (`ReportTable.mailed`). The mail is written when it is
sent, in alerts/report_mail.py.
"""

from typing import Any

from lending_pipelines.exports.charts import altair_chart
from lending_pipelines.exports.first_page import first_charts, headline_figures
from lending_pipelines.exports.printed import clean, printed
from lending_pipelines.places import PlacedFile
from lending_pipelines.reports.book import ReportBook, ReportTable

MAILED_ROWS = 12
"""The maximum number of rows of a table in a mail."""

_CHART = (520, 150)
"""Width and height of a chart in pixels."""

_LEFT = ("text", "date", "instant", "flag")
"""The kinds of columns that are aligned left."""


def mail_content(book: ReportBook, file: PlacedFile) -> dict[str, Any]:
    """The content of the mail about a report, ready for JSON: every number as text, charts as Vega-Lite specs.

    Columns without a value in the shown rows are left out.
    """
    return {
        "report": book.report_type,
        "title": clean(book.title),
        "as_of": book.as_of.isoformat(),
        "compared_with": book.previous.name if book.previous else "",
        "alerts": [clean(line) for line in book.alerts],
        "headlines": [
            {
                "currency": found.currency,
                "figures": [
                    {"label": clean(f.label), "value": f.value, "change": f.change, "previous": f.beside_change}
                    for f in found.figures
                ],
            }
            for found in headline_figures(book)
        ],
        "charts": [
            {"title": chart.title, "spec": altair_chart(chart, table, _CHART).to_dict()}
            for chart, table in first_charts(book)
        ],
        "tables": [_table(table) for table in book.tables if table.mailed],
        "file": {
            "url": file.url,
            "name": file.url.rpartition("/")[2],
            "sha256": file.sha256,
            "bytes": file.bytes,
        },
    }


def mail_text(content: dict[str, Any]) -> str:
    """The mail as plain text."""
    lines = [content["title"], "", *content["alerts"]]
    if content["compared_with"]:
        lines += ["", f"Changes are from {content['compared_with']}."]
    for found in content["headlines"]:
        lines += ["", *([found["currency"]] if found["currency"] else [])]
        width = max(len(figure["label"]) for figure in found["figures"]) + 2
        for figure in found["figures"]:
            compared = f"{figure['change']} {figure['previous']}".strip()
            lines.append(f"{figure['label']:<{width}}{figure['value']:>18}  {compared}".rstrip())
    for table in content["tables"]:
        lines += ["", table["title"], *_aligned(table), *([table["more"]] if table["more"] else [])]
    return "\n".join([*lines, "", f"File: {content['file']['name']}"]) + "\n"


def _table(table: ReportTable) -> dict[str, Any]:
    """The first rows and the mailed columns of a table."""
    rows = table.arrow().slice(0, MAILED_ROWS).to_pylist()
    columns = [column for column in table.columns if column.name in table.mailed]
    columns = [column for column in columns if not rows or any(row[column.name] is not None for row in rows)]
    columns.sort(key=lambda column: table.mailed.index(column.name))
    left = len(table.frame) - len(rows)
    name, value = table.marked or ("", "")
    return {
        "title": clean(table.title),
        "columns": [{"label": column.label, "right": column.kind not in _LEFT} for column in columns],
        "rows": [[printed(row[column.name], column.kind) for column in columns] for row in rows],
        "marked": [bool(name) and row[name] == value for row in rows],
        "more": f"{left:,} more in the file." if left else table.no_data or "",
    }


def _aligned(table: dict[str, Any]) -> list[str]:
    """The rows of a table with aligned columns, below their labels."""
    if not table["rows"]:
        return []
    lines = [[column["label"] for column in table["columns"]], *table["rows"]]
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    return [
        "  ".join(
            f"{cell:>{width}}" if column["right"] else f"{cell:<{width}}"
            for cell, width, column in zip(line, widths, table["columns"], strict=True)
        ).rstrip()
        for line in lines
    ]
