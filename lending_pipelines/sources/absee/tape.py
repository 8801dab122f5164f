"""Reads the two files of an ABS-EE tape as they are: loans at the cut-off, and what was reported of them each month.

Field names are Schedule AL's own. What they mean as servicing tables is decided in terms.py (loans and schedules) and
events.py (transactions).
"""

import calendar
import csv
import io
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from itertools import groupby, pairwise
from typing import Any

import fsspec


class TapeError(Exception):
    """What is wrong with the tape: which file, loan and field. The adapter says for which table it was read."""


@dataclass(frozen=True)
class TapeLoan:
    """A loan as the trust held it at the cut-off."""

    asset_number: str
    cut_off: date
    originated_on: date
    matures_on: date
    original_amount: Decimal
    original_term: int
    new_used_code: str
    vehicle_value: Decimal | None
    credit_score: int | None
    location: str
    rate: Decimal
    balance: Decimal
    scheduled_payment: Decimal
    risk_category: str


@dataclass(frozen=True)
class TapeMonth:
    """What was reported of a loan for a month; None is not reported."""

    asset_number: str
    period_end: date
    end_balance: Decimal | None
    principal_collected: Decimal | None
    total_paid: Decimal | None
    recovered: Decimal | None
    repossessed_proceeds: Decimal | None


@dataclass(frozen=True)
class Tape:
    """Loans with a balance at the cut-off, in order, each with its months in order; and how many loans had none."""

    loans: tuple[TapeLoan, ...]
    months: dict[str, tuple[TapeMonth, ...]]
    skipped: int


def read_tape(folder: str) -> Tape:
    """The tape in a folder (a path or fsspec URL) with loans.csv.gz and monthly.csv.gz.

    TapeError names the file that cannot be read or lacks a field, the loan and field whose value is no such thing, and
    the loan whose months do not fit.
    """
    loans = [TapeLoan(**row) for row in _read_csv(f"{folder.rstrip('/')}/loans.csv.gz", _LOAN_FIELDS)]
    reported = [TapeMonth(**row) for row in _read_csv(f"{folder.rstrip('/')}/monthly.csv.gz", _MONTH_FIELDS)]
    reported.sort(key=lambda month: (month.asset_number, month.period_end))
    months = {number: tuple(group) for number, group in groupby(reported, key=lambda month: month.asset_number)}
    _check_months({loan.asset_number: loan for loan in loans}, months)
    kept = tuple(sorted((loan for loan in loans if loan.balance), key=lambda loan: loan.asset_number))
    return Tape(kept, months, len(loans) - len(kept))


def month_end(day: date) -> date:
    """The last day of the day's month."""
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def _text(value: str) -> str:
    if not value:
        raise ValueError("it is empty")
    return value


def _decimal(places: int) -> Callable[[str], Decimal]:
    def parse(value: str) -> Decimal:
        try:
            number = Decimal(_text(value))
            exact = number.quantize(Decimal(1).scaleb(-places))
        except InvalidOperation:
            raise ValueError("it is not a number") from None
        if exact != number:
            raise ValueError(f"it has more than {places} decimals")
        return exact

    return parse


def _whole(value: str) -> int:
    return int(_decimal(0)(value))


def _us_date(value: str) -> date:
    return datetime.strptime(value, "%m-%d-%Y").date()


def _month_start(value: str) -> date:
    return datetime.strptime(value, "%m/%Y").date()


def _optional(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda value: parse(value) if value else None


_money = _decimal(2)

_LOAN_FIELDS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "assetNumber": ("asset_number", _text),
    "reportingPeriodEndingDate": ("cut_off", _us_date),
    "originationDate": ("originated_on", _month_start),
    "loanMaturityDate": ("matures_on", lambda value: month_end(_month_start(value))),
    "originalLoanAmount": ("original_amount", _money),
    "originalLoanTerm": ("original_term", _whole),
    "vehicleNewUsedCode": ("new_used_code", _text),
    "vehicleValueAmount": ("vehicle_value", _optional(_money)),
    "obligorCreditScore": ("credit_score", _optional(_whole)),
    "obligorGeographicLocation": ("location", _text),
    "reportingPeriodInterestRatePercentage": ("rate", _decimal(6)),
    "reportingPeriodActualEndBalanceAmount": ("balance", _money),
    "reportingPeriodScheduledPaymentAmount": ("scheduled_payment", _money),
    "risk_cat_ir": ("risk_category", _text),
}
_MONTH_FIELDS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "assetNumber": ("asset_number", _text),
    "periodEnd": ("period_end", date.fromisoformat),
    "endBalance": ("end_balance", _optional(_money)),
    "principalCollected": ("principal_collected", _optional(_money)),
    "totalPaid": ("total_paid", _optional(_money)),
    "recovered": ("recovered", _optional(_money)),
    "repossessedProceeds": ("repossessed_proceeds", _optional(_money)),
}
"""Per field of the file: the attribute that it becomes, and how its text is read."""


def _read_csv(path: str, fields: Mapping[str, tuple[str, Callable[[str], Any]]]) -> list[dict[str, Any]]:
    try:
        with fsspec.open(path, "rb", compression="infer") as file, io.TextIOWrapper(file, "utf-8", newline="") as text:
            reader = csv.DictReader(text)
            rows, missing = list(reader), [name for name in fields if name not in (reader.fieldnames or ())]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise TapeError(f"{path}: {' '.join(str(error).split())}") from error
    if missing:
        raise TapeError(f"{path}: there is no field {', '.join(missing)}")
    return [_parse(path, row, fields) for row in rows]


def _parse(path: str, row: dict[str, str], fields: Mapping[str, tuple[str, Callable[[str], Any]]]) -> dict[str, Any]:
    parsed = {}
    for name, (attribute, parse) in fields.items():
        try:
            if row[name] is None:
                raise ValueError("the row is cut short")
            parsed[attribute] = parse(row[name])
        except ValueError as error:
            raise TapeError(f"{path}, assetNumber={row['assetNumber']}: {name} is {row[name]!r}: {error}") from error
    return parsed


def _check_months(loans: Mapping[str, TapeLoan], months: Mapping[str, tuple[TapeMonth, ...]]) -> None:
    for number, reported in months.items():
        if number not in loans:
            raise TapeError(f"monthly.csv.gz reports assetNumber={number}, which loans.csv.gz does not have")
        ends = [loans[number].cut_off, *(month.period_end for month in reported)]
        for earlier, later in pairwise(ends):
            if later <= earlier:
                raise TapeError(
                    f"monthly.csv.gz, assetNumber={number}: {later} is reported twice or before the cut-off"
                )
