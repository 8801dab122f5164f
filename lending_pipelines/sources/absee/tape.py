"""Reads the two files of an ABS-EE tape as they are: loans at the cut-off, and what was reported of them each month.

Field names are Schedule AL's own. What they mean as servicing tables is decided in terms.py (loans and schedules) and
events.py (transactions).
"""

import calendar
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby, pairwise

import fsspec
import ibis
import pyarrow as pa
import pyarrow.csv

from lending_pipelines.sources.protocol import SourceError
from lending_pipelines.tables.schema import MONEY, RATE

_MONEY = ibis.dtype(MONEY).to_pyarrow()
_RATE = ibis.dtype(RATE).to_pyarrow()

_LOAN_FIELDS = {
    "assetNumber": pa.string(),
    "reportingPeriodEndingDate": pa.string(),
    "originationDate": pa.string(),
    "originalLoanAmount": _MONEY,
    "originalLoanTerm": pa.int64(),
    "loanMaturityDate": pa.string(),
    "vehicleNewUsedCode": pa.string(),
    "vehicleValueAmount": _MONEY,
    "obligorCreditScore": pa.float64(),
    "obligorGeographicLocation": pa.string(),
    "reportingPeriodInterestRatePercentage": _RATE,
    "reportingPeriodActualEndBalanceAmount": _MONEY,
    "reportingPeriodScheduledPaymentAmount": _MONEY,
    "risk_cat_ir": pa.string(),
}
_MONTH_FIELDS = {
    "assetNumber": pa.string(),
    "periodEnd": pa.date32(),
    "endBalance": _MONEY,
    "principalCollected": _MONEY,
    "totalPaid": _MONEY,
    "recovered": _MONEY,
    "repossessedProceeds": _MONEY,
}


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
    vehicle_value: Decimal
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


def read_tape(source: str, folder: str) -> Tape:
    """The tape in a folder (a path or fsspec URL) with loans.csv.gz and monthly.csv.gz.

    SourceError names the file that cannot be read, lacks a field or has a value of the wrong type, and the loan whose
    months do not fit.
    """
    loans = [_loan(source, row) for row in _read_csv(source, f"{folder.rstrip('/')}/loans.csv.gz", _LOAN_FIELDS)]
    rows = _read_csv(source, f"{folder.rstrip('/')}/monthly.csv.gz", _MONTH_FIELDS)
    reported = sorted((_month(row) for row in rows), key=lambda month: (month.asset_number, month.period_end))
    months = {number: tuple(group) for number, group in groupby(reported, key=lambda month: month.asset_number)}
    _check_months(source, {loan.asset_number: loan for loan in loans}, months)
    kept = tuple(sorted((loan for loan in loans if loan.balance), key=lambda loan: loan.asset_number))
    return Tape(kept, months, len(loans) - len(kept))


def _read_csv(source: str, path: str, fields: dict[str, pa.DataType]) -> list[dict]:
    options = pyarrow.csv.ConvertOptions(
        column_types=fields,
        include_columns=list(fields),
        null_values=[""],
        strings_can_be_null=True,
    )
    try:
        with fsspec.open(path, "rb", compression="infer") as file:
            return pyarrow.csv.read_csv(file, convert_options=options).to_pylist()
    except (OSError, EOFError, pa.ArrowException) as error:
        raise SourceError(f"{source}: {path} cannot be read: {' '.join(str(error).split())}") from error


def _loan(source: str, row: dict) -> TapeLoan:
    score = row["obligorCreditScore"]
    try:
        return TapeLoan(
            asset_number=row["assetNumber"],
            cut_off=datetime.strptime(row["reportingPeriodEndingDate"], "%m-%d-%Y").date(),
            originated_on=_month_start(row["originationDate"]),
            matures_on=month_end(_month_start(row["loanMaturityDate"])),
            original_amount=row["originalLoanAmount"],
            original_term=row["originalLoanTerm"],
            new_used_code=row["vehicleNewUsedCode"],
            vehicle_value=row["vehicleValueAmount"],
            credit_score=None if score is None else int(score),
            location=row["obligorGeographicLocation"],
            rate=_required(row, "reportingPeriodInterestRatePercentage"),
            balance=_required(row, "reportingPeriodActualEndBalanceAmount"),
            scheduled_payment=_required(row, "reportingPeriodScheduledPaymentAmount"),
            risk_category=row["risk_cat_ir"],
        )
    except (TypeError, ValueError) as error:
        raise SourceError(f"{source}: loans.csv.gz, assetNumber={row['assetNumber']}: {error}") from error


def _required(row: dict, name: str) -> Decimal:
    if row[name] is None:
        raise ValueError(f"{name} is empty")
    return row[name]


def _month(row: dict) -> TapeMonth:
    return TapeMonth(
        asset_number=row["assetNumber"],
        period_end=row["periodEnd"],
        end_balance=row["endBalance"],
        principal_collected=row["principalCollected"],
        total_paid=row["totalPaid"],
        recovered=row["recovered"],
        repossessed_proceeds=row["repossessedProceeds"],
    )


def _check_months(source: str, loans: dict[str, TapeLoan], months: dict[str, tuple[TapeMonth, ...]]) -> None:
    for number, reported in months.items():
        if number not in loans:
            raise SourceError(
                f"{source}: monthly.csv.gz reports assetNumber={number}, which loans.csv.gz does not have"
            )
        ends = [loans[number].cut_off, *(month.period_end for month in reported)]
        for earlier, later in pairwise(ends):
            if later <= earlier:
                raise SourceError(
                    f"{source}: monthly.csv.gz, assetNumber={number}: {later} is reported twice or before the cut-off"
                )


def _month_start(text: str) -> date:
    return datetime.strptime(text, "%m/%Y").date()


def month_end(day: date) -> date:
    """The last day of the day's month."""
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])
