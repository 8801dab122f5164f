"""Lists of loan ids: read from a file, taken in batches."""

import csv
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

from lending_pipelines.register.database import RegisterError

T = TypeVar("T")

BATCH = 10_000
"""How many rows one statement checks or inserts: below SQLite's limit of 32,766 parameters."""


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """The items in lists of at most that size."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def read_loan_ids(path: str | Path) -> Iterator[str]:
    """The loan ids in a UTF-8 text file, one a line, or in the loan_id column of a CSV file with a header.

    RegisterError when the file cannot be read, holds no ids, or a line lacks one.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            yield from _loan_ids(path, csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RegisterError(f"loan list {path} cannot be read: {error}") from error


def _loan_ids(path: str | Path, rows: Iterator[list[str]]) -> Iterator[str]:
    header = [cell.strip() for cell in next(rows, [])]
    if "loan_id" in header:
        column = header.index("loan_id")
    elif len(header) == 1 and header[0]:
        column = 0
        yield header[0]
    elif header:
        raise RegisterError(f"loan list {path} has no column loan_id: its first line is {', '.join(header)}")
    else:
        raise RegisterError(f"loan list {path} is empty: write one loan id a line")
    found = len(header) == 1 and header[0] != "loan_id"
    for line, row in enumerate(rows, start=2):
        if not row:
            continue
        loan_id = row[column].strip() if column < len(row) else ""
        if not loan_id:
            raise RegisterError(f"loan list {path}, line {line}: there is no loan id")
        found = True
        yield loan_id
    if not found:
        raise RegisterError(f"loan list {path} has a header and no loan ids")
