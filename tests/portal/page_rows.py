"""The rows of the tables of a page, as a reader sees them."""

from decimal import Decimal
from html.parser import HTMLParser


class _Tables(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self._rows: list[list[str]] | None = None
        self._caption: list[str] | None = None

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self._rows = []
        elif tag == "caption":
            self._caption = []
        elif tag == "tr" and self._rows is not None:
            self._rows.append([])
        elif tag in ("td", "th") and self._rows:
            self._rows[-1].append("")

    def handle_endtag(self, tag):
        if tag == "caption":
            assert self._rows is not None
            self.tables["".join(self._caption or [])] = self._rows
            self._caption = None
        elif tag == "table":
            self._rows = None

    def handle_data(self, data):
        if self._caption is not None:
            self._caption.append(data)
        elif self._rows and self._rows[-1]:
            self._rows[-1][-1] = " ".join(f"{self._rows[-1][-1]} {data}".split())


def tables(text: str) -> dict[str, list[list[str]]]:
    """The cells of every table of a page, by its caption; the first row is the head."""
    parser = _Tables()
    parser.feed(text)
    return parser.tables


def column(text: str, caption: str, label: str) -> list[str]:
    """The cells of one column of a table."""
    head, *rows = tables(text)[caption]
    return [row[head.index(label)] for row in rows]


def money(value: Decimal, currency: str = "") -> str:
    """An amount as a page writes it."""
    return f"{value:,.2f} {currency}".strip().replace("-", "−")
