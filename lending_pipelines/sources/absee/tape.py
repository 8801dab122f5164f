"""Reads the two files of an ABS-EE tape: loans at the cut-off, and the monthly reports of each loan.

Loans have Schedule AL's field names. Months have Schedule AL's names or shorter ones. Fields that only some filers
report are optional. terms.py converts the fields to loans and schedules, events.py to transactions.
"""

import calendar
import csv
import io
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from itertools import groupby, pairwise
from typing import Any, TypeVar

import fsspec

_Row = TypeVar("_Row")


SHOWN = 20
"""The number of errors that a message lists; the others are counted."""


class TapeError(Exception):
    """An error in the tape, with file, loan and field. The adapter adds the table that was read."""


@dataclass(frozen=True)
class TapeLoan:
    """A loan as reported at the cut-off."""

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
    """The report of a loan for a month. None means not reported."""

    asset_number: str
    period_end: date
    end_balance: Decimal | None
    principal_collected: Decimal | None
    total_paid: Decimal | None
    recovered: Decimal | None
    repossessed_proceeds: Decimal | None
    charged_off: Decimal | None = None
    zero_balance_code: str | None = None
    repurchase_amount: Decimal | None = None
    days_delinquent: int | None = None

    @property
    def closing_balance(self) -> Decimal | None:
        """The balance at the month's end: zero if there is a zero balance code and no balance."""
        if self.end_balance is None and self.zero_balance_code:
            return Decimal(0)
        return self.end_balance


@dataclass(frozen=True)
class Tape:
    """The loans with a balance at the cut-off, the months of each loan in order, and the number of other loans."""

    loans: tuple[TapeLoan, ...]
    months: dict[str, tuple[TapeMonth, ...]]
    skipped: int


def read_tape(folder: str) -> Tape:
    """Read the tape from a folder (a path or fsspec URL) with loans.csv.gz and monthly.csv.gz.

    Raises:
        TapeError: A file cannot be read or lacks a field, values cannot be read, or months do not fit their loan. The
            message lists all errors of both files with loan and field.
    """
    loans, wrong_loans = _read_csv(f"{folder.rstrip('/')}/loans.csv.gz", _LOAN_FIELDS, TapeLoan)
    reported, wrong_months = _read_csv(f"{folder.rstrip('/')}/monthly.csv.gz", _MONTH_FIELDS, TapeMonth)
    reported.sort(key=lambda month: (month.asset_number, month.period_end))
    months = {number: tuple(group) for number, group in groupby(reported, key=lambda month: month.asset_number)}
    wrong = [*wrong_loans, *wrong_months]
    if not wrong_loans:
        wrong += _misfits({loan.asset_number: loan for loan in loans}, months)
    if wrong:
        more = f"; and {len(wrong) - SHOWN:,} more" if len(wrong) > SHOWN else ""
        raise TapeError("; ".join(wrong[:SHOWN]) + more)
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
    last_digit = Decimal(1).scaleb(-places)

    def parse(value: str) -> Decimal:
        try:
            number = Decimal(_text(value))
            exact = number.quantize(last_digit)
        except InvalidOperation:
            raise ValueError("it is not a number") from None
        if exact != number:
            raise ValueError(f"it has more than {places} decimals")
        return exact

    return parse


def _whole_number(value: str) -> int:
    return int(_decimal(0)(value))


def _us_date(value: str) -> date:
    return datetime.strptime(value, "%m-%d-%Y").date()


def _month_start(value: str) -> date:
    return datetime.strptime(value, "%m/%Y").date()


def _optional(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda value: parse(value) if value else None


def _zero_balance_code(value: str) -> str:
    if value not in ZERO_BALANCE_CODES:
        raise ValueError(f"it is not one of {', '.join(ZERO_BALANCE_CODES)}")
    return value


_money = _decimal(2)

ZERO_BALANCE_CODES = {
    "1": "prepaid or matured",
    "2": "third-party sale",
    "3": "repurchased or replaced",
    "4": "charged off",
    "5": "servicing transfer",
    "99": "unavailable",
}
"""Schedule AL, Item 3(f)(24)(ii): the reason why a loan has no balance any more."""


@dataclass(frozen=True)
class _Field:
    """A field of a file: its possible names, its parser, and whether it is optional."""

    names: tuple[str, ...]
    parse: Callable[[str], Any]
    optional: bool = False


def _field(*names: str, parse: Callable[[str], Any], optional: bool = False) -> _Field:
    return _Field(names, _optional(parse) if optional else parse, optional)


_LOAN_FIELDS: Mapping[str, _Field] = {
    "asset_number": _field("assetNumber", parse=_text),
    "cut_off": _field("reportingPeriodEndingDate", parse=_us_date),
    "originated_on": _field("originationDate", parse=_month_start),
    "matures_on": _field("loanMaturityDate", parse=lambda value: month_end(_month_start(value))),
    "original_amount": _field("originalLoanAmount", parse=_money),
    "original_term": _field("originalLoanTerm", parse=_whole_number),
    "new_used_code": _field("vehicleNewUsedCode", parse=_text),
    "vehicle_value": _field("vehicleValueAmount", parse=_optional(_money)),
    "credit_score": _field("obligorCreditScore", parse=_optional(_whole_number)),
    "location": _field("obligorGeographicLocation", parse=_text),
    "rate": _field("reportingPeriodInterestRatePercentage", parse=_decimal(8)),
    "balance": _field("reportingPeriodActualEndBalanceAmount", parse=_money),
    "scheduled_payment": _field("reportingPeriodScheduledPaymentAmount", parse=_money),
    "risk_category": _field("risk_cat_ir", parse=_text),
}
_MONTH_FIELDS: Mapping[str, _Field] = {
    "asset_number": _field("assetNumber", parse=_text),
    "period_end": _field("periodEnd", parse=date.fromisoformat),
    "end_balance": _field("endBalance", "reportingPeriodActualEndBalanceAmount", parse=_optional(_money)),
    "principal_collected": _field("principalCollected", "actualPrincipalCollectedAmount", parse=_optional(_money)),
    "total_paid": _field("totalPaid", "totalActualAmountPaid", parse=_optional(_money)),
    "recovered": _field("recovered", "recoveredAmount", parse=_optional(_money)),
    "repossessed_proceeds": _field("repossessedProceeds", "repossessedProceedsAmount", parse=_optional(_money)),
    "charged_off": _field("chargedOff", "chargedoffPrincipalAmount", parse=_money, optional=True),
    "zero_balance_code": _field("zeroBalanceCode", parse=_zero_balance_code, optional=True),
    "repurchase_amount": _field("repurchaseAmount", parse=_money, optional=True),
    "days_delinquent": _field("currentDelinquencyStatus", parse=_whole_number, optional=True),
}
"""The field of the file for each attribute of a loan or a month."""


def _read_csv(path: str, fields: Mapping[str, _Field], kind: type[_Row]) -> tuple[list[_Row], list[str]]:
    """The readable rows of a file, and the error of each value that cannot be read."""
    try:
        with fsspec.open(path, "rb", compression="infer") as file, io.TextIOWrapper(file, "utf-8", newline="") as text:
            reader = csv.DictReader(text)
            rows, header = list(reader), reader.fieldnames or ()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise TapeError(f"{path}: {' '.join(str(error).split())}") from error
    columns = {attribute: next((n for n in field.names if n in header), None) for attribute, field in fields.items()}
    missing = [fields[attribute].names[0] for attribute, name in columns.items() if not name]
    missing = [name for name in missing if not any(name in f.names and f.optional for f in fields.values())]
    if missing:
        raise TapeError(f"{path}: there is no field {', '.join(missing)}")
    present = {attribute: name for attribute, name in columns.items() if name}
    parsed, wrong = [], []
    for row in rows:
        values, faults = _parse(row, present, fields)
        wrong += [f"{path}, assetNumber={row['assetNumber']}: {fault}" for fault in faults]
        if not faults:
            parsed.append(kind(**values))
    return parsed, wrong


def _parse(
    row: dict[str, str], columns: Mapping[str, str], fields: Mapping[str, _Field]
) -> tuple[dict[str, Any], list[str]]:
    """The values of a row by attribute, and the errors of those that cannot be read."""
    values, faults = {}, []
    for attribute, name in columns.items():
        try:
            if row[name] is None:
                raise ValueError("the row has fewer fields than the header")
            values[attribute] = fields[attribute].parse(row[name])
        except ValueError as error:
            faults.append(f"{name} is {row[name]!r}: {error}")
    return values, faults


def _misfits(loans: Mapping[str, TapeLoan], months: Mapping[str, tuple[TapeMonth, ...]]) -> Iterator[str]:
    """The errors in the months of each loan."""
    for number, reported in months.items():
        if number not in loans:
            yield f"monthly.csv.gz reports assetNumber={number}, which loans.csv.gz does not have"
            continue
        ends = [loans[number].cut_off, *(month.period_end for month in reported)]
        for earlier, later in pairwise(ends):
            if later <= earlier:
                yield f"monthly.csv.gz, assetNumber={number}: {later} is reported twice or before the cut-off"
