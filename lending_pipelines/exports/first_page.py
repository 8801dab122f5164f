"""A report's first page, in every format that has one: headline numbers with their change, and the chart.

Which numbers and charts a report has is decided in reports/. How they are drawn belongs in pdf.py and xlsx_cover.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from lending_pipelines.exports.charts import drawable
from lending_pipelines.exports.printed import printed
from lending_pipelines.reports.book import Chart, Kind, ReportBook, ReportTable

_POINTS: tuple[Kind, ...] = ("rate", "percent")
"""The kinds whose change is printed in percentage points."""
_DIFFERENCES: tuple[Kind, ...] = ("ratio", "number")
"""The kinds whose change is printed as a difference."""


@dataclass(frozen=True)
class Figure:
    """A headline number, now and in the previous period; None if it is not known."""

    label: str
    kind: Kind
    now: Any
    before: Any

    @property
    def change(self) -> str:
        """The change as printed: `+3.2%` for an amount or count, `+0.42 pp` for a rate; empty if it is not known.

        It is `unchanged` if both numbers are printed alike. For a score, an average or a ratio, and for an amount that
        was negative before, it is the difference. For an amount or count that was zero before, it is empty, because it
        would repeat the number.
        """
        if not isinstance(self.now, int | float | Decimal) or self.before is None:
            return ""
        difference = self.now - self.before
        if self.value == self.previous:
            return "unchanged"
        if self.kind in _POINTS:
            points = float(difference) * (100 if self.kind == "rate" else 1)
            return f"{points:+z,.2f} pp".replace("-", "−")
        if self.kind not in _DIFFERENCES and self.before == 0:
            return ""
        if self.kind in _DIFFERENCES or self.before < 0:
            sign = "+" if difference > 0 else ""
            return f"{sign}{printed(difference, self.kind)}"
        return f"{float(difference) / float(self.before):+z,.1%}".replace("-", "−")

    @property
    def beside_change(self) -> str:
        """The previous number as printed after the change: `from 1,000`, or `before: 0` if `change` is empty."""
        if not self.previous:
            return ""
        return f"from {self.previous}" if self.change else f"before: {self.previous}"

    @property
    def value(self) -> str:
        """The number as printed."""
        return printed(self.now, self.kind)

    @property
    def previous(self) -> str:
        """The number of the previous period as printed; empty if it is not known."""
        return "" if self.before is None else printed(self.before, self.kind)


@dataclass(frozen=True)
class Figures:
    """The headline numbers of a currency, or of a report without currencies."""

    currency: str
    figures: Sequence[Figure]


def headline_figures(book: ReportBook) -> list[Figures]:
    """The headline numbers that are known now or before, by currency."""
    if book.headlines is None:
        return []
    earlier = {row.get("currency"): row for row in book.previous.rows} if book.previous else {}
    found = []
    for row in book.headlines.arrow().to_pylist():
        before = earlier.get(row.get("currency"), {})
        figures = [
            Figure(column.label, column.kind, row[column.name], before.get(column.name))
            for column in book.headlines.columns
            if column.name != "currency"
        ]
        known = [figure for figure in figures if figure.now is not None or figure.before is not None]
        found.append(Figures(row.get("currency") or "", known))
    return found


def first_charts(book: ReportBook) -> list[tuple[Chart, ReportTable]]:
    """The first chart that has something to draw, with its table, and the same chart of a second currency."""
    drawn = [(chart, table) for chart in book.charts if drawable(chart, table := book.charted(chart))]
    currencies = [found.currency for found in headline_figures(book)]
    return [found for found in drawn if _family(found[0], currencies) == _family(drawn[0][0], currencies)][:2]


def _family(chart: Chart, currencies: Sequence[str]) -> str:
    """A chart's title without its currency."""
    return next((chart.title.removesuffix(end) for end in currencies if end and chart.title.endswith(end)), chart.title)
