"""The cover of a workbook: the lender, headline numbers with their change, links to worksheets, and the small print.

Native charts are made in xlsx_charts.py; worksheets of tables in xlsx.py.
"""

import math
from collections.abc import Mapping, Sequence
from struct import unpack
from types import MappingProxyType
from typing import Any

from openpyxl.cell import WriteOnlyCell
from openpyxl.drawing.image import Image
from openpyxl.styles import Alignment, Border, Font, Side
from openpyxl.worksheet.hyperlink import Hyperlink
from openpyxl.worksheet.pagebreak import Break

from lending_pipelines.exports.first_page import Figures
from lending_pipelines.exports.injection import is_formula
from lending_pipelines.exports.lender import UNNAMED, Lender
from lending_pipelines.exports.xlsx_rows import clean
from lending_pipelines.exports.xlsx_styles import ALERT, BOLD, FORMATS, HEADER_FILL, HEADER_FONT, LANDSCAPE, LINK, fit
from lending_pipelines.reports.book import Cover

_WIDTHS = {"A": 34, "B": 20, "C": 26, "D": 20, "E": 12}
_LINE = 15.0
"""The height of a line in points."""
_TITLE_HEIGHT = 24.0
_FIRST = ("Tables", "Notes", "Worksheets")
_PAGE_ROWS = 44
"""The rows of a cover that one printed page holds."""

_LOGO_PIXELS = 60
_TITLE = Font(name="Calibri", bold=True, size=16)
_QUIET = Font(name="Calibri", color="595959")
_WRAPPED = Alignment(wrap_text=True, vertical="top")
_POINTS: Mapping[str, str] = {"rate": "+0.00%;-0.00%;0.00%", "percent": "+0.00;-0.00;0.00"}


def write_cover(
    worksheet: Any,
    cover: Cover,
    links: Mapping[str, str],
    figures: Sequence[Figures] = (),
    previous: str = "",
    alerts: Sequence[str] = (),
    lender: Lender = UNNAMED,
    charts_end: int = 0,
) -> None:
    """Write the cover: numbers, tables and notes first, then the small print, on a separate page if it needs one.

    Args:
        worksheet: A write-only worksheet without rows.
        cover: Title and sections; the section Tables lists what `links` lead to.
        links: The worksheet of each table, by its title.
        figures: Headline numbers by currency.
        previous: The name of the period that they are compared with; empty without one.
        alerts: What a reader must know before the numbers.
        lender: The name and logo to print.
        charts_end: The row below the charts beside these rows; 0 without charts.
    """
    lines = _Lines(worksheet)
    for column, width in _WIDTHS.items():
        worksheet.column_dimensions[column].width = width
    worksheet.sheet_view.showGridLines = False
    fit(worksheet, LANDSCAPE)
    if logo := lender.logo_png():
        worksheet.add_image(_Picture(logo), "D1")
    if lender.name:
        lines.add(lines.text(lender.name, _QUIET))
    worksheet.row_dimensions[lines.rows + 1].height = _TITLE_HEIGHT
    lines.add(lines.text(cover.title, _TITLE))
    lines.add(lines.text(f"as of {cover.sections['Report']['As of']}" if "Report" in cover.sections else "", BOLD))
    for alert in alerts:
        lines.long(lines.text(alert, ALERT))
    if figures:
        lines.figures(figures, previous)
    sections = {name: values for name, values in cover.sections.items() if values}
    first = [{name: sections.pop(name)} for name in _FIRST if name in sections]
    about = sections.pop("Report", {})
    for group in (*first, sections | {"Report": about}):
        if lines.on_one_page(charts_end) and not lines.on_one_page(charts_end, group):
            lines.turn_page(charts_end)
        for name, values in group.items():
            lines.section(name, values, links if name == "Tables" else {})


class _Picture(Image):
    """A PNG image. Its size is read from the file, because openpyxl would need Pillow to find it."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        wide, high = unpack(">II", content[16:24])
        self.width, self.height = round(wide * _LOGO_PIXELS / high), _LOGO_PIXELS
        self.format = "png"

    def _data(self) -> bytes:
        return self._content


class _Lines:
    """The rows of a cover."""

    def __init__(self, worksheet: Any) -> None:
        self._worksheet = worksheet
        self.rows = self.height = 0

    def add(self, *cells: Any, height: int = 1) -> None:
        """Write a row that is `height` lines high."""
        self._worksheet.append(list(cells))
        self.rows += 1
        self.height += height

    def on_one_page(self, charts_end: int, sections: Mapping[str, Mapping[str, str]] = MappingProxyType({})) -> bool:
        """Whether everything so far, the charts and these sections fit on the first page."""
        letters = _letters("B")
        further = sum(2 + sum(_lines(text, letters) for text in values.values()) for values in sections.values())
        return max(self.height + further, charts_end) <= _PAGE_ROWS

    def turn_page(self, charts_end: int) -> None:
        """Begin a new page below the rows and the charts beside them."""
        while self.rows < charts_end:
            self.add()
        self._worksheet.row_breaks.append(Break(id=self.rows))
        # Further sections add no page break: on_one_page is false from now on.
        self.height = max(self.height, _PAGE_ROWS + 1)

    def text(self, text: str, font: Font | None = None) -> Any:
        """A cell of text, never a formula."""
        cell = WriteOnlyCell(self._worksheet, clean(text))
        # openpyxl takes a leading = for a formula and #N/A for an error.
        cell.data_type = "s"
        cell.quotePrefix = is_formula(text)
        if font:
            cell.font = font
        return cell

    def long(self, *cells: Any) -> None:
        """Write a row whose last text spans the rest of the page and is wrapped."""
        row, first = self.rows + 1, "ABCDE"[len(cells) - 1]
        cells[-1].alignment = _WRAPPED
        self._worksheet.merged_cells.add(f"{first}{row}:E{row}")
        lines = _lines(str(cells[-1].value), _letters(first))
        if lines > 1:
            self._worksheet.row_dimensions[row].height = _LINE * lines
        self.add(*cells, height=lines)

    def figures(self, figures: Sequence[Figures], previous: str) -> None:
        """Write the headline numbers."""
        for found in figures:
            self.add()
            labels = (found.currency or "Headline numbers", "Now", previous or "Before", "Change", "Change %")
            self.add(*(self._head(label, right=number > 0) for number, label in enumerate(labels)))
            for figure in found.figures:
                change = None if figure.before is None or figure.now is None else figure.now - figure.before
                grown = None
                if change is not None and figure.kind in ("money", "count") and figure.before > 0:
                    grown = float(change) / float(figure.before)
                self.add(
                    self.text(figure.label),
                    self._number(figure.now, FORMATS[figure.kind]),
                    self._number(figure.before, FORMATS[figure.kind]),
                    self._number(change, _POINTS.get(figure.kind, FORMATS[figure.kind])),
                    self._number(grown, "+0.0%;-0.0%;0.0%"),
                )

    def section(self, title: str, values: Mapping[str, str], links: Mapping[str, str]) -> None:
        """Write a titled list of names and values, the names as links if `links` has them; nothing without values."""
        if not values:
            return
        self.add()
        heading = self.text(title, BOLD)
        heading.border = Border(bottom=Side(style="thin"))
        self.add(heading)
        for name, value in values.items():
            cell = self.text(name)
            cell.alignment = _WRAPPED
            if name in links:
                cell.font = LINK
                cell._hyperlink = Hyperlink(ref=f"A{self.rows + 1}", location=_inside(links[name]), display=name)
            self.long(cell, self.text(value))

    def _head(self, label: str, right: bool) -> Any:
        cell = self.text(label, HEADER_FONT)
        cell.fill = HEADER_FILL
        cell.alignment = Alignment(horizontal="right" if right else "left", indent=0 if right else 1)
        return cell

    def _number(self, value: Any, number_format: str) -> Any:
        cell = WriteOnlyCell(self._worksheet, value)
        cell.number_format = number_format
        cell.alignment = Alignment(horizontal="right")
        return cell


def _letters(first: str) -> float:
    """The letters that fit on a line from this column to the last. A letter is narrower than a digit."""
    return 1.1 * sum(_WIDTHS[column] for column in "ABCDE"["ABCDE".index(first) :])


def _lines(text: str, letters: float) -> int:
    """The number of lines of the text when a line has at most `letters` letters."""
    return sum(math.ceil((len(line) or 1) / letters) for line in text.split("\n"))


def _inside(worksheet: str) -> str:
    """The location of a worksheet's first cell, for a link within the workbook."""
    quoted = worksheet.replace("'", "''")
    return f"'{quoted}'!A1"
