"""PDF: a document for a board or an auditor, typeset by Typst from the template report.typ.

This module decides what is printed, report.typ how it looks. Texts reach the template as JSON, never as markup. Equal
books make equal bytes: the fonts are those inside the typst package, the document's date is the business date. The
file is PDF/A-2a, for archives, unless it holds characters that no font has or that the standard does not allow.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib import resources
from typing import Any

from lending_pipelines.exports import charts
from lending_pipelines.exports.error import ExportError
from lending_pipelines.exports.first_page import Figures, first_charts, headline_figures
from lending_pipelines.exports.lender import UNNAMED, Lender
from lending_pipelines.exports.pdf_grid import grid, left_out, rows_printed
from lending_pipelines.exports.pdf_layout import LANDSCAPE, PORTRAIT, Grid, breakable, fitting, parts, upright
from lending_pipelines.exports.printed import clean
from lending_pipelines.reports.book import Chart, ReportBook, ReportTable

_TEMPLATE = resources.files("lending_pipelines.exports").joinpath("report.typ")
_APPENDIX = (("Conventions",), ("Data versions", "Report"))
"""The sections of the cover that are printed at the end, beside the parameters, by column."""

_LONG_LIST = 12
"""The maximum number of bars of a chart that is half a page wide."""

_BESIDE = 170.0
"""The width in points that a chart beside a table needs."""

_HEADER_LETTERS = 90
"""The maximum number of letters of the title at the top of every page."""
_NAMED = 12
"""The maximum number of characters without a font that are named."""
_NO_FONT = re.compile(r'the text `"(.+?)"` could not be displayed')


def write_book(book: ReportBook, sink: Any, lender: Lender = UNNAMED) -> int:
    """Write a book. Returns the number of rows printed. ExportError if Typst rejects the document."""
    sink.write(_typeset(document_of(book, lender)))
    return sum(rows_printed(table) for table in book.tables)


def document_of(book: ReportBook, lender: Lender = UNNAMED) -> dict[str, Any]:
    """The data of the template, ready for JSON: numbers as text, tables in parts that fit on a page."""
    tables = [table for table in book.tables if table.printed_rows != 0 or table.frame.empty]
    grids = [grid(table) for table in tables]
    upright_grids = [upright(found) for found, _ in grids]
    landscape = any(fitting(found, PORTRAIT) is None for found in upright_grids)
    title = clean(book.title)
    return {
        "lender": clean(lender.name),
        "logo": list(lender.logo or b""),
        "logo_format": lender.logo_format,
        "title": breakable(title, PORTRAIT, 20),
        "running_title": title if len(title) <= _HEADER_LETTERS else f"{title[:_HEADER_LETTERS]}…",
        "as_of": book.as_of.isoformat(),
        "compared_with": book.previous.name if book.previous and not book.letter else "",
        "letter": _lines(book.letter),
        "report_type": book.report_type,
        "landscape": landscape,
        "alerts": [breakable(clean(alert), PORTRAIT, 10) for alert in book.alerts],
        "headlines": [
            _headlines(found) for found in headline_figures(replace(book, previous=None) if book.letter else book)
        ],
        **_first_charts(book, landscape),
        "parameters": _lines(book.parameters),
        "notes": [breakable(clean(note), PORTRAIT, 10) for note in _notes(book)],
        "tables": [
            _table(table, found, empty, book, landscape)
            for table, found, (_, empty) in zip(tables, upright_grids, grids, strict=True)
        ],
        "appendix": [{name: _lines(book.cover.sections[name]) for name in column} for column in _APPENDIX],
        "no_font": "",
    }


def _headlines(found: Figures) -> dict[str, Any]:
    return {
        "currency": clean(found.currency),
        "figures": [
            {"label": clean(f.label), "value": f.value, "change": f.change, "previous": f.beside_change}
            for f in found.figures
        ],
    }


def _notes(book: ReportBook) -> list[str]:
    """The notes that are not alerts, and a note on the tables that are not printed."""
    elsewhere = [table.title for table in book.tables if table.printed_rows == 0 and not table.frame.empty]
    note = f"Not printed, and in the same report as CSV, XLSX, JSON or Parquet: {', '.join(elsewhere)}."
    return [note for note in book.notes if note not in book.alerts] + [note] * bool(elsewhere and not book.letter)


def _table(table: ReportTable, found: Grid, empty: list[str], book: ReportBook, landscape: bool) -> dict[str, Any]:
    """The data of a table: its parts, its charts, and what is left out of it."""
    first = [chart for chart, _ in first_charts(book)]
    drawn = [(chart, book.charted(chart)) for chart in book.charts if chart.table == table.title]
    others = [
        (chart, rows) for chart, rows in drawn if charts.drawable(chart, rows) and (table.heatmap or chart not in first)
    ]
    room = LANDSCAPE if landscape else PORTRAIT
    made = parts(found, room)
    beside = len(others) == 1 and len(made) == 1 and room - sum(made[0].look.widths) >= _BESIDE
    return {
        "title": breakable(clean(table.title), PORTRAIT, 13),
        "no_data": clean(table.no_data or ""),
        "left_out": left_out(table),
        "empty": f"Empty and left out: {', '.join(empty)}." if empty and not book.letter else "",
        "heatmap": table.heatmap,
        "charts": _charts(others, charts.NARROW if len(others) > 1 or beside else charts.LOW, below=table.title),
        "beside": beside,
        "parts": [asdict(part) for part in made],
    }


def _first_charts(book: ReportBook, landscape: bool) -> dict[str, Any]:
    """The charts of the first page, and whether they are side by side; waterfalls and long lists are not."""
    drawn = first_charts(book)
    if len(drawn) < 2:
        return {"charts": _charts(drawn, charts.WIDE), "beside": False}
    if landscape:
        return {"charts": _charts(drawn, charts.HALF), "beside": True}
    flat = any(
        chart.kind == "waterfall" or len(table.frame) > _LONG_LIST for chart, table in drawn if chart.kind != "line"
    )
    return {"charts": _charts(drawn, charts.FLAT if flat else charts.NARROW), "beside": not flat}


def _charts(drawn: Sequence[tuple[Chart, ReportTable]], size: tuple[int, int], below: str = "") -> list[dict[str, str]]:
    """The charts as pictures, without their title if it repeats the heading `below`."""
    return [
        {"svg": charts.svg(chart, table, size, titled=chart.title != below), "alt": clean(chart.title)}
        for chart, table in drawn
    ]


def _lines(values: Mapping[str, str]) -> list[list[str]]:
    return [[breakable(clean(text), PORTRAIT / 4, 10) for text in line] for line in values.items()]


def _typeset(document: Mapping[str, Any]) -> bytes:
    """The PDF with the fonts of the typst package; if it fails, with the machine's fonts; then without PDF/A."""
    lacking: list[str] = []
    for system_fonts in (False, True):
        try:
            return _compile(document, system_fonts)
        except ExportError as error:
            lacking = _letters(str(error))
    named = ", ".join(f"U+{ord(letter):04X}" for letter in lacking[:_NAMED])
    return _compile({**document, "no_font": named}, system_fonts=True, archival=False)


def _letters(refusal: str) -> list[str]:
    """The characters that no font has, read from Typst's message: as they are, or as `\\u{e47}`."""
    texts = "".join(_NO_FONT.findall(refusal))
    return sorted({*re.sub(r"\\u\{([0-9a-f]+)\}", lambda code: chr(int(code[1], 16)), texts)})


def _compile(document: Mapping[str, Any], system_fonts: bool, archival: bool = True) -> bytes:
    import typst

    try:
        return typst.compile(
            _TEMPLATE.read_bytes(),
            format="pdf",
            sys_inputs={"document": json.dumps(document, ensure_ascii=False)},
            pdf_standards="a-2a" if archival else [],
            ignore_system_fonts=not system_fonts,
        )
    except typst.TypstError as error:
        raise ExportError(f"{document['report_type']}: the PDF cannot be typeset: {error.diagnostic}") from error
