"""Loan lists: reads loan ids, with or without prices, from a file as spreadsheets write it, and splits them in batches.

An ambiguous list is rejected. known_names.py checks whether the ids exist.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import TypeVar

from lending_pipelines.bounds import LONGEST_NAME
from lending_pipelines.register.database import RegisterError

T = TypeVar("T")

BATCH = 10_000
"""The number of rows in one statement, below SQLite's limit of 32,766 parameters."""

LARGEST = Decimal(10) ** 16
"""Amounts in the register must be below this."""

SHOWN = 20
"""The number of errors of a list that a message names; the rest are counted."""

_ID_NAMES = frozenset(
    {"loan", "loans"}
    | {
        f"loan{each}"
        for each in ("id", "ids", "no", "nr", "num", "number", "numbers", "ref", "reference", "identifier")
    }
    | {f"loanaccount{each}" for each in ("", "id", "no", "number")}
)
_PRICE_NAME = re.compile(r"(purchase|sale)?price(paid)?([a-z]{3})?")
_PRICE_NAMES = ("purchaseprice", "saleprice", "price")
_DELIMITERS = ",;\t"
_DECIMAL_POINT = re.compile(r"\d+(\.\d+)?")
_DECIMAL_COMMA = re.compile(r"(\d+|\d{1,3}(\.\d{3})+),\d{1,2}")
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True)
class LoanList:
    """The loans of a file: each loan's price (None if not given) and the line where it first appears."""

    path: str
    prices: Mapping[str, Decimal | None]
    lines: Mapping[str, int]

    def refuse(self, faults: Mapping[str, str]) -> None:
        """Raise RegisterError that names every loan with a fault and its line; do nothing without faults."""
        in_order = sorted(faults.items(), key=lambda fault: self.lines[fault[0]])
        _refuse(self.path, [f"line {self.lines[loan_id]}: {fault}" for loan_id, fault in in_order])


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """Split the items into lists of at most that size."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def named(faults: list[str], separator: str = "; ") -> str:
    """The faults in one line: the first of them, and the number of the others."""
    more = f"{separator}and {len(faults) - SHOWN:,} more" if len(faults) > SHOWN else ""
    return separator.join(faults[:SHOWN]) + more


def read_loan_list(path: str | Path) -> LoanList:
    """Read the loans of a text file: one id per line, or a CSV file whose header has an id column.

    Columns are separated by commas, semicolons or tabs; the text is UTF-8, or UTF-16 with a byte order mark. The id
    column is named loan_id, Loan ID or loan number; the price column purchase_price or price. With semicolons or tabs,
    amounts may have a decimal comma.

    Raises:
        RegisterError: The file cannot be read, has no ids, lacks an id, repeats one with another price, or has a price
            that is not an amount with at most two decimals. Names every line that is wrong.
    """
    text, delimiter, skipped = _delimited(path, _text(path))
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return _Reader(str(path), delimiter, skipped).read(rows)
    except csv.Error as error:
        raise RegisterError(f"loan list {path}, line {rows.line_num + skipped}: {error}") from error


def _text(path: str | Path) -> str:
    try:
        content = Path(path).read_bytes()
        encoding = next((name for mark, name in _BOMS if content.startswith(mark)), "utf-8")
        text = content.decode(encoding)
    except (OSError, ValueError) as error:
        raise RegisterError(f"loan list {path} cannot be read: {error}: save it as CSV UTF-8") from error
    if "\0" in text:
        raise RegisterError(f"loan list {path} is not a text file: save it as CSV UTF-8")
    return text


def _delimited(path: str | Path, text: str) -> tuple[str, str, int]:
    """The text of the rows, the column separator, and the number of lines before them."""
    first, _, rest = text.partition("\n")
    if declared := re.fullmatch(r"sep=(.)\s*", first):
        return rest, declared[1], 1
    header = next((line for line in text.splitlines() if line.strip()), "")
    if not header:
        raise RegisterError(f"loan list {path} is empty: write one loan id per line")
    possible = [delimiter for delimiter in _DELIMITERS if len(_cells(header, delimiter)) > 1]
    with_id = [delimiter for delimiter in possible if any(map(_is_id, _cells(header, delimiter)))]
    if len(with_id) > 1 or (possible and not with_id):
        raise RegisterError(
            f"loan list {path} has no loan_id column; its first line is {header.strip()!r}: write a header with loan_id"
            " and separate columns with commas, semicolons or tabs"
        )
    return text, with_id[0] if with_id else ",", 0


class _Reader:
    """Reads the rows of one list and collects all faults before it raises."""

    def __init__(self, path: str, delimiter: str, skipped: int) -> None:
        self._path = path
        self._decimal_comma = delimiter != ","
        self._skipped = skipped
        self._prices: dict[str, Decimal | None] = {}
        self._lines: dict[str, int] = {}
        self._faults: list[str] = []

    def read(self, rows: "csv._reader") -> LoanList:  # type: ignore[name-defined]
        """The loans of the rows. Raises RegisterError with all faults."""
        header: list[str] | None = None
        id_column, price_column = 0, None
        for row in rows:
            cells = [cell.strip() for cell in row]
            line = rows.line_num + self._skipped
            if not any(cells):
                continue
            if header is None:
                header = cells
                if any(map(_is_id, cells)):
                    id_column, price_column = self._columns(cells)
                    continue
            self._row(line, cells, len(header), id_column, price_column)
        if not self._prices and not self._faults:
            raise RegisterError(f"loan list {self._path} has a header but no loan ids: write one loan id per line")
        _refuse(self._path, self._faults)
        return LoanList(self._path, self._prices, self._lines)

    def _columns(self, header: list[str]) -> tuple[int, int | None]:
        """The index of the id column, and of the price column if there is one."""
        ids = _one_column(self._path, header, "loan_id", list(map(_is_id, header)))
        prices = [bool(_PRICE_NAME.fullmatch(_plain(cell))) for cell in header]
        for cell in header:
            if not _PRICE_NAME.fullmatch(_plain(cell)) and get_close_matches(_plain(cell), _PRICE_NAMES, cutoff=0.8):
                raise RegisterError(f"loan list {self._path}: column {cell!r}: did you mean 'purchase_price'?")
        return ids, _one_column(self._path, header, "purchase_price", prices) if any(prices) else None

    def _row(self, line: int, cells: list[str], width: int, id_column: int, price_column: int | None) -> None:
        """Add the loan of a row, or its fault."""
        loan_id = cells[id_column] if id_column < len(cells) else ""
        if any(cells[width:]):
            fault = f"{len(cells)} values, but the first line has {width}: quote values that contain the separator"
        elif not loan_id:
            fault = "the loan id is missing"
        elif not loan_id.isprintable():
            fault = f"loan id {loan_id!a} has non-printable characters"
        elif len(loan_id) > LONGEST_NAME:
            fault = f"loan id {loan_id!r} has more than {LONGEST_NAME} characters"
        else:
            text = cells[price_column] if price_column is not None and price_column < len(cells) else ""
            try:
                self._add(line, loan_id, _price(text, self._decimal_comma) if text else None)
            except ValueError as error:
                self._faults.append(f"line {line}: {error}")
            return
        self._faults.append(f"line {line}: {fault}")

    def _add(self, line: int, loan_id: str, price: Decimal | None) -> None:
        if self._prices.setdefault(loan_id, price) != price:
            shown = [f"{'no price' if each is None else each}" for each in (price, self._prices[loan_id])]
            raise ValueError(
                f"loan {loan_id} has purchase_price {shown[0]} here but {shown[1]} in line {self._lines[loan_id]}"
            )
        self._lines.setdefault(loan_id, line)


def _price(text: str, decimal_comma: bool) -> Decimal:
    """The amount in a cell. Raises ValueError when it is not an amount or is ambiguous."""
    compact = text.replace("\N{NO-BREAK SPACE}", "").replace("\N{NARROW NO-BREAK SPACE}", "").replace(" ", "")
    if decimal_comma and _DECIMAL_COMMA.fullmatch(compact):
        price = Decimal(compact.replace(".", "").replace(",", "."))
    elif decimal_comma and re.fullmatch(r"\d{1,3}\.\d{3}", compact):
        raise ValueError(f"purchase_price {text!r} is ambiguous: write {compact.replace('.', '')},00")
    elif _DECIMAL_POINT.fullmatch(text):
        price = Decimal(text)
    else:
        raise ValueError(
            f"purchase_price {text!r} is not an amount: write it as {'9800,00' if decimal_comma else '9800.00'}"
        )
    if price >= LARGEST or price != round(price, 2):
        raise ValueError(
            f"purchase_price {text!r} is not allowed: write an amount below {LARGEST:,} with at most two decimals"
        )
    return price


def _one_column(path: str, header: list[str], name: str, is_it: list[bool]) -> int:
    """The index of the column. If several match, the one spelled as `name`; RegisterError when none is."""
    matches = [column for column, it_is in enumerate(is_it) if it_is]
    exact = [column for column in matches if header[column] == name]
    chosen = exact if len(matches) > 1 else matches
    if len(chosen) == 1:
        return chosen[0]
    columns = ", ".join(repr(header[column]) for column in matches)
    raise RegisterError(f"loan list {path}: columns {columns} could all be {name}: rename one of them to {name}")


def _cells(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])


def _is_id(cell: str) -> bool:
    return _plain(cell) in _ID_NAMES


def _plain(cell: str) -> str:
    """The letters and digits of a header, in lower case."""
    return re.sub(r"[\W_]", "", cell).casefold()


def _refuse(path: str, faults: list[str]) -> None:
    if faults:
        raise RegisterError(f"loan list {path}: {named(faults)}")
