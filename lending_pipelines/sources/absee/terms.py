"""Converts a tape's loans to rows of the servicing tables, except transactions.

- Product: the risk category. Program: the vehicle's new or used code. Branch: the obligor's state or territory.
- The tape does not name obligors. Each loan has its own borrower, with the loan's risk category as segment.
- `principal`, `term_count` and `matures_on` are the contract's. `disbursed_on` is the cut-off, when the trust bought
  the loan at its balance.
- Schedule, version 1: month ends after the cut-off, with the level payment reported at the cut-off. Interest is the
  opening balance × rate ÷ 12, to the cent, half-even. The schedule ends when the balance is paid; the last payment is
  adjusted.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache

from lending_pipelines.sources.absee.tape import TapeError, TapeLoan, month_end

CENT = Decimal("0.01")
MONTHS_A_YEAR = 12

_PROGRAMS = {"1": ("new", "New vehicles"), "2": ("used", "Used vehicles")}
"""Schedule AL, Item 3(c)(4): whether the vehicle was new or used when the loan was made."""


def branches(loans: Iterable[TapeLoan]) -> Iterator[dict]:
    """One branch per obligor location."""
    for location in sorted({loan.location for loan in loans}):
        yield {"branch_id": location, "name": location, "region": location}


def borrowers(loans: Iterable[TapeLoan]) -> Iterator[dict]:
    """One borrower per loan."""
    for loan in loans:
        yield {
            "borrower_id": loan.asset_number,
            "branch_id": loan.location,
            "segment": loan.risk_category,
            "joined_on": loan.originated_on,
        }


def programs(loans: Iterable[TapeLoan]) -> Iterator[dict]:
    """One program per new or used code that occurs."""
    for program_id, name in sorted({_program(loan) for loan in loans}):
        yield {"program_id": program_id, "name": name}


def products(loans: Iterable[TapeLoan]) -> Iterator[dict]:
    """One product per risk category of each program."""
    for category, program_id in sorted({(loan.risk_category, _program(loan)[0]) for loan in loans}):
        yield {
            "product_id": category,
            "program_id": program_id,
            "name": category.replace("_", " ").capitalize(),
            "product_type": "auto_loan",
        }


def loan_rows(loans: Iterable[TapeLoan]) -> Iterator[dict]:
    """One row per loan with a balance at the cut-off."""
    for loan in loans:
        yield {
            "loan_id": loan.asset_number,
            "borrower_id": loan.asset_number,
            "product_id": loan.risk_category,
            "branch_id": loan.location,
            "currency": "USD",
            "principal": loan.original_amount,
            "annual_rate": loan.rate,
            "day_count": "30/360",
            "term_count": loan.original_term,
            "payment_frequency": "monthly",
            "approved_on": loan.originated_on,
            "disbursed_on": loan.cut_off,
            "first_due_on": _next_month_end(loan.cut_off),
            "matures_on": loan.matures_on,
            "purpose": "vehicle",
            "collateral_value": loan.vehicle_value,
            "credit_score": loan.credit_score,
            "region": loan.location,
            "posted_at": posted_at(loan.cut_off),
            "updated_at": posted_at(loan.cut_off),
        }


def installments(loans: Iterable[TapeLoan]) -> Iterator[dict]:
    """Version 1 of every loan's schedule.

    Raises:
        TapeError: A payment does not cover the interest, so the loan never ends.
    """
    for loan in loans:
        opening, due_on, number = loan.balance, loan.cut_off, 0
        while opening > 0:
            number, due_on = number + 1, _next_month_end(due_on)
            interest = (opening * loan.rate / MONTHS_A_YEAR).quantize(CENT, ROUND_HALF_EVEN)
            principal = min(opening, loan.scheduled_payment - interest)
            if principal <= 0:
                raise TapeError(
                    f"loans.csv.gz, assetNumber={loan.asset_number}: the scheduled payment "
                    f"{loan.scheduled_payment} does not cover the interest {interest}, so the loan is never paid"
                )
            yield {
                "loan_id": loan.asset_number,
                "version": 1,
                "number": number,
                "due_on": due_on,
                "principal": principal,
                "interest": interest,
                "fees": Decimal(0),
                "effective_on": loan.cut_off,
                "posted_at": posted_at(loan.cut_off),
            }
            opening -= principal


@cache
def posted_at(effective_on: date) -> datetime:
    """The posting time. The tape has none, so it is 00:00 UTC of the day after."""
    return datetime.combine(effective_on + timedelta(days=1), time())


def _program(loan: TapeLoan) -> tuple[str, str]:
    try:
        return _PROGRAMS[loan.new_used_code]
    except KeyError:
        raise TapeError(
            f"loans.csv.gz, assetNumber={loan.asset_number}: vehicleNewUsedCode is "
            f"{loan.new_used_code!r}, neither 1 (new) nor 2 (used)"
        ) from None


@cache
def _next_month_end(day: date) -> date:
    return month_end(month_end(day) + timedelta(days=1))
