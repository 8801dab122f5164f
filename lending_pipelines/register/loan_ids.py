"""Lists of loans: ids, with prices or without, read from a file and taken in batches."""

import csv
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from itertools import islice
from pathlib import Path
from typing import TypeVar

from lending_pipelines.register.database import RegisterError

T = TypeVar("T")

BATCH = 10_000
"""How many rows one statement checks or inserts: below SQLite's limit of 32,766 parameters."""

LARGEST = Decimal(10) ** 16
"""Every amount of the register is below it."""


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """The items in lists of at most that size."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def read_loan_ids(path: str | Path) -> Iterator[str]:
    """The loan ids in a UTF-8 text file, one a line, or in the loan_id column of a CSV file with a header.

    RegisterError when the file cannot be read, holds no ids, or a line lacks one.
    """
    return (loan_id for loan_id, _ in _read(path))


def read_loan_prices(path: str | Path) -> Iterator[tuple[str, Decimal | None]]:
    """The loans of a file as `read_loan_ids` takes it, each with its purchase_price; None where the file has none.

    RegisterError besides when a price is no amount to the cent, or is negative.
    """
    return _read(path)


def _read(path: str | Path) -> Iterator[tuple[str, Decimal | None]]:
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            yield from _loans(path, csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RegisterError(f"loan list {path} cannot be read: {error}") from error


def _loans(path: str | Path, rows: Iterator[list[str]]) -> Iterator[tuple[str, Decimal | None]]:
    header = [cell.strip() for cell in next(rows, [])]
    if "loan_id" in header:
        column = header.index("loan_id")
    elif len(header) == 1 and header[0]:
        column = 0
        yield header[0], None
    elif header:
        raise RegisterError(f"loan list {path} has no column loan_id: its first line is {', '.join(header)}")
    else:
        raise RegisterError(f"loan list {path} is empty: write one loan id a line")
    price = header.index("purchase_price") if "purchase_price" in header else None
    found = len(header) == 1 and header[0] != "loan_id"
    for line, row in enumerate(rows, start=2):
        if not row:
            continue
        loan_id = row[column].strip() if column < len(row) else ""
        if not loan_id:
            raise RegisterError(f"loan list {path}, line {line}: there is no loan id")
        found = True
        text = row[price].strip() if price is not None and price < len(row) else ""
        yield loan_id, _price(text, f"loan list {path}, line {line}") if text else None
    if not found:
        raise RegisterError(f"loan list {path} has a header and no loan ids")


def _price(text: str, where: str) -> Decimal:
    try:
        price = Decimal(text)
    except InvalidOperation:
        price = Decimal("NaN")
    if price.is_finite() and 0 <= price < LARGEST and price == round(price, 2):
        return price
    raise RegisterError(f"{where}: purchase_price is {text!r}: write an amount as 9800.00")
